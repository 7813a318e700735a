"""Debian's packages on this machine: which are missing, how they are installed, and which mirror apt is set to use."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from islanding.errors import SetupError
from islanding.process import Result, run


@dataclass(frozen=True)
class HostTool:
    """A command that the lab calls: the Debian package that has it and what it is needed for."""

    command: str
    package: str
    needed_for: str


TOOLS = (
    HostTool("zebra", "frr", "the routers: route installation"),
    HostTool("bgpd", "frr", "the routers: BGP sessions of service link and local gateway"),
    HostTool("bfdd", "frr", "the routers: quick detection of a silent cut"),
    HostTool("vtysh", "frr", "reading and changing the routers' BGP state"),
    HostTool("runc", "runc", "running containers"),
    HostTool("nft", "nftables", "packet filters and silent drops"),
    HostTool("ip", "iproute2", "namespaces, links and routes"),
    HostTool("bridge", "iproute2", "the lab's switches"),
    HostTool("dnsmasq", "dnsmasq-base", "the resolvers of each place"),
    HostTool("haproxy", "haproxy", "the TCP proxy at the Region's edge"),
    HostTool("ssh", "openssh-client", "reaching instances"),
    HostTool("ssh-keygen", "openssh-client", "key pairs of instances"),
    HostTool("mmdebstrap", "mmdebstrap", "making the machine image"),
    HostTool("tcpdump", "tcpdump", "packet captures as evidence"),
    HostTool("conntrack", "conntrack", "seeing and forgetting tracked connections"),
    HostTool("nsenter", "util-linux", "entering an instance's namespaces"),
    HostTool("unshare", "util-linux", "making an instance's namespaces"),
    HostTool("mount", "util-linux", "an instance's file systems"),
)

_DAEMON_FOLDERS = "/usr/lib/frr:/usr/local/sbin:/usr/sbin:/sbin"


def locate(command: str) -> str | None:
    """The full path of a host command, looked for in PATH, the sbin folders and FRR's own folder."""
    return shutil.which(command) or shutil.which(command, path=_DAEMON_FOLDERS)


def missing_tools(find: Callable[[str], str | None] = locate) -> list[HostTool]:
    """The tools that are not on this machine, in the order of TOOLS."""
    return [tool for tool in TOOLS if find(tool.command) is None]


def install_command(tools: list[HostTool]) -> str:
    """The command that a user of Debian or Ubuntu runs to install the packages of `tools`."""
    return "sudo apt-get install -y --no-install-recommends " + " ".join(sorted({tool.package for tool in tools}))


def install(tools: list[HostTool], runner: Callable[[list[str]], Result]) -> None:
    """Install the packages of `tools` without letting any of their daemons start on this machine.

    Raises SetupError when the machine has no apt (the missing commands are named), or when apt fails.
    """
    if not tools:
        return
    if shutil.which("apt-get") is None:
        names = ", ".join(sorted({tool.command for tool in tools}))
        raise SetupError(
            f"commands are missing: {names}",
            "This machine has no apt: install them with its own package manager "
            f"(Debian's names: {' '.join(sorted({tool.package for tool in tools}))}), then run it again.",
        )
    packages = sorted({tool.package for tool in tools})
    with StartGuard():
        for argv in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
            result = runner(["env", "DEBIAN_FRONTEND=noninteractive", *argv])
            if not result.ok:
                last = "\n  ".join((result.stderr or result.stdout).strip().splitlines()[-6:])
                raise SetupError(
                    f"`{' '.join(argv[:2])}` failed\n  {last}", f"Mend apt, then run: {install_command(tools)}"
                )


class StartGuard:
    """While open, Debian's packages do not start their services: a policy-rc.d that says no (invoke-rc.d(8)).

    A policy-rc.d that the machine already has is left as it is and stays in force; one of ours that a killed set-up
    left behind goes.
    """

    TEXT = "#!/bin/sh\n# islanding setup: daemons of the lab's packages stay off\nexit 101\n"

    def __init__(self, path: Path = Path("/usr/sbin/policy-rc.d")) -> None:
        self._path = path
        self._ours = False

    def __enter__(self) -> Self:
        if not self._path.exists() or self._path.read_text(errors="replace") == self.TEXT:
            self._path.write_text(self.TEXT)
            self._path.chmod(0o755)
            self._ours = True
        return self

    def __exit__(self, *_: object) -> None:
        if self._ours:
            self._path.unlink(missing_ok=True)


_TARGETS = "$(REPO_URI)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)"


def mirror_lines(suite: str) -> list[str]:
    """One-line apt sources for Debian `suite`, from the mirrors that this machine's own apt is set to use.

    Empty when this machine has no Debian source (mmdebstrap then takes its own default).
    """
    listed = run(["apt-get", "indextargets", "--format", _TARGETS, "Created-By: Packages"], check=False)
    return sources_for(suite, listed.stdout) if listed.ok else []


def sources_for(suite: str, targets: str) -> list[str]:
    """Turn `apt-get indextargets` output (URI|codename|component|origin a line) into sources for Debian `suite`.

    A machine of another Debian release gives its mirrors with the codename changed; other vendors' are left out.
    """
    lines: list[str] = []
    for row in targets.splitlines():
        fields = row.split("|")
        if len(fields) != 4 or fields[3] != "Debian" or fields[2] != "main":
            continue
        found = re.fullmatch(r"([a-z]+)(-updates|-security)?", fields[1])
        if not found or found[1] in ("sid", "experimental"):
            continue
        line = f"deb {fields[0].rstrip('/')} {suite}{found[2] or ''} main"
        if line not in lines:
            lines.append(line)
    return lines if any(f" {suite} " in line for line in lines) else []


def proxy_options() -> list[str]:
    """The proxy settings of this machine's apt as options for another apt: the image is made by the same way out."""
    dumped = run(["apt-config", "dump"], check=False).stdout
    return [line for line in dumped.splitlines() if re.match(r'Acquire::https?::Proxy(::\S+)? "[^"]+";', line)]
