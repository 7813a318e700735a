"""Looks at this machine: what the lab needs of it, what is lacking, and the command that mends each lack."""

from __future__ import annotations

import os
import platform
import resource
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from islanding import paths
from islanding.errors import SetupError
from islanding.lab.parts import apt, gobuild, trials
from islanding.lab.parts.assemble import COLD_BUILD_BYTES, WARM_BYTES, image_whole
from islanding.lab.parts.found import LIMITS, Layout, layout, shorten
from islanding.process import Result, run

OK, WARNING, LACK = "ok", "warning", "lack"
GIB = 1024**3
SETUP = "sudo islanding setup"


@dataclass(frozen=True)
class Check:
    """One finding: what was looked at, how it is (`ok`, `warning`, `lack`), what it is for and what mends it."""

    name: str
    status: str
    found: str
    needed_for: str
    fix: str = ""


# Bit numbers from linux/capability.h. CAP_SYS_RESOURCE is not among them: the lab does without.
CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_KILL": 5,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_MKNOD": 27,
}
V1_CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")
V2_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")


def diagnose(cache: Path) -> list[Check]:
    """Every check of this machine, in the order in which lacks should be mended."""
    place = layout(cache)
    root = os.geteuid() == 0
    proc = Path("/proc")
    return [
        root_check(root),
        capability_check((proc / "self/status").read_text()),
        *(_trial_checks() if root else _untried()),
        cgroup_check((proc / "self/mountinfo").read_text(), _read(Path("/sys/fs/cgroup/cgroup.controllers"))),
        device_check(Path("/dev")),
        memory_check((proc / "meminfo").read_text()),
        disk_check(place, _free_bytes(cache)),
        inotify_check(
            _read(proc / "sys/fs/inotify/max_user_instances"), _read(proc / "sys/fs/inotify/max_user_watches")
        ),
        files_check(resource.getrlimit(resource.RLIMIT_NOFILE)[1]),
        *tool_checks(apt.missing_tools(), has_apt=shutil.which("apt-get") is not None),
        go_check(place),
        *part_checks(place),
        font_check(_japanese_fonts()),
    ]


def root_check(root: bool) -> Check:
    """Whether we are root; nothing of the lab works otherwise."""
    found = f"{'root' if root else 'not root'}, Linux {platform.release()}, {platform.machine()}"
    return Check("user", OK if root else LACK, found, "making machines and networks", "Run with sudo.")


def capability_check(status: str) -> Check:
    """Whether the effective capabilities in /proc/self/status hold all that the lab uses."""
    line = next((row for row in status.splitlines() if row.startswith("CapEff:")), "CapEff: 0")
    effective = int(line.split()[1], 16)
    missing = [name for name, bit in CAPABILITIES.items() if not effective >> bit & 1]
    found = f"without {', '.join(missing)}" if missing else f"all {len(CAPABILITIES)} that are used"
    fix = "Run with sudo; in a container, start it with --privileged."
    return Check("capabilities", LACK if missing else OK, found, "namespaces, mounts, links and packet filters", fix)


def cgroup_check(mountinfo: str, v2_controllers: str) -> Check:
    """Which cgroup version this machine has, and whether its controllers are those that a node needs."""
    name, use = "cgroups", "limits and clean ends of machines and pods"
    v1, v2 = set[str](), ""
    for row in mountinfo.splitlines():
        before, _, after = row.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup":
            v1 |= set(options.split(","))
        elif kind == "cgroup2":
            v2 = before.split()[4]
    has_v2 = set(v2_controllers.split()) if v2 == "/sys/fs/cgroup" else set[str]()
    if has_v2:
        missing = [c for c in V2_CONTROLLERS if c not in has_v2]
        found = "version 2" + (f", without {', '.join(missing)}" if missing else "")
        fix = f"Switch them on: echo {' '.join('+' + c for c in missing)} > /sys/fs/cgroup/cgroup.subtree_control"
        return Check(name, LACK if missing else OK, found, use, fix)
    missing = [c for c in V1_CONTROLLERS if c not in v1]
    if len(missing) == len(V1_CONTROLLERS):
        return Check(name, LACK, "none mounted", use, "Mount them: sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup")
    found = "version 1" + (f", without {', '.join(missing)}" if missing else "")
    fix = "Mount each: sudo mkdir -p /sys/fs/cgroup/NAME && sudo mount -t cgroup -o NAME cgroup /sys/fs/cgroup/NAME"
    return Check(name, LACK if missing else OK, found, use, fix)


def device_check(dev: Path) -> Check:
    """Whether the device files are there that an instance gets from this machine."""
    missing = [
        name for name in ("null", "zero", "full", "random", "urandom", "tty", "kmsg") if not (dev / name).exists()
    ]
    found = f"without {', '.join(missing)}" if missing else "all there"
    fix = "In a container, start it with --privileged; /dev/kmsg can be made: sudo mknod /dev/kmsg c 1 11"
    return Check("devices", LACK if missing else OK, found, "machines; the kubelet reads /dev/kmsg", fix)


def memory_check(meminfo: str) -> Check:
    """Whether a site fits into memory: 3 GiB for the larger one, with room for the runner and the file cache."""
    rows = {
        row.split(":")[0]: int(row.split()[1]) * 1024 for row in meminfo.splitlines() if ":" in row and row.split()[1:]
    }
    total, free = rows.get("MemTotal", 0), rows.get("MemAvailable", 0)
    found = f"{free / GIB:.1f} GiB free of {total / GIB:.1f}"
    status = LACK if total < 3.5 * GIB else WARNING if free < 4 * GIB else OK
    fix = "Use a machine with 8 GiB." if status == LACK else "End other programs, or run one site at a time."
    return Check("memory", status, found, "a site of several machines and a control plane: 2 to 3 GiB", fix)


def disk_check(place: Layout, free: int) -> Check:
    """Whether the cache's disk has room: 16 GiB for a first build, 2 GiB once all parts are there."""
    needed = COLD_BUILD_BYTES if place.missing_binaries() and not (place.cache / "go-build").is_dir() else WARM_BYTES
    found = f"{free / GIB:.1f} GiB free for {place.cache}"
    fix = f"Free {needed // GIB} GiB there, or name another place: export ISLANDING_CACHE=DIR"
    return Check("disk", OK if free >= needed else LACK, found, f"parts and machines: {needed // GIB} GiB", fix)


def inotify_check(instances: str, watches: str) -> Check:
    """Whether the limits that all machines of a lab share are wide: a node with systemd and kubelet takes about ten."""
    have = (int(instances or 0), int(watches or 0))
    found = f"{have[0]} instances, {have[1]} watches"
    fix = "sudo sysctl -w fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=65536"
    lack, tight = have[0] < 128 or have[1] < 8192, have[0] < 512 or have[1] < 65536
    status = LACK if lack else WARNING if tight else OK
    return Check("inotify", status, found, "systemd, kubelet and containerd of more than ten machines at once", fix)


def files_check(hard: int) -> Check:
    """Whether processes may open enough files (the hard limit, which services raise themselves to)."""
    shown = "no limit" if hard == resource.RLIM_INFINITY else str(hard)
    enough = hard == resource.RLIM_INFINITY or hard >= 16384
    fix = "Raise it: ulimit -Hn 65536 (or LimitNOFILE= of the service that runs this)"
    return Check("open files", OK if enough else LACK, shown, "etcd, kube-apiserver and containerd", fix)


def tool_checks(missing: list[apt.HostTool], *, has_apt: bool) -> list[Check]:
    """One check a missing command; a single one when all are there."""
    if not missing:
        return [Check("tools", OK, f"all {len(apt.TOOLS)} commands", "routers, resolvers, proxies, captures")]
    fix = f"{SETUP}   (or: {apt.install_command(missing)})"
    other = "Install it with this system's package manager; Debian has it in the package "
    return [
        Check(f"command {tool.command}", LACK, "missing", tool.needed_for, fix if has_apt else other + tool.package)
        for tool in missing
    ]


def go_check(place: Layout) -> Check:
    """Whether the Go toolchain can build what is missing; not needed when nothing is."""
    lacks = {**place.missing_binaries(), **place.missing_files()}
    use = "building what no release site has, and fetching manifests"
    if not lacks:
        return Check("Go", OK, "not needed: all that it makes is there", use)
    try:
        newest = max(
            (part for part in (*place.sets, *place.file_sets) if part.name in lacks), key=lambda part: part.needs_go
        )
        version = ".".join(str(number) for number in gobuild.find_toolchain(newest))
    except SetupError as lack:
        return Check("Go", LACK, lack.what, use, lack.fix)
    return Check("Go", OK, version, use)


def font_check(families: str | None) -> Check:
    """Whether a font has Japanese letters: without one, a report in Japanese cannot be made as PDF."""
    use, fix = "a report in Japanese as PDF", "sudo apt-get install fontconfig fonts-noto-cjk"
    if families is None:
        return Check("fonts", WARNING, "unknown: fc-list is missing", use, fix)
    first = families.strip().partition("\n")[0]
    return Check("fonts", OK if first else WARNING, first or "none with Japanese letters", use, "" if first else fix)


def _japanese_fonts() -> str | None:
    if shutil.which("fc-list") is None:
        return None
    return run(["fc-list", ":lang=ja", "family"], timeout=20, check=False).stdout


def part_checks(place: Layout) -> list[Check]:
    """Whether binaries, machine image, manifests and container images are there and whole, by their hashes."""
    fix = SETUP
    missing = [name for names in place.missing_binaries().values() for name in names]
    damaged = [item.name for item in place.binaries.damaged() if item.name not in missing]
    count = sum(len(part.binaries) for part in place.sets)
    binaries = _state(missing, damaged, f"all {count} in {place.binaries.files}")
    if not place.image_ready():
        image = "not made yet"
    else:
        image = f"whole, {place.image / 'root'}" if image_whole(place) else "damaged: differs from when it was made"
    no_files = [name for names in place.missing_files().values() for name in names]
    no_files += [] if place.limits_ready() else [LIMITS]
    bad_files = [item.name for item in place.upstream.damaged() if item.name not in no_files]
    files = _state(no_files, bad_files, f"all there in {place.upstream.files}")
    no_archives = place.missing_archives()
    bad_archives = [item.name for item in place.archives.damaged() if item.name not in no_archives]
    archives = _state(no_archives, bad_archives, f"all there in {place.archives.files}")
    found = (
        ("binaries", binaries, bool(missing or damaged), "control plane and nodes"),
        ("machine image", image, not image.startswith("whole"), "the file system of each instance"),
        ("manifests", files, bool(no_files or bad_files), "VPC CNI, kube-proxy and CoreDNS on a cluster"),
        ("container images", archives, bool(no_archives or bad_archives), "pods, and what AWS's own registry holds"),
    )
    return [Check(name, LACK if bad else OK, text, use, fix) for name, text, bad, use in found]


def _state(missing: list[str], damaged: list[str], whole: str) -> str:
    said = [f"missing: {shorten(missing)}"] if missing else []
    said += [f"damaged: {shorten(damaged)}"] if damaged else []
    return "; ".join(said) or whole


def _trial_checks() -> Iterable[Check]:
    for trial in trials.TRIALS:
        yield _judge(trial.name, trial.needed_for, trial.fix, trials.attempt(trial))
    place = paths.state_dir()
    fix = f"sudo modprobe overlay; {place} must be on ext4, xfs or btrfs (else: export ISLANDING_STATE=DIR)"
    yield _judge("overlay", "machines share one image and keep their own changes", fix, trials.attempt_overlay(place))


def _judge(name: str, needed_for: str, fix: str, result: Result) -> Check:
    said = (result.stderr.strip().splitlines() or [f"exit code {result.exit_code}"])[-1]
    return Check(name, OK if result.ok else LACK, "works" if result.ok else said, needed_for, fix)


def _untried() -> Iterable[Check]:
    for trial in trials.TRIALS:
        yield Check(trial.name, WARNING, "not tried: needs root", trial.needed_for, "sudo islanding doctor")
    yield Check("overlay", WARNING, "not tried: needs root", "machines share one image", "sudo islanding doctor")


def _free_bytes(folder: Path) -> int:
    """Free bytes where `folder` is or will be."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
