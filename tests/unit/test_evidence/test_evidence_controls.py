"""The mapping of requirement rows to controls: the project's own files, and what is said of mistakes in one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.evidence.controls import Control, Controls, load_controls
from islanding.evidence.requirements import Requirement, load_requirements

ROWS = (Requirement("O-01", "O", "Outpost", "comes up"), Requirement("O-02", "O", "Outpost", "is local"))
GOOD = """\
framework: nist-800-53
title: NIST SP 800-53
version: "5"
ids: '[a-z]{2}-\\d+'
source: read by hand
controls:
  sc-7: Boundary Protection
  ac-4: Information Flow Enforcement
rows:
  O-02:
    sc-7: nothing passes
    ac-4: nothing flows
"""


def load(folder: Path, **files: str) -> Controls:
    """The mapping made of files of these names and contents."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return load_controls(folder, ROWS)


def test_a_rows_controls_bear_framework_title_and_reason(tmp_path: Path) -> None:
    """Each control of a row says its framework, id, title and why; a row without a mapping has none."""
    controls = load(tmp_path, nist=GOOD)
    assert controls.of("O-02") == (
        Control("nist-800-53", "sc-7", "Boundary Protection", "nothing passes"),
        Control("nist-800-53", "ac-4", "Information Flow Enforcement", "nothing flows"),
    )
    assert controls.of("O-01") == ()
    assert [row for row, _ in controls.rows_of("nist-800-53", "ac-4")] == ["O-02"]


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("sc-7: Boundary", "SC-7: Boundary", 7, "not an id of this framework"),
        ("    sc-7: nothing", "    sc-8: nothing", 11, "not among the controls"),
        ("    ac-4: nothing flows\n", "", 8, "no row names it"),
        ("O-02:", "O-09:", 10, "no such requirement"),
        ("nothing flows", "''", 12, "not a text"),
        ("version:", "versoin:", 3, "did you mean 'version'"),
        ("source: read by hand\n", "", 1, "missing"),
        ("ids: '[a-z]{2}-\\d+'", "ids: '['", 4, "not a regular expression"),
        ("    ac-4: nothing flows", "    sc-7: again", 12, "given twice"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    """Whatever is wrong in a file is said with its path and the line on which it stands."""
    assert old in GOOD
    with pytest.raises(SetupError) as caught:
        load(tmp_path, nist=GOOD.replace(old, new, 1))
    said = str(caught.value)
    assert re.search(rf"nist\.yaml:{line}: .*{re.escape(words)}", said), said


def test_two_files_cannot_be_of_one_framework(tmp_path: Path) -> None:
    """The second file of a framework is refused, as one would hide the other."""
    with pytest.raises(SetupError, match=r"b\.yaml:1: framework: framework nist-800-53 is in another file too"):
        load(tmp_path, a=GOOD, b=GOOD)


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    """Without any file there is an error, not an empty mapping."""
    with pytest.raises(SetupError, match="holds no mapping"):
        load(tmp_path)


def test_every_requirement_counts_towards_a_control_of_nist_and_of_iso() -> None:
    """No row of the table is left without a control, so that no result is lost on the way to an auditor."""
    controls = load_controls()
    for framework in ("nist-800-53", "iso-27001"):
        lacking = [r.id for r in load_requirements() if framework not in {c.framework for c in controls.of(r.id)}]
        assert lacking == []


# How far the controls of each family are numbered in Rev. 5 (Appendix C of the publication lists them).
FAMILIES = {"ac": 25, "au": 16, "ca": 9, "cm": 14, "cp": 13, "ia": 13, "sc": 51, "si": 23, "sr": 12}


def test_nist_ids_lie_within_their_families() -> None:
    """An id of NIST's is of a family that there is, and its number is one that the family has."""
    nist = load_controls().framework("nist-800-53")
    outside = [i for i in nist.controls if int(re.split(r"[-.]", i)[1]) > FAMILIES.get(i[:2], 0)]
    assert outside == []


def test_an_unknown_framework_is_answered_with_those_there_are() -> None:
    """A name that no file bears leads to the list of names."""
    with pytest.raises(SetupError, match="cis-eks, fisc, iso-27001, nist-800-53"):
        load_controls().framework("hipaa")


def test_the_mapping_says_where_its_ids_come_from() -> None:
    """Each framework names its source; what FISC's guidelines say is not claimed to have been read."""
    frameworks = load_controls().frameworks
    assert [f.id for f in frameworks if "2026-11-21" not in f.source] == []
    assert "were not at hand" in next(f.source for f in frameworks if f.id == "fisc")
