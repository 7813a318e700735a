"""`islanding controls`: what it lists, and what it says when ids are compared with a catalogue."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from islanding import cli
from islanding.evidence.controls import load_controls


def run(*arguments: str) -> Result:
    """`islanding controls` with these arguments."""
    return CliRunner().invoke(cli.main, ["controls", *arguments])


def catalogue(path: Path, **changes: str) -> Path:
    """An OSCAL catalogue with the controls that the project maps, under these titles where they differ.

    Base controls lie in a group, their enhancements inside them, as in NIST's.
    """
    nodes: dict[str, dict[str, Any]] = {}
    for control, title in load_controls().framework("nist-800-53").controls.items():
        nodes.setdefault(control.partition(".")[0], {"id": control.partition(".")[0], "title": "?", "controls": []})
        node = {"id": control, "title": changes.get(control.replace("-", "_").replace(".", "_"), title)}
        if "." in control:
            nodes[control.partition(".")[0]]["controls"].append(node)
        else:
            nodes[control].update(node)
    path.write_text(json.dumps({"catalog": {"groups": [{"id": "all", "controls": list(nodes.values())}]}}))
    return path


def test_a_rows_controls_are_listed_with_the_reason() -> None:
    """The table says for one row which controls it counts towards, by their ids."""
    shown = run("--row", "O-07").stdout
    assert [c.id for c in load_controls().of("O-07") if c.id not in shown] == []
    assert "O-06" not in shown


def test_csv_and_json_hold_the_same() -> None:
    """Both forms hold each mapping of the framework, and JSON says what the ids were compared with."""
    mappings = list(csv.DictReader(io.StringIO(run("--framework", "fisc", "--format", "csv").stdout)))
    shown = json.loads(run("--framework", "fisc", "--format", "json").stdout)
    assert shown["mappings"] == mappings
    assert len(mappings) == sum(c.framework == "fisc" for row in load_controls().rows.values() for c in row)
    assert list(shown["frameworks"]) == ["fisc"]
    assert "not at hand" in shown["frameworks"]["fisc"]["source"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--framework", "hipaa"], "there is no framework 'hipaa'"),
        (["--row", "Q-01"], "no controls are mapped to Q-01"),
        (["--against", "x.json", "--row", "O-01"], "--against lists nothing"),
        (["--against", "/nowhere/x.json"], "cannot be read"),
    ],
)
def test_a_mistake_is_answered_with_what_there_is(arguments: list[str], words: str) -> None:
    """Unknown names and options that do not go together end with exit code 3 and a message."""
    found = run(*arguments)
    assert (found.exit_code, words in found.output) == (3, True)


def test_ids_that_are_in_the_catalogue_are_counted(tmp_path: Path) -> None:
    """A catalogue with every control under its title: exit code 0."""
    found = run("--against", str(catalogue(tmp_path / "c.json")))
    count = len(load_controls().framework("nist-800-53").controls)
    assert (found.exit_code, found.output.startswith(f"{count} of {count} controls")) == (0, True)


def test_another_title_is_named(tmp_path: Path) -> None:
    """A control that the catalogue calls otherwise is named with both titles: exit code 1."""
    found = run("--against", str(catalogue(tmp_path / "c.json", sc_7_5="Deny All")))
    assert found.exit_code == 1
    assert "sc-7.5: 'Deny by Default — Allow by Exception' is 'Deny All' in the catalogue" in found.output


def test_a_control_that_is_gone_or_withdrawn_is_named(tmp_path: Path) -> None:
    """A control that the catalogue lacks, and one that it has withdrawn, are both not in it."""
    path = catalogue(tmp_path / "c.json")
    text = json.loads(path.read_text())
    controls = text["catalog"]["groups"][0]["controls"]
    text["catalog"]["groups"][0]["controls"] = [c for c in controls if c["id"] != "cp-10"]
    withdrawn = next(c for c in controls if c["id"] == "cp-4")
    withdrawn["props"] = [{"name": "status", "value": "withdrawn"}]
    path.write_text(json.dumps(text))
    found = run("--against", str(path))
    assert found.exit_code == 1
    assert [line.split(" ")[0] for line in found.output.splitlines()[:-1]] == ["cp-4", "cp-10"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"catalog": 1}', '{"catalog": {"groups": [1]}}', "[" * 100_000])
def test_what_is_no_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    """Any other file is answered with what was expected, never a traceback."""
    (tmp_path / "c.json").write_text(text)
    found = run("--against", str(tmp_path / "c.json"))
    assert (found.exit_code, "OSCAL catalogue" in found.output) == (3, True)
