"""A machine's parts as bare processes: the units' own command lines, in namespaces and an overlay, without systemd."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from islanding.lab import cgroups
from islanding.lab.machine import MachineFile
from islanding.lab.namespaces import NETNS

_PATH = "/opt/islanding/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_UNITS = re.compile(r"/etc/systemd/system/([\w-]+)\.service")
_IN_ORDER = ("pod-routes", "containerd", "kubelet")  # as their units say; all others start at once


@dataclass(frozen=True)
class BareNode:
    """One node: folder, logs, machine image, and what is bound into it ({host folder: folder inside})."""

    name: str
    lab_id: str
    folder: Path
    logs: Path
    image: Path
    binds: Mapping[str, str]

    def start(self, files: Mapping[str, MachineFile]) -> subprocess.Popen[bytes]:
        """Lay the files, and start the units among them; the node's first process holds all the others."""
        for part in ("upper", "work", "root", "data"):
            (self.folder / part).mkdir(parents=True)
        start = MachineFile(start_script(files).encode())
        for path, file in {**files, "/start.sh": start}.items():
            place = self.folder / "upper" / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if file.target:
                continue  # the links by which systemd starts units
            place.write_bytes(file.content)
            place.chmod(file.mode)
        boot = self.folder / "boot.sh"
        boot.write_text(boot_script())
        binds = {str(self.folder / "data"): "/var/lib/containerd", **self.binds}
        environment = {
            "PATH": os.environ["PATH"],
            "NAME": self.name,
            "IMAGE": str(self.image),
            "DIR": str(self.folder),
            "CONSOLE": "/dev/null",
            "CGROUPS": " ".join(map(str, cgroups.create(self.lab_id, self.name))),
            "CGROUP_VERSION": str(cgroups.version()),
            "BINDS": " ".join(f"{source}:{target}" for source, target in binds.items()),
        }
        command = [
            "nsenter", f"--net={NETNS / self.name}",
            "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--propagation", "private",
            "/bin/sh", str(boot),
        ]  # fmt: skip
        with (self.logs / f"{self.name}.console.log").open("wb") as console:
            return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=console, stderr=console)


def boot_script() -> str:
    """The lab's own boot script, but for its last line: instead of systemd, a shell that starts the parts."""
    text = (resources.files("islanding.lab.guest") / "boot.sh").read_text()
    head, _, last = text.rstrip("\n").rpartition("\n")
    if "systemd" not in last:
        raise ValueError("boot.sh no longer ends with the start of systemd")
    return f"{head}\nexec env -i PATH={_PATH} /bin/bash /start.sh\n"


def start_script(files: Mapping[str, MachineFile]) -> str:
    """A shell script that starts the units among the files, each again when it ends."""
    units = {m[1]: file.content.decode() for path, file in files.items() if (m := _UNITS.fullmatch(path))}
    arguments = files["/etc/eks/kubelet.env"].content.decode().partition("=")[2].strip()
    lines = ["#!/bin/bash"]
    lines += [_block(name, text) + " &" for name, text in units.items() if name not in _IN_ORDER]
    lines.append("{")
    lines += [_block(name, units[name]) for name in _IN_ORDER if name in units]
    lines.append("} &")
    lines.append("while :; do sleep 60; done")  # the first process of its namespace stays, and reaps
    return "\n".join([*lines, ""]).replace("$KUBELET_ARGS", arguments)


def _block(name: str, unit: str) -> str:
    """One unit: what comes before, the program, what comes after."""
    start, before, after = (_value(unit, key) for key in ("ExecStart", "ExecStartPre", "ExecStartPost"))
    log = f">>/var/log/{name}.log 2>&1"
    lines = [before] if before else []
    lines.append(start if "Type=oneshot" in unit else f"while :; do {start} {log}; sleep 0.3; done &")
    if after:
        lines += ["until ctr version >/dev/null 2>&1; do sleep 0.05; done", after]
    return "{\n" + "\n".join(lines) + "\n}"


def _value(unit: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", unit, re.MULTILINE)
    return found[1].replace("$$", "$") if found else ""
