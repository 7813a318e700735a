"""Tries out what the kernel can do: each trial works in a throw-away namespace and leaves nothing behind."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from islanding.process import Result, run

_NFT = """\
table inet islanding_doctor {
  chain nat { type nat hook postrouting priority 100; ip saddr 192.0.2.0/24 masquerade; }
  chain forward { type filter hook forward priority 0; policy drop; ct state established,related counter accept; }
}
"""


@dataclass(frozen=True)
class Trial:
    """One thing to try: a name, a shell script, the namespaces it runs in, what it is for, how to mend a failure."""

    name: str
    script: str
    namespaces: tuple[str, ...]
    needed_for: str
    fix: str
    stdin: str | None = None


def _module(name: str) -> str:
    return (
        f"Load the kernel module: sudo modprobe {name}. In a container it must be loaded on the host; "
        f"a kernel without it cannot run the lab."
    )


TRIALS = (
    Trial(
        "namespaces",
        "test \"$(cat /proc/self/stat | cut -d' ' -f1)\" -lt 100 && hostname islanding-doctor",
        ("net", "mount", "uts", "ipc", "pid", "cgroup"),
        "instances: each has its own processes, mounts, host name and network",
        "Run as root on the machine itself, or in a container started with --privileged.",
    ),
    Trial("veth", "ip link add a0 type veth peer name b0", ("net",), "links between machines", _module("veth")),
    Trial("bridge", "ip link add a0 type bridge", ("net",), "subnets and pod networks", _module("bridge")),
    Trial(
        "vxlan",
        "ip link add a0 type vxlan id 1 dstport 4789",
        ("net",),
        "pod networks that span routed machines",
        _module("vxlan"),
    ),
    Trial(
        "policy routing",
        "ip rule add from 192.0.2.1 lookup 100 && ip route add blackhole default table 100",
        ("net",),
        "route tables and silent drops",
        "The kernel needs CONFIG_IP_MULTIPLE_TABLES: use a distribution's kernel.",
    ),
    Trial(
        "nftables",
        "nft -f -",
        ("net",),
        "packet filters, address translation, silent cuts",
        _module("nf_tables nft_ct nft_masq nft_counter"),
        stdin=_NFT,
    ),
)

_OVERLAY = """\
mkdir "$1"/lower "$1"/upper "$1"/work "$1"/root && echo seen > "$1"/lower/file &&
mount -t overlay overlay -o lowerdir="$1"/lower,upperdir="$1"/upper,workdir="$1"/work "$1"/root &&
rm "$1"/root/file && test -e "$1"/lower/file
"""


def attempt(trial: Trial) -> Result:
    """Run one trial as root; its result says by exit code whether the kernel can do it."""
    flags = [f"--{name}" for name in trial.namespaces]
    if "pid" in trial.namespaces:
        flags += ["--fork", "--mount-proc"]
    return run(["unshare", *flags, "sh", "-c", trial.script], stdin=trial.stdin, check=False, timeout=20)


def attempt_overlay(folder: Path) -> Result:
    """Mount an overlay whose writable layer lies below `folder`, in a mount namespace of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="doctor-", dir=folder))
    try:
        return run(["unshare", "--mount", "sh", "-c", _OVERLAY, "sh", str(work)], check=False, timeout=20)
    finally:
        shutil.rmtree(work, ignore_errors=True)
