"""What differs between two runs, and what is noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.history.diff import compare, judged_figures
from islanding.history.noise import ENOUGH, judge
from islanding.history.record import Series
from islanding.history.wording import same_words
from tests.unit.test_history.conftest import UNAUTHORIZED


def told(changes) -> list[tuple[str, str, str, str]]:
    """The changes without their notes."""
    return [(change.area, change.what, change.before, change.after) for change in changes]


def test_run_differs_in_nothing_from_itself(runs, case) -> None:
    """And a second run that showed the same differs in nothing either, though its clock and ids are others."""
    one = runs.recorded("a", 0, case("a case"), facts={"vpc_id": "vpc-0a1b2c3d4e5f"})
    other = runs.recorded("b", 1, case("a case"), facts={"vpc_id": "vpc-ffffffffff11"})

    assert [] == compare(one, one)
    assert [] == compare(one, other)


@pytest.mark.parametrize(
    ("changed", "change"),
    [
        pytest.param(
            {"parts": {"kubernetes": "1.36.4", "etcd": "3.7.3"}},
            ("components", "part kubernetes", "1.36.3", "1.36.4"),
            id="version",
        ),
        pytest.param(
            {"hashes": {"etcd": "e7" * 32, "kubelet": "b2" * 32}},
            ("components", "part kubelet", "sha256 a1a1a1a1a1a1a1a1", "sha256 b2b2b2b2b2b2b2b2"),
            id="binary of the same version",
        ),
        pytest.param(
            {"hashes": {"etcd": "00" * 32, "kubelet": "a1" * 32}},
            ("components", "part etcd", "3.7.3, sha256 e7e7e7e7e7e7e7e7", "3.7.3, sha256 0000000000000000"),
            id="hash beside a version",
        ),
        pytest.param(
            {"parts": {"kubernetes": "1.36.3", "etcd": "3.7.3", "frr": "8.4"}},
            ("components", "part frr", "", "8.4"),
            id="new part",
        ),
        pytest.param({"revision": "77"}, ("components", "code of islanding", "3f9c2d1", "77"), id="revision"),
        pytest.param(
            {
                "inputs": {
                    "sites/outpost-local/site.yaml": "c" * 64,
                    "sites/other/site.yaml": "d" * 64,
                    "options.json": "e",
                }
            },
            ("components", "input sites/outpost-local/site.yaml", "", "sha256 cccccccccccccccc"),
            id="file that the run was given",
        ),
        pytest.param({"target": "aws"}, ("components", "target", "lab", "aws"), id="target"),
        pytest.param(
            {"facts": {"metric_period": "60"}},
            ("components", "setting of outpost-local: metric_period", "1", "60"),
            id="setting of a site",
        ),
    ],
)
def test_changed_component_is_named(runs, changed: dict[str, object], change: tuple[str, str, str, str]) -> None:
    """One component that was changed is the one difference, with both states."""
    assert [change] == told(compare(runs.recorded("a", 0), runs.recorded("b", 1, **changed)))


def test_verdicts_and_rows_that_changed_are_told(runs, case) -> None:
    """A case that fails now, one that is gone, one that is new, and what that means for the rows."""
    one = runs.recorded("a", 0, case("kept"), case("gone", rows=("O-09",)))
    other = runs.recorded("b", 1, case("kept", "fail", reason="was let in"), case("new", rows=("O-06",)))

    assert [
        ("verdicts", "the run", "pass (exit code 0)", "fail (exit code 1)"),
        ("verdicts", "site outpost-local", "pass", "fail"),
        ("verdicts", "outpost-local, kept", "pass", "fail"),
        ("verdicts", "outpost-local, gone", "pass", ""),
        ("verdicts", "outpost-local, new", "", "pass"),
        ("requirements", "O-07", "pass", "fail"),
        ("requirements", "O-09", "pass", ""),
        ("requirements", "O-06", "", "pass"),
    ] == sorted(told(compare(one, other)), key=lambda change: change[0] != "verdicts")


def test_outcomes_and_wordings_that_changed_are_told(runs, case) -> None:
    """A new outcome is told by its name, a new text of a known outcome by both texts."""
    good, denied = ("ALLOWED", True, "NAME"), ("UNAUTHORIZED", False, UNAUTHORIZED)
    worded = ("UNAUTHORIZED", False, "error: token expired")
    one = runs.recorded("a", 0, case("a", samples=(good,)), case("b", samples=(denied,)))
    other = runs.recorded("b", 1, case("a", samples=(good, denied)), case("b", samples=(worded,)))

    assert [
        ("messages", "outpost-local, a, kubectl: UNAUTHORIZED", "", "seen"),
        ("messages", "outpost-local, b, kubectl: UNAUTHORIZED", UNAUTHORIZED, ""),
        ("messages", "outpost-local, b, kubectl: UNAUTHORIZED", "", "error: token expired"),
    ] == told(compare(one, other))


def test_reason_of_a_case_that_fails_otherwise_is_told(runs, case) -> None:
    """Two failures are not the same when their reasons differ in more than numbers."""
    one = runs.recorded("a", 0, case("a", "fail", reason="silent for 12.1 s"))
    again = runs.recorded("b", 1, case("a", "fail", reason="silent for 13.9 s"))
    other = runs.recorded("c", 2, case("a", "fail", reason="was let in"))

    assert [] == compare(one, again)
    assert [("messages", "outpost-local, a, why it is fail", "silent for 12.1 s", "was let in")] == told(
        compare(one, other)
    )


def test_time_beyond_noise_is_told_with_its_method(runs, case) -> None:
    """With a history the spread of earlier runs decides, without one a fixed threshold."""
    one = runs.recorded("a", 0, case("a", seconds=10.0, measured={"cut to NotReady": 18.0}))
    other = runs.recorded("b", 1, case("a", seconds=10.5, measured={"cut to NotReady": 22.0}))
    series = Series("outpost-local", "a", "cut to NotReady", "s")

    assert [] == compare(one, other)
    assert [] == compare(one, other, {series: [18.0, 25.0, 20.0, 22.0, 15.0]})
    (change,) = compare(one, other, {series: [18.0, 18.1, 17.9, 18.2, 18.0]})
    assert ("outpost-local, a: cut to NotReady", "18 s", "22 s") == (change.what, change.before, change.after)
    assert "noise 0.9 s: median absolute deviation of 5 earlier runs" == change.note
    assert 4 == len(judged_figures(one, other, {}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 200 OK: web-5cbfc79cf6-w76rp", "HTTP 200 OK: web-7d4f8b9c5d-x2k9q"),
        ("dial tcp 10.2.0.10:443: i/o timeout", "dial tcp 10.20.0.7:6443: i/o timeout"),
        (
            "READY: ip-10-2-1-15 Ready=True; ip-10-2-1-23 Ready=Unknown",
            "READY: ip-10-2-1-7 Ready=Unknown; ip-10-2-1-9 Ready=True",
        ),
        ("lookup 0313648482C4F64AA00077F0DEC99DFE.gr7", "lookup AB13648482C4F64AA00077F0DEC99D00.gr7"),
        ("Failed for [eni-53c789ec55cfc4942]", "Failed for [eni-c1d1029acddd754c2]"),
        ("id 1b671a64-40d5-491e-99b0-da01ff1f3341", "id 6ec0bd7f-11c0-43da-975e-2a8ad9ebae0b"),
    ],
)
def test_same_words(one: str, other: str) -> None:
    """Names given at random, addresses, ids and the order of nodes make no other message."""
    assert same_words(one) == same_words(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (UNAUTHORIZED, "error: You must be logged in to the server (Forbidden)"),
        ("Ready=True", "Ready=Unknown"),
        ("connect: timed out", "connect: refused"),
        ("failed to deadbeef", "failed to decade"),
    ],
)
def test_other_words(one: str, other: str) -> None:
    """A message that says something else stays another one."""
    assert same_words(one) != same_words(other)


VALUES = st.floats(0.01, 1e6)


@given(VALUES, VALUES, st.lists(VALUES, max_size=60), st.sampled_from(["s", "MiB", ""]))
def test_noise_is_fair(before: float, after: float, earlier: list[float], unit: str) -> None:
    """Equal values never differ, the order of the two does not matter, and the method fits the number of runs."""
    judged = judge(before, after, unit, earlier)

    assert not judge(before, before, unit, earlier).changed
    assert judged.changed == judge(after, before, unit, earlier).changed
    assert ("deviation" in judged.method) == (len(earlier) >= ENOUGH)


def test_one_odd_run_does_not_widen_the_noise() -> None:
    """The median absolute deviation is robust: an outage of a hundred seconds in one earlier run changes nothing."""
    calm = [10.0, 10.1, 9.9, 10.2, 10.0, 9.8]

    assert judge(10.0, 12.0, "s", calm).changed
    assert judge(10.0, 12.0, "s", [*calm, 110.0]).changed
    assert not judge(10.0, 12.0, "s", [5.0, 15.0, 8.0, 12.0, 10.0]).changed


@pytest.mark.parametrize(
    ("before", "after", "unit", "changed"),
    [
        (1.0, 3.4, "s", False),
        (1.0, 3.6, "s", True),
        (60.0, 91.0, "s", False),
        (60.0, 93.0, "s", True),
        (1000.0, 1400.0, "MiB", False),
        (1000.0, 1600.0, "MiB", True),
    ],
)
def test_threshold_without_a_history(before: float, after: float, unit: str, changed: bool) -> None:
    """Half of the smaller value, and two seconds more for times."""
    assert changed == judge(before, after, unit, []).changed
