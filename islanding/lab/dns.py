"""DNS for each place: dnsmasq as the VPC's resolver, as the public one, and as the site's own on the LAN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from islanding.errors import LabError
from islanding.lab.kernel import inside
from islanding.process import run


@dataclass(frozen=True)
class ResolverConfig:
    """A resolver: where it listens, the names that it knows, the zones that are its own, and where it asks on.

    A zone must be named as one's own, or the AAAA question of a name with only an A record is refused
    (docs/measurements.md 8).
    """

    netns: str
    address: str
    records: Mapping[str, Sequence[str]] = field(default_factory=dict)  # name -> IPv4 addresses
    zones: tuple[str, ...] = ()
    upstream: str = ""

    def text(self, folder: Path) -> str:
        """The configuration file."""
        lines = [
            "no-resolv", "no-hosts", "bind-interfaces", "cache-size=0",
            f"listen-address={self.address}", "except-interface=lo", "log-queries=extra",
            f"log-facility={folder / (self.name + '.log')}", "user=root", "local-ttl=5",
        ]  # fmt: skip
        lines += [f"local=/{zone}/" for zone in self.zones]
        lines += [f"host-record={name},{a}" for name, addresses in sorted(self.records.items()) for a in addresses]
        # Without an upstream nothing else exists: "no such name", where dnsmasq by itself would refuse the question.
        lines.append(f"server={self.upstream}" if self.upstream else "local=/#/")
        return "\n".join([*lines, ""])

    @property
    def name(self) -> str:
        return f"dns-{self.netns}-{self.address}"


def start(config: ResolverConfig, folder: Path) -> None:
    """Start a resolver; it is gone with the lab. Raises LabError when the port is taken, with dnsmasq's own words."""
    path = Path("/run/islanding") / f"{config.name}.conf"
    path.write_text(config.text(folder))
    pid = path.with_suffix(".pid")
    result = run(inside(config.netns, ["dnsmasq", f"--conf-file={path}", f"--pid-file={pid}"]), check=False)
    if not result.ok:
        raise LabError(f"the resolver at {config.address} did not start: {result.stderr.strip()}")
