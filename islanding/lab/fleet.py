"""EC2's instances as machines: each gets a disk when it is launched, and its power follows EC2's state from then on."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from islanding.lab.machine import Machine, MachineFile, MachineSpec
from islanding.lab.namespaces import NETNS
from islanding.lab.region.instances import InstanceState

POWERED = frozenset({"pending", "running"})


class Plugs(Protocol):
    """The part of the data plane that a machine needs."""

    def replug(self, instance: str) -> None:
        """Make the network namespace of an instance anew, with everything that is plugged into it."""


class VpcCabling:
    """An instance's cables are the data plane's: it lays them when EC2 says so, and again for a power cycle.

    Unplugging needs no doing: an instance that EC2 does not hold for running has lost its namespace already.
    """

    def __init__(self, plane: Plugs) -> None:
        self._plane = plane
        self._used: dict[str, int] = {}  # inode of the namespace that a machine has had last

    def plug(self, name: str) -> None:
        """See that the namespace is a fresh one: that of the last boot is made anew."""
        if _inode(name) == self._used.get(name):
            self._plane.replug(name)
        self._used[name] = _inode(name)

    def unplug(self, name: str) -> None:
        """Nothing to do."""


def _inode(name: str) -> int:
    return (NETNS / name).stat().st_ino


class Fleet:
    """The machines of one account's instances.

    `files` gives what the instance's AMI lays on its disk; `errors` takes what went wrong, which makes a run
    inconclusive; `halted` is told of an instance that powered itself off.
    """

    def __init__(
        self,
        *,
        lab_id: str,
        folder: Path,
        logs: Path,
        image: Path,
        binds: dict[str, str],
        plane: Plugs,
        instances: Callable[[], Iterable[InstanceState]],
        files: Callable[[InstanceState], dict[str, MachineFile]],
        halted: Callable[[str], None],
        errors: Callable[[str], None],
    ) -> None:
        self._lab_id = lab_id
        self._folder = folder
        self._logs = logs
        self._image = image
        self._binds = binds
        self._cabling = VpcCabling(plane)
        self._instances = instances
        self._files = files
        self._halted = halted
        self._errors = errors
        self._machines: dict[str, Machine] = {}
        self._reboots: dict[str, int] = {}
        self._turns: dict[str, threading.Lock] = {}  # one change of power at a time for each instance
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=8, thread_name_prefix="power")
        self._under_way: set[Future[None]] = set()

    def machine(self, instance: str) -> Machine:
        """The machine of an instance; raises KeyError while it has none."""
        return self._machines[instance]

    def follow(self) -> None:
        """Have every machine's power follow EC2's state; returns at once, the work is done in threads."""
        for state in self._instances():
            with self._lock:
                turn = self._turns.setdefault(state.id, threading.Lock())
            if turn.locked() or self._differs(state):  # what is under way may be for a state before this one
                future = self._pool.submit(self._converge, state.id, turn)
                self._under_way.add(future)
                future.add_done_callback(self._under_way.discard)

    def settled(self) -> bool:
        """Whether nothing is being powered on or off."""
        return not self._under_way

    def _differs(self, state: InstanceState) -> bool:
        machine = self._machines.get(state.id)
        if machine is None:
            return state.state in POWERED
        if state.state == "terminated":
            return True
        return machine.wanted_on != (state.state in POWERED) or state.reboots > self._reboots.get(state.id, 0)

    def _converge(self, instance: str, turn: threading.Lock) -> None:
        """Bring one machine to what EC2 says now, which may be newer than what called for it."""
        with turn:
            state = next((s for s in self._instances() if s.id == instance), None)
            try:
                if state is None or self._differs(state):
                    self._bring(instance, state)
            except Exception as error:  # recorded with the Region's errors: a run that saw one is inconclusive
                self._errors(f"power of {instance}: {type(error).__name__}: {error}")

    def _bring(self, instance: str, state: InstanceState | None) -> None:
        machine = self._machines.get(instance)
        if state is None or state.state == "terminated":
            if machine is not None:
                machine.power_off()
                self._machines.pop(instance, None)
                shutil.rmtree(self._folder / instance, ignore_errors=True)
            return
        if state.state not in POWERED:
            if machine is not None:
                machine.power_off()
            return
        if machine is None:
            machine = self._make(state)
            machine.power_on()
        elif state.reboots > self._reboots.get(instance, 0) and machine.running:
            machine.reset()
        else:
            machine.power_on()
        self._reboots[instance] = state.reboots

    def _make(self, state: InstanceState) -> Machine:
        spec = MachineSpec(state.id, self._cabling, files=self._files(state), binds=self._binds)
        machine = Machine(
            spec,
            lab_id=self._lab_id,
            folder=self._folder / state.id,
            logs=self._logs,
            image=self._image,
            on_halt=lambda halted: self._halted(halted.name),
        )
        machine.create_disk()
        self._machines[state.id] = machine
        return machine
