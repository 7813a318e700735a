"""Packets and bytes between a node and each endpoint, counted by the node's own kernel while the probe watches.

AWS tells nothing of the sort by API. So the node counts: an nftables table of our own, which accepts everything and has
one counter for what goes to an endpoint's addresses and one for what comes from them, and which is deleted at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from islanding.errors import SetupError
from islanding.probes.at_place import AtPlace, said
from islanding.probes.base import Reading

if TYPE_CHECKING:
    from islanding.model import Site

_CALL = 20.0  # seconds for one nft command, SSH through two jumps included
# After address translation on the way out, before it on the way in: addresses as they are on the wire, nft(8).
_CHAINS = {"to": ("postrouting", 300, "daddr"), "from": ("prerouting", -350, "saddr")}


class Count(NamedTuple):
    """What was counted for one endpoint: packets and bytes to it, and from it."""

    packets_to: int = 0
    bytes_to: int = 0
    packets_from: int = 0
    bytes_from: int = 0

    def __str__(self) -> str:
        return f"{self.packets_to} packets {self.bytes_to} bytes to, {self.packets_from} packets {self.bytes_from} from"


@dataclass(frozen=True, kw_only=True)
class FlowCounters(AtPlace):
    """Counts at the place, a node, for each of `endpoints` (`NAME=ADDRESS[,ADDRESS...]`, addresses or prefixes).

    Each sample tells the sums since the watch began; one sample alone counts nothing, as it begins and ends at once.
    """

    kind: ClassVar[str] = "flow-counters"

    endpoints: tuple[str, ...]
    interval: float = 5.0
    timeout: float = 20.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._addresses()

    def target(self) -> str:
        """What is probed."""
        return ", ".join(self._addresses()) + (f" at {self.at}" if self.at else "")

    def command(self) -> str:
        """What a person would type."""
        return self.shown_at(["nft", "list", "table", "inet", self._table()])

    def sample(self) -> Reading:
        """One reading of counters that exist for its length only."""
        with self.session() as look:
            return look()

    @contextmanager
    def session(self) -> Iterator[Callable[[], Reading]]:
        """Counters for the length of the watch."""
        with self.counting() as count:

            def look() -> Reading:
                try:
                    counts = count()
                except SetupError as error:
                    return Reading(1, str(error))
                return Reading(0, "; ".join(f"{name} {seen}" for name, seen in counts.items()))

            yield look

    @contextmanager
    def counting(self) -> Iterator[Callable[[], dict[str, Count]]]:
        """Add the table for the length of a `with` block; what it gives reads the counts by endpoint.

        Raises SetupError when the node cannot be entered or has no nft. The table is deleted however the block ends.
        """
        table = self._table()
        try:
            self._nft("-f", "-", stdin=rules(table, self._addresses()))
            yield lambda: parse_counts(self._nft("-j", "list", "counters", "table", "inet", table), self._addresses())
        finally:
            with contextlib.suppress(SetupError):
                self._nft("-f", "-", stdin=f"add table inet {table}\ndelete table inet {table}\n")

    def _addresses(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for text in self.endpoints:
            name, _, addresses = text.partition("=")
            try:
                found[name] = tuple(str(ip_network(one.strip())) for one in addresses.split(","))
            except ValueError as error:
                raise SetupError(f"flow-counters probe: {text!r}: {error}", "write NAME=ADDRESS,ADDRESS") from None
        if not found:
            raise SetupError("flow-counters probe: no endpoints", "give NAME=ADDRESS,ADDRESS for each")
        return found

    def _table(self) -> str:
        named = "\n".join((self.name, *self.endpoints))
        return f"islanding_flows_{hashlib.sha256(named.encode()).hexdigest()[:8]}"

    def _nft(self, *args: str, stdin: str | None = None) -> str:
        done = self.do_as_root(["nft", *args], _CALL, stdin=stdin)
        if done.exit_code != 0:
            raise SetupError(f"nft at {self.at or 'this machine'} failed: {said(done)}", "the node needs nft and sudo")
        return done.stdout


def rules(table: str, endpoints: Mapping[str, tuple[str, ...]]) -> str:
    """The nftables table that counts for these endpoints; it begins anew if one of that name was left behind."""
    lines = [f"add table inet {table}", f"delete table inet {table}", f"table inet {table} {{"]
    lines += [f" counter {_counter(name, way)} {{ }}" for name in endpoints for way in _CHAINS]
    for way, (hook, priority, side) in _CHAINS.items():
        lines.append(f" chain {hook} {{ type filter hook {hook} priority {priority}; policy accept;")
        lines += [
            f'  ip {side} {{ {", ".join(addresses)} }} counter name "{_counter(name, way)}"'
            for name, addresses in endpoints.items()
        ]
        lines.append(" }")
    return "\n".join([*lines, "}", ""])


def parse_counts(text: str, endpoints: Mapping[str, tuple[str, ...]]) -> dict[str, Count]:
    """The counts from nft's JSON, by endpoint; raises SetupError when a counter is not there."""
    try:
        listed = json.loads(text)["nftables"]
        counters: dict[str, dict[str, Any]] = {
            one["counter"]["name"]: one["counter"] for one in listed if "counter" in one
        }
        return {name: Count(*_pair(counters, name, "to"), *_pair(counters, name, "from")) for name in endpoints}
    except (ValueError, KeyError, TypeError) as odd:
        raise SetupError(f"nft's answer cannot be read: {odd}") from odd


def addresses_of(site: Site, services: tuple[str, ...]) -> tuple[str, ...]:
    """`NAME=ADDRESSES` for the endpoints of the site's VPC, as FlowCounters takes them, from AWS state.

    An interface endpoint's are its network interfaces' private addresses, a gateway endpoint's the prefix list of its
    service. Raises SetupError for a service that has no endpoint.
    """
    from islanding.aws import calls

    vpc = site.facts.get("vpc_id", "")
    reply = calls.call(site, "ec2", "describe_vpc_endpoints", {"Filters": [{"Name": "vpc-id", "Values": [vpc]}]})
    live = [one for one in reply["VpcEndpoints"] if one["State"].lower() == "available"]
    return tuple(f"{service}={','.join(_addresses(site, live, service))}" for service in services)


def _addresses(site: Site, live: list[dict[str, Any]], service: str) -> list[str]:
    from islanding.aws import calls

    interfaces: list[str] = []
    gateways: list[str] = []
    for one in live:
        if one["ServiceName"].endswith(f".{site.aws.region}.{service}"):
            interfaces += one.get("NetworkInterfaceIds") or []
            gateways += [one["ServiceName"]] if one.get("VpcEndpointType", "Gateway") == "Gateway" else []
    found: list[str] = []
    if interfaces:
        reply = calls.call(site, "ec2", "describe_network_interfaces", {"NetworkInterfaceIds": interfaces})
        found += [str(one["PrivateIpAddress"]) for one in reply["NetworkInterfaces"]]
    if gateways:
        named = {"Filters": [{"Name": "prefix-list-name", "Values": gateways}]}
        for one in calls.call(site, "ec2", "describe_managed_prefix_lists", named)["PrefixLists"]:
            id = {"PrefixListId": one["PrefixListId"]}
            entries = calls.call(site, "ec2", "get_managed_prefix_list_entries", id)["Entries"]
            found += [str(entry["Cidr"]) for entry in entries]
    if not found:
        raise SetupError(f"site {site.name} has no available endpoint for {service} in {site.facts.get('vpc_id')}")
    return found


def _counter(name: str, way: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in f"{name}_{way}")


def _pair(counters: Mapping[str, Mapping[str, Any]], name: str, way: str) -> tuple[int, int]:
    counter = counters[_counter(name, way)]
    return int(counter["packets"]), int(counter["bytes"])
