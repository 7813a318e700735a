"""EC2's instances as machines: power follows state, one change at a time, and what fails is recorded."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from islanding.lab import fleet as module
from islanding.lab.fleet import Fleet
from islanding.lab.region.instances import InstanceState
from islanding.wait import wait_until


@dataclass
class Recorder:
    """What machines were told, and what EC2 says; `disks` and `gate` hold one that is being made, or powered on."""

    states: dict[str, InstanceState] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    disks: threading.Event = field(default_factory=threading.Event)
    fails: str = ""

    def say(self, name: str, state: str, reboots: int = 0) -> None:
        """Have EC2 say something of an instance."""
        self.states[name] = replace(INSTANCE, id=name, state=state, reboots=reboots)


INSTANCE = InstanceState(
    id="", name="", state="running", private_address="10.0.0.4", private_dns_name="", mac="02:00:00:00:00:01",
    subnet="", subnet_cidr="", vpc="", vpc_cidr="", zone="", instance_profile="", role="", key_name="", public_key="",
    image="", type="t3.small", launched=datetime(2026, 1, 1, tzinfo=UTC), outpost_arn="", reboots=0,
)  # fmt: skip


@pytest.fixture
def ec2() -> Recorder:
    """EC2, and the record of what machines were told; nothing is held."""
    recorder = Recorder()
    recorder.gate.set()
    recorder.disks.set()
    return recorder


@pytest.fixture
def fleet(ec2: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A fleet whose machines only record what they are told: real ones need root."""

    class FakeMachine:
        def __init__(self, spec: Any, **_: Any) -> None:
            self.name = spec.name
            self.wanted_on = False

        @property
        def running(self) -> bool:
            return self.wanted_on

        def create_disk(self) -> None:
            (tmp_path / self.name).mkdir()
            ec2.told.append((self.name, "disk"))
            assert ec2.disks.wait(10)

        def power_on(self) -> None:
            assert ec2.gate.wait(10)
            if ec2.fails:
                raise RuntimeError(ec2.fails)
            self.wanted_on = True
            ec2.told.append((self.name, "on"))

        def power_off(self) -> None:
            self.wanted_on = False
            ec2.told.append((self.name, "off"))

        def reset(self) -> None:
            ec2.told.append((self.name, "reset"))

    monkeypatch.setattr(module, "Machine", FakeMachine)

    class Plugs:
        def replug(self, instance: str) -> None:
            ec2.told.append((instance, "replug"))

    return Fleet(
        lab_id="t",
        folder=tmp_path,
        logs=tmp_path,
        image=tmp_path,
        binds={},
        plane=Plugs(),
        instances=lambda: list(ec2.states.values()),
        files=lambda _state: {},
        halted=lambda _name: None,
        errors=ec2.errors.append,
    )


def follow(fleet: Fleet) -> None:
    """Have the fleet follow EC2, and wait until it has."""
    fleet.follow()
    wait_until("the fleet to settle", fleet.settled, timeout=10, interval=0.01, done=bool)


def test_power_follows_state(fleet: Fleet, ec2: Recorder, tmp_path: Path) -> None:
    """Launched, stopped, started and terminated: the machine is on, off, on with the same disk, and gone."""
    for state in ("pending", "running", "stopping", "stopped", "running", "terminated"):
        ec2.say("i-1", state)
        follow(fleet)

    assert ec2.told == [("i-1", what) for what in ("disk", "on", "off", "on", "off")]
    assert (list(tmp_path.iterdir()), ec2.errors) == ([], [])


def test_a_reboot_is_a_reset_once(fleet: Fleet, ec2: Recorder) -> None:
    """Each reboot that EC2 counts resets the machine one time."""
    for reboots in (0, 1, 1, 2):
        ec2.say("i-1", "running", reboots)
        follow(fleet)

    assert ec2.told == [("i-1", what) for what in ("disk", "on", "reset", "reset")]


@pytest.mark.parametrize("state", ["stopped", "terminated"])
def test_what_never_ran_gets_no_machine(fleet: Fleet, ec2: Recorder, state: str) -> None:
    """An instance that is over before the lab looks leaves nothing."""
    ec2.say("i-1", state)
    follow(fleet)

    assert ec2.told == []


@pytest.mark.parametrize("held", ["disks", "gate"])
def test_the_newest_state_counts(fleet: Fleet, ec2: Recorder, held: str) -> None:
    """What changes while a machine is being made, or powered on, is done after that, in its turn."""
    gate: threading.Event = getattr(ec2, held)
    gate.clear()
    ec2.say("i-1", "running")
    fleet.follow()
    wait_until("the disk", lambda: ("i-1", "disk") in ec2.told, timeout=10, interval=0.01, done=bool)
    ec2.say("i-1", "terminated")
    fleet.follow()
    gate.set()
    wait_until("the fleet to settle", fleet.settled, timeout=10, interval=0.01, done=bool)

    assert ec2.told == [("i-1", what) for what in ("disk", "on", "off")]


def test_instances_do_not_wait_for_each_other(fleet: Fleet, ec2: Recorder) -> None:
    """One that takes long does not hold another back."""
    ec2.gate.clear()
    for name in ("i-1", "i-2"):
        ec2.say(name, "running")
    fleet.follow()
    wait_until("both disks", lambda: len(ec2.told) == 2, timeout=10, interval=0.01, done=bool)
    held = not fleet.settled()
    ec2.gate.set()
    wait_until("the fleet to settle", fleet.settled, timeout=10, interval=0.01, done=bool)

    assert (held, sorted(ec2.told[2:])) == (True, [("i-1", "on"), ("i-2", "on")])


def test_what_fails_is_recorded(fleet: Fleet, ec2: Recorder) -> None:
    """A machine that cannot be powered on is an error of the lab's, which makes a run inconclusive."""
    ec2.fails = "no space left"
    ec2.say("i-1", "running")
    follow(fleet)

    assert ec2.errors == ["power of i-1: RuntimeError: no space left"]
