"""An instance as a machine: its own root over the machine image, its own namespaces, systemd as pid 1, real cloud-init.

As on a real machine, a power cycle loses everything but the disk: the network namespace is deleted and made anew. Who
lays the cables is told by the machine's `Cabling`: the VPC's data plane, or AWS's service that owns the machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import tty
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Protocol

from islanding.errors import LabError
from islanding.lab import cgroups, kernel
from islanding.lab.namespaces import NETNS
from islanding.process import Result, run
from islanding.wait import wait_until

SSH_USER = "ec2-user"  # of the machine image, who may do everything by sudo


class Cabling(Protocol):
    """How a machine comes by its network namespace, which is named after the machine."""

    def plug(self, name: str) -> None:
        """Make the machine's namespace anew with everything that is plugged into it."""

    def unplug(self, name: str) -> None:
        """Take the machine off the network; nothing happens when it is off already."""


@dataclass(frozen=True)
class MachineFile:
    """A file laid on the machine's disk before its first boot, or a symbolic link to `target`."""

    content: bytes = b""
    mode: int = 0o644
    target: str = ""


def enabled(*units: str) -> dict[str, MachineFile]:
    """The links by which systemd starts units at boot."""
    folder = "/etc/systemd/system"
    return {
        f"{folder}/multi-user.target.wants/{unit}.service": MachineFile(target=f"{folder}/{unit}.service")
        for unit in units
    }


@dataclass(frozen=True)
class MachineSpec:
    """What a machine is made of. `binds` maps host folders to folders inside, read by the machine."""

    name: str
    cabling: Cabling
    files: Mapping[str, MachineFile] = field(default_factory=dict)
    binds: Mapping[str, str] = field(default_factory=dict)


class Machine:
    """A machine of the lab; `on_halt(machine)` is called when it has powered itself off."""

    def __init__(
        self,
        spec: MachineSpec,
        *,
        lab_id: str,
        folder: Path,
        logs: Path,
        image: Path,
        on_halt: Callable[[Machine], None],
    ) -> None:
        self.spec = spec
        self.boots = 0
        self._lab_id = lab_id
        self._folder = folder
        self._logs = logs
        self._image = image
        self._on_halt = on_halt
        self._process: subprocess.Popen[bytes] | None = None
        self._wanted_on = False
        self._lock = threading.RLock()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def wanted_on(self) -> bool:
        """Whether it is to have power, whatever it does with it."""
        return self._wanted_on

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The machine's pid 1, as the lab's pid namespace numbers it; raises LabError when it is off."""
        process = self._process
        if process is None or process.poll() is not None:
            raise LabError(f"machine {self.name} is not powered on", f"islanding lab logs {self.name} says why")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if not children:
            raise LabError(f"machine {self.name} has no first process yet")
        return int(children[0])

    def create_disk(self) -> None:
        """Lay a fresh disk: an empty upper layer over the image, with the machine's files on it."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for part in ("upper", "work", "root", "data"):
            (self._folder / part).mkdir(parents=True)
        self._journal.mkdir(parents=True, exist_ok=True)
        self.lay(self.spec.files)

    def lay(self, files: Mapping[str, MachineFile]) -> None:
        """Put files on the disk of a machine that has no power."""
        for path, file in files.items():
            place = self._folder / "upper" / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)  # never through a link to what lies elsewhere
            if file.target:
                place.symlink_to(file.target)
                continue
            place.write_bytes(file.content)
            place.chmod(file.mode)

    @property
    def _console(self) -> Path:
        return self._logs / f"{self.name}.console.log"

    @property
    def _journal(self) -> Path:
        return self._logs / f"{self.name}.journal"

    def power_on(self) -> None:
        """Plug the machine in and start its first process; returns at once, while it boots."""
        with self._lock:
            if self.running:
                return
            self._wanted_on = True
            self._unplug()
            self.spec.cabling.plug(self.name)
            self.boots += 1
            console, terminal = os.openpty()
            tty.setraw(terminal)
            self._process = self._launch(os.ttyname(terminal))
            self._thread("console", self._record, console)
            self._thread("attend", self._attend, self._process, terminal)

    def _thread(self, what: str, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, daemon=True, name=f"{what}-{self.name}").start()

    def _launch(self, terminal: str) -> subprocess.Popen[bytes]:
        group = f"machine-{self.name}"
        # Groups of the last boot would be taken for pods that run: each costs the kubelet three seconds.
        cgroups.remove(self._lab_id, group)
        groups = cgroups.create(self._lab_id, group)
        binds = {
            str(self._folder / "data"): "/var/lib/containerd",
            str(self._journal): "/var/log/journal",
            **self.spec.binds,
        }
        environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "NAME": self.name,
            "IMAGE": str(self._image),
            "DIR": str(self._folder),
            "CONSOLE": terminal,
            "CGROUPS": " ".join(map(str, groups)),
            "CGROUP_VERSION": str(cgroups.version()),
            "BINDS": " ".join(f"{source}:{target}" for source, target in binds.items()),
        }
        boot = resources.files("islanding.lab") / "guest" / "boot.sh"
        command = [
            "nsenter", f"--net={NETNS / self.name}",
            "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--propagation", "private",
            "/bin/sh", str(boot),
        ]  # fmt: skip
        with self._console.open("ab") as console:
            console.write(f"--- power on ({self.boots}) ---\n".encode())
            console.flush()
            return subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )

    def _record(self, console: int) -> None:
        """Write down what the machine says on its console, until its other end is closed."""
        with self._console.open("ab", buffering=0) as log, contextlib.suppress(OSError):  # EIO: nobody has it open
            while said := os.read(console, 65536):
                log.write(said)
        os.close(console)

    def _attend(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        """Wait for the machine's end: as in a container, the kernel says SIGHUP for a reboot and SIGINT for a halt."""
        code = process.wait()
        os.close(terminal)
        with self._lock:
            if not self._wanted_on or process is not self._process:
                return
            self._unplug()
            if code == -signal.SIGHUP:
                self.power_on()
                return
            self._wanted_on = False
        self._on_halt(self)

    def _unplug(self) -> None:
        """Take the machine off the network: without power, nothing of it answers any more."""
        self.spec.cabling.unplug(self.name)

    def power_off(self) -> None:
        """Pull the plug: every process is gone at once; the disk stays."""
        with self._lock:
            self._wanted_on = False
            process = self._process
            if process is not None and process.poll() is None:
                try:
                    os.kill(self.pid, signal.SIGKILL)
                except (LabError, ProcessLookupError):
                    process.kill()  # it has no first process yet, or none any more
                process.wait(timeout=10)
            self._unplug()

    def reset(self) -> None:
        """Power cycle without a shutdown, as the reset button does."""
        self.power_off()
        self.power_on()

    def argv(self, command: Sequence[str]) -> list[str]:
        """The argument vector that runs a command on the machine, from inside the lab, as its console would."""
        return ["nsenter", "--target", str(self.pid), "--all", "--", *command]

    def run(self, command: Sequence[str], *, timeout: float = 30.0, check: bool = True) -> Result:
        """Run a command on the machine to its end."""
        return run(self.argv(command), timeout=timeout, check=check, host=self.name)

    def wait_booted(self, timeout: float = 60.0) -> None:
        """Wait until sshd answers on the machine's address."""
        wait_until(f"sshd of {self.name}", self._ssh_listens, timeout=timeout, interval=0.05)

    def _ssh_listens(self) -> bool:
        listening = run(kernel.inside(self.name, ["ss", "-Hltn", "sport = :22"]), check=False).stdout
        return bool(listening.strip())
