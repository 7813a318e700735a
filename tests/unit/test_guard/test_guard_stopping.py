"""A stop condition that comes true while a fault is held heals it at once and breaks the run off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from islanding import faults, guard
from islanding.errors import ExitCode, IslandingError
from islanding.faults.apply import cut
from islanding.guard import stops
from islanding.guardconf import Guardrails
from islanding.journal import read
from islanding.model import Site
from islanding.sampling import observe
from islanding.stopping import Stopped, watching_stops
from islanding.undo import State, UndoLog
from tests.unit.test_faults.network import Network


@pytest.fixture(autouse=True)
def _nothing_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sites of tests have one id: what stopped another test is forgotten."""
    monkeypatch.setattr(stops, "_stopped", {})
    monkeypatch.setattr(stops, "_watched", {})


def under(network: Network, *conditions: dict[str, Any]) -> Site:
    """The site with these stop conditions."""
    rails = Guardrails.model_validate({"stop": list(conditions)})
    return network.site.model_copy(update={"guardrails": rails})


def alarm(network: Network, state: str) -> None:
    """The alarm `checkout` is in this state."""
    cloudwatch = network.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="checkout", MetricName="errors", Namespace="shop", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1.0, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="checkout", StateValue=state, StateReason="as it is")


def hold(network: Network, site: Site, during: Callable[[], None], *kinds: tuple[str, dict[str, Any]]) -> None:
    """Hold faults as cases do, one inside the other, and wait for longer than any condition takes."""
    with ExitStack() as held:
        for kind, params in kinds:
            held.enter_context(watching_stops(site, network.bench.journal))
            held.enter_context(cut(site, faults.make(kind, **params), network.bench.journal))
        cut_off = network.state()
        try:
            during()
            threading.Event().wait(30)
        except KeyboardInterrupt:
            assert cut_off != network.state()  # healed before it is broken off, whatever waits here
            raise
        pytest.fail("it was not broken off")


def test_an_alarm_heals_a_fault_that_is_held_and_breaks_off(network: Network) -> None:
    """The main thread waits for something else; AWS and the journal are as after an undo; no more is applied."""
    alarm(network, "OK")
    before = network.state()
    site = under(network, {"alarm": "checkout", "interval": 0.05})

    def during() -> None:
        assert before != network.state()
        alarm(network, "ALARM")

    with pytest.raises(Stopped, match="healed: alarm checkout is in ALARM") as stopped:
        hold(network, site, during, ("endpoint-removed", {"service": "s3"}))

    types = [event.type for event in read(network.bench.journal.path)]
    assert ExitCode.INCONCLUSIVE == stopped.value.exit_code
    assert before == network.state()
    assert [State.UNDONE] == [entry.state for entry in UndoLog.for_site(site.id).read().entries]
    assert ["fault-planned", "fault-applied", "fault-stopped", "fault-undone", "fault-healed"] == types
    alarm(network, "OK")
    with pytest.raises(guard.Refused, match="guardrail stop: alarm checkout is in ALARM"):
        hold(network, site, during, ("endpoint-removed", {"service": "s3"}))


def test_two_faults_are_healed_by_one_condition(network: Network) -> None:
    """All that this run has applied goes, the latest first."""
    alarm(network, "OK")
    before = network.state()
    site = under(network, {"alarm": "checkout", "interval": 0.05})
    kinds = [("endpoint-removed", {"service": service}) for service in ("s3", "ec2")]
    with pytest.raises(Stopped):
        hold(network, site, lambda: alarm(network, "ALARM"), *kinds)

    assert before == network.state()
    assert [State.UNDONE] * 2 == [entry.state for entry in UndoLog.for_site(site.id).read().entries]


def test_a_probe_stops_only_after_its_seconds(network: Network) -> None:
    """A session that is down for less than asked stops nothing; one that stays down heals the fault."""
    site = under(network, {"probe": "bgp", "with": {"session": "service-link"}, "seconds": 2.0, "interval": 0.05})
    down, before, since = network.bench.folder / "shut", network.state(), []

    def during() -> None:
        down.touch()
        threading.Event().wait(0.3)
        down.unlink()
        threading.Event().wait(3.0)
        assert "" == stops.stopped(site.id)
        since.append(time.monotonic())
        down.touch()

    with pytest.raises(Stopped, match=r"probe bgp was .* for \d+\.\d s"):
        hold(network, site, during, ("route-removed", {}))

    assert time.monotonic() - since[0] >= 2.0
    assert before == network.state()


def test_a_look_that_takes_long_says_not_that_it_was_bad_for_long(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad look of a busy machine, longer than the seconds asked for, stops nothing: only two looks span a time."""
    site = under(network, {"probe": "bgp", "with": {"session": "service-link"}, "seconds": 0.3, "interval": 0.05})
    down, looks, third = network.bench.folder / "shut", 0, threading.Event()
    went_on: list[str] = []

    def slow(*args: Any) -> Any:
        nonlocal looks
        looks += 1
        seen = observe(*args)
        if looks == 1:
            threading.Event().wait(0.6)
            down.unlink()
        elif looks == 3:
            third.set()
        return seen

    def during() -> None:
        assert third.wait(20)
        went_on.append(stops.stopped(site.id))
        down.touch()

    monkeypatch.setattr("islanding.stopping.observe", slow)
    down.touch()
    with pytest.raises(Stopped, match="probe bgp was"):
        hold(network, site, during, ("route-removed", {}))

    assert [""] == went_on


def test_a_probe_that_the_site_has_not_is_refused_before_anything_is_broken(network: Network) -> None:
    """The mistake is named, and nothing is watched."""
    site = under(network, {"probe": "bgp", "with": {"session": "nonsense"}})
    with pytest.raises(IslandingError, match="nonsense"), watching_stops(site, network.bench.journal):
        pass

    assert not stops.watched(site.id)


def test_ctrl_c_is_ctrl_c_where_nothing_stopped(network: Network) -> None:
    """Only a condition that came true turns an interrupt into a stop."""
    alarm(network, "OK")
    with pytest.raises(KeyboardInterrupt), watching_stops(under(network, {"alarm": "checkout"}), network.bench.journal):
        raise KeyboardInterrupt
