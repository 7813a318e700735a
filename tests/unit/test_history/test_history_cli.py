"""The commands: what is printed, what is written, which exit code."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from islanding import cli
from islanding.errors import ExitCode
from islanding.evidence.openmetrics import render_metrics
from islanding.evidence.results import load_result
from islanding.history import charts, sources
from islanding.history.recording import remember


def islanding(*args: object) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli.main, [str(arg) for arg in args])


def bundle(home: Path, path: Path, prefix: str = "", extra: dict[str, str] | None = None) -> Path:
    """A zip of the run in `home`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.write(home / "journal.jsonl", f"{prefix}journal.jsonl")
        for name, text in (extra or {}).items():
            zipped.writestr(name, text)
    return path


def test_list_in_each_format(runs, case) -> None:
    """The same run as table, JSON and CSV."""
    runs.recorded("a", 0, case("x"), case("y", "fail"))
    table, as_json, as_csv = (islanding("history", "--format", shape).stdout for shape in ("table", "json", "csv"))

    assert [
        "a",
        "2026-11-01 02:00:00 UTC",
        "lab",
        "outpost-local",
        "fail",
        "1 fail, 1 pass",
        "41.0 s",
        "3f9c2d1",
    ] == re.split(" {2,}", table.splitlines()[1])
    (said,) = json.loads(as_json)
    assert ("a", {"outpost-local": "fail"}, {"fail": 1, "pass": 1}) == (said["run"], said["sites"], said["counts"])
    (row,) = csv.DictReader(io.StringIO(as_csv))
    assert ("a", "2026-11-01T02:00:00.000+00:00", "41.000") == (row["run"], row["started"], row["duration"])


def test_empty_history_says_how_it_is_filled(home: Path) -> None:
    """Nothing is no mistake."""
    said = islanding("history")

    assert ExitCode.OK == said.exit_code
    assert "islanding history import" in said.stdout


def test_import_takes_folders_journals_and_bundles_once(runs, tmp_path: Path) -> None:
    """The second time changes nothing; what cannot be read is said, and the others are recorded all the same."""
    one, two = runs.write("one"), runs.write("two", 1)
    zipped = bundle(runs.write("three", 2), tmp_path / "three.zip", "bundle/")
    first = islanding("history", "import", one, two / "journal.jsonl", zipped)
    again = islanding("history", "import", tmp_path / "nothing", zipped)

    assert "one: recorded\ntwo: recorded\nthree: recorded\n" == first.stdout
    assert (ExitCode.OK, ExitCode.SETUP) == (first.exit_code, again.exit_code)
    assert "three: known already\n" == again.stdout
    assert "not recorded:" in again.stderr


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param(["report.html"], "holds no journal.jsonl", id="none"),
        pytest.param(["journal.jsonl", "b/journal.jsonl"], "holds 2 journal.jsonl", id="two"),
        pytest.param(["a/b/journal.jsonl"], "holds no journal.jsonl", id="too deep"),
    ],
)
def test_zip_that_is_no_bundle_is_refused(runs, tmp_path: Path, names: list[str], words: str) -> None:
    """A zip must hold one journal, at its top or in the one folder there."""
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name in names:
            zipped.writestr(name, "{}")

    said = islanding("history", "import", path)
    assert (ExitCode.SETUP, True) == (said.exit_code, words in said.stderr)


def test_names_in_a_zip_are_no_paths(runs, tmp_path: Path) -> None:
    """A member that climbs out of the folder is never written."""
    zipped = bundle(runs.write("a"), tmp_path / "b.zip", "../", {"../../evil": "x"})

    assert "a: recorded\n" == islanding("history", "import", zipped).stdout
    assert [] == list(tmp_path.parent.glob("evil")) + list(tmp_path.glob("**/evil"))


def test_zip_that_swells_is_stopped(runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out is counted, whatever the zip's list says."""
    monkeypatch.setattr(sources, "MOST_BYTES", 500)
    said = islanding("history", "import", bundle(runs.write("a"), tmp_path / "b.zip"))

    assert (ExitCode.SETUP, True) == (said.exit_code, "larger than" in said.stderr)


def test_cut_off_zip_is_refused(runs, tmp_path: Path) -> None:
    """A damaged member is said, not a traceback."""
    path = bundle(runs.write("a"), tmp_path / "b.zip")
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)

    said = islanding("history", "import", path)
    assert (ExitCode.SETUP, True) == (said.exit_code, "cannot be unpacked" in said.stderr)


def test_show_tells_cases_rows_components_and_figures(runs, case) -> None:
    """Everything of a run in one place, each row with its last pass."""
    runs.recorded("good", 0, case("a"))
    runs.recorded("bad", 1, case("a", "fail", reason="was let in\x1b[2J", measured={"silence": 3.5}))
    text = islanding("history", "show", "bad").stdout
    said = json.loads(islanding("history", "show", "bad", "--format", "json").stdout)

    for words in (
        "fail         a",
        "was let in‹ESC›[2J",
        "last pass 2026-11-01 02:00:00 UTC",
        "etcd 3.7.3",
        "silence: 3.5 s",
    ):
        assert words in text
    assert {"O-07": "2026-11-01T02:00:00.000+00:00"} == said["last_pass"]


def test_requirements_tell_the_last_pass_of_every_row(runs, case) -> None:
    """A row that never passed, or that no run covers, is in the list too."""
    runs.recorded("good", 0, case("a"))
    runs.recorded("bad", 1, case("a", "fail", rows=("O-07", "O-06")))
    rows = {row["row"]: row for row in json.loads(islanding("history", "requirements", "--format", "json").stdout)}

    assert ("fail", "2026-11-01T02:00:00.000+00:00", "good") == tuple(
        rows["O-07"][k] for k in ("verdict", "last pass", "in run")
    )
    assert ("fail", "never") == (rows["O-06"]["verdict"], rows["O-06"]["last pass"])
    assert "not covered" == rows["C-01"]["verdict"]


def test_flakes_exit_with_one_when_there_are_some(runs, case) -> None:
    """A scheduler can act on it; the rule is printed with the numbers."""
    runs.recorded("r0", 0, case("a"))
    assert ExitCode.OK == islanding("history", "flakes").exit_code
    runs.recorded("r1", 1, case("a", "fail"))
    said = islanding("history", "flakes")

    assert ExitCode.FAILED == said.exit_code
    assert "1 of 2" in said.stdout
    assert "Wilson score, 95 %" in said.stdout


def test_prune_asks_what_to_keep(runs) -> None:
    """Without a rule nothing is taken."""
    runs.recorded("a")

    assert ExitCode.SETUP == islanding("history", "prune").exit_code
    assert "0 runs are gone\n" == islanding("history", "prune", "--keep-last", "1").stdout


def test_diff_exit_codes(runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 for the same, 1 for a difference, 3 for what is no run; by folder, name below runs/, id and bundle."""
    monkeypatch.chdir(tmp_path)
    runs.write("a")
    runs.recorded("b", 1, parts={"kubernetes": "1.37.0", "etcd": "3.7.3"})
    zipped = bundle(runs.folder / "a", tmp_path / "a.zip")
    same, other = islanding("diff", "a", zipped), islanding("diff", runs.folder / "a", "b")
    (runs.folder / "b" / "journal.jsonl").unlink()
    (runs.folder / "b").rmdir()

    assert (ExitCode.OK, True) == (same.exit_code, "Nothing differs." in same.stdout)
    assert (ExitCode.FAILED, True) == (other.exit_code, "part kubernetes: 1.36.3 → 1.37.0" in other.stdout)
    assert other.stdout.count("→") == islanding("diff", "a", "b").stdout.count("→") == 1
    assert ExitCode.SETUP == islanding("diff", "a", "c").exit_code


def test_diff_can_be_narrowed(runs, case) -> None:
    """What was not asked for counts neither in the text nor in the exit code."""
    one = runs.write("a", 0, case("x"))
    two = runs.write("b", 1, case("x"), revision="other")

    assert ExitCode.FAILED == islanding("diff", one, two).exit_code
    assert ExitCode.OK == islanding("diff", one, two, "--only", "verdicts", "--only", "figures").exit_code
    said = json.loads(islanding("diff", one, two, "--format", "json").stdout)
    assert ["code of islanding"] == [change["what"] for change in said["changes"]]


def test_diff_says_which_test_was_used(runs, case) -> None:
    """With five earlier runs the spread, else the threshold; both are told with how many figures they judged."""
    for day in range(5):
        runs.recorded(f"r{day}", day, case("a", seconds=10.0 + day / 100))
    slow = runs.write("slow", 9, case("a", seconds=18.0), case("new"))
    said = islanding("diff", "r4", slow, "--only", "figures").stdout

    assert "outpost-local, a: duration: 10.04 s → 18 s" in said
    assert "fixed threshold (earlier runs: 4, needed: 5)" in said
    runs.recorded("r5", 5, case("a", seconds=10.05))
    assert "  median absolute deviation of 5 earlier runs: " in islanding("diff", "r4", slow).stdout


def test_damaged_history_does_not_keep_two_folders_from_being_compared(runs, tmp_path: Path) -> None:
    """The history is a help there, not a need."""
    one = runs.write("a")
    runs.database.connection.close()
    runs.database.path.write_bytes(b"damaged" * 2000)
    said = islanding("diff", one, one)

    assert (ExitCode.OK, True) == (said.exit_code, "the history is left out" in said.stderr)


def test_run_is_never_failed_by_its_history(runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording gives a warning, whatever goes wrong."""
    result = load_result(runs.write("a"))
    assert "" == remember(result)
    runs.database.connection.close()
    runs.database.path.write_bytes(b"damaged" * 2000)

    assert "the history is damaged" in remember(result)
    monkeypatch.setattr("islanding.history.recording.add", lambda *_: 1 / 0)
    monkeypatch.setenv("ISLANDING_HISTORY", str(runs.folder / "other.sqlite"))
    assert "division by zero" in remember(result)


def test_trend_page_asks_nothing_of_others(runs, case, tmp_path: Path) -> None:
    """One file, without an address or a script; every drawing has a name and a text; texts are escaped."""
    for day, verdict in enumerate(["pass", "pass", "fail", "pass", "pass", "pass"]):
        seconds = 10.0 if day != 4 else 50.0
        runs.recorded(
            f"r{day}", day, case("<script>alert(1)</script>", verdict, seconds, measured={"silence": seconds})
        )
    page_file = tmp_path / "trend.html"
    assert ExitCode.OK == islanding("history", "trend", "--html", page_file).exit_code
    page = page_file.read_text()

    assert [] == re.findall(r"(?:https?:)?//[\w.]+|<script|<link|@import|url\(", page)
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert 6 == len(drawings)  # a strip for the site and for the row; run, ready, silence and the case's time
    for drawing in drawings:
        root = ET.fromstring(drawing)  # noqa: S314 - our own page
        assert root.get("role") == "img"
        assert root.findtext("title")
        assert root.findtext("desc")
    assert "5 pass, 1 fail; last pass, for 3 runs" in page
    assert "Outside the noise: r4" in page
    assert "prefers-color-scheme: dark" in page


def test_trend_of_nothing_is_refused(home: Path, tmp_path: Path) -> None:
    """A page without a run would say nothing."""
    assert ExitCode.SETUP == islanding("history", "trend", "--html", tmp_path / "t.html").exit_code


def test_strip_tells_verdicts_by_height() -> None:
    """Without colours a failure still stands out, and a run that did not happen is no pass."""
    root = ET.fromstring(charts.strip("O-07", ["pass", "fail", None], ["a", "b", "c"]))  # noqa: S314 - our own drawing

    assert ["7", "20", "1.6"] == [rect.get("height") for rect in root.iter("rect")]
    assert ["a: pass", "b: fail", "c: not run"] == [rect.findtext("title") for rect in root.iter("rect")]


def test_metrics_are_read_by_both_parsers(runs, case) -> None:
    """OpenMetrics and the older format of the textfile collector: gauges only, no time of the client's."""
    home = runs.write("a", 0, case("x", seconds=12.5), case("y", "fail", rows=("O-06",)))
    text = render_metrics(load_result(home)).decode()
    new, old = (list(parser(text)) for parser in (openmetrics, prometheus))

    assert [(f.name, f.type) for f in new] == [(f.name, f.type) for f in old if f.samples]
    assert {"gauge"} == {family.type for family in new}
    samples = {(s.name, frozenset(s.labels.values())): (s.value, s.timestamp) for family in old for s in family.samples}
    assert {None} == {stamp for _, stamp in samples.values()}
    assert (1, 0) == tuple(samples["islanding_run_verdict", frozenset((word,))][0] for word in ("fail", "pass"))
    assert 1 == samples["islanding_cases", frozenset(("outpost-local", "fail"))][0]
    assert 12.5 == samples["islanding_case_duration_seconds", frozenset(("outpost-local", "x"))][0]
    assert 1 == samples["islanding_requirement_verdict", frozenset(("O-06", "fail"))][0]
    assert 1 == samples["islanding_requirement_verdict", frozenset(("C-01", "not covered"))][0]
    assert text == render_metrics(load_result(home)).decode()


def test_textfile_holds_the_heartbeat(runs, case, tmp_path: Path) -> None:
    """The last good run of a site, from the history, beside the newest run; whole, and readable by all."""
    runs.recorded("good", 0, case("x"), case("y"))
    runs.recorded("bad", 1, case("x", "fail"))
    folder = tmp_path / "textfile"
    folder.mkdir()
    said = islanding("metrics", runs.folder / "bad", "--textfile", folder)
    path = folder / "islanding.prom"

    assert f"{path}\n" == said.stdout
    assert (0o644, [path]) == (path.stat().st_mode & 0o777, list(folder.iterdir()))
    values = {s.name: s.value for family in prometheus(path.read_text()) for s in family.samples}
    assert 1793498400.0 == values["islanding_last_good_run_timestamp_seconds"]  # 2026-11-01 02:00 UTC
    assert (
        86400.0 == values["islanding_last_run_timestamp_seconds"] - values["islanding_last_good_run_timestamp_seconds"]
    )
    assert 2 == values["islanding_last_good_run_cases"]


def test_metrics_without_a_run_tell_the_heartbeat_alone(runs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that holds the history but no folder of a run still says when the last good one was."""
    runs.recorded("good")
    monkeypatch.chdir(tmp_path / "runs" / "good")
    said = islanding("metrics").stdout

    assert "islanding_last_good_run_timestamp_seconds{" in said
    assert "islanding_run_verdict" not in said


def test_missing_textfile_folder_is_said(runs, tmp_path: Path) -> None:
    """The folder is node_exporter's: it is not made here."""
    said = islanding("metrics", "--textfile", tmp_path / "none")

    assert (ExitCode.SETUP, True) == (said.exit_code, "--collector.textfile.directory" in said.stderr)
