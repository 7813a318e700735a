"""Validates the OSCAL files of runs, or of a run made up here, by compliance-trestle; shows that it can refuse one.

Usage: python -m tests.oscal PYTHON [RUN...]   PYTHON is trestle's (requirements/oscal.sh prints it), RUN a run's folder
Exit codes: 0 all are valid and each broken one was refused, 1 not so, 3 set-up.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from islanding.errors import IslandingError
from islanding.evidence.oscal import render_oscal
from islanding.evidence.requirements import load_requirements
from islanding.evidence.results import load_result
from tests.unit.test_evidence.conftest import Writer

SIDE = Path(__file__).with_name("trestle_side.py")
# What is changed, to what, and so what the schema or trestle has to notice.
BREAKS = {
    "a state that OSCAL does not have": ('"state": "satisfied"', '"state": "probably"'),
    "a key that OSCAL does not have": ('"observations": [', '"observation": ['),
    "a list that may not be empty": ('"methods": [\n', '"methods": [], "unused": [\n'),
    "an observation without its time": ('"collected":', '"collected-at":'),
    "a text where an identifier belongs": ('"actor-uuid": "', '"actor-uuid": "x'),
}


def made_up(folder: Path) -> Path:
    """A run at one site whose cases cover every row, one of which failed and one of which is unfinished."""
    writer = Writer(folder / "journal.jsonl")
    writer.start("outpost-local")
    for n, row in enumerate(load_requirements()):
        verdict, reason = ("fail", "<b>it did *not*</b>") if n == 3 else ("pass", "")
        writer.case("outpost-local", f"case-{n}", 10.0 + n, 10.5 + n, verdict, requirements=[row.id], reason=reason)
    writer.add(99, "case-started", site="outpost-local", case="unfinished", title="unfinished", requirements=["O-05"])
    writer.add(100, "run-finished", exit_code=1)
    writer.save()
    return folder


def refused(python: str, folder: Path, documents: Mapping[str, str]) -> dict[str, str]:
    """What trestle says is wrong with each document, by its name; empty for a valid one."""
    paths = [folder / f"{n}.json" for n in range(len(documents))]
    for path, text in zip(paths, documents.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    done = subprocess.run([python, str(SIDE), *map(str, paths)], capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    if done.returncode not in {0, 1} or len(lines) != len(paths):
        raise IslandingError(f"trestle did not answer: {done.stderr.strip() or done.stdout.strip()}")
    return {name: line.partition(": ")[2] for name, line in zip(documents, lines, strict=True)}


def main(arguments: Sequence[str]) -> int:
    """See the module's docstring."""
    python, *runs = arguments
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folders = [Path(run) for run in runs] or [made_up(folder / "made-up")]
        documents = {run.name: render_oscal(load_result(run)) for run in folders}
        whole = next(iter(documents.values()))
        broken = {what: whole.replace(old, new, 1) for what, (old, new) in BREAKS.items()}
        found = refused(python, folder, {**documents, **broken})
    bad = 0
    for run in documents:
        bad += bool(found[run])
        sys.stdout.write(f"✗ {run}: {found[run]}\n" if found[run] else f"✓ {run}: valid for compliance-trestle\n")
    for what, text in broken.items():
        missed = text == whole or not found[what]
        bad += missed
        sys.stdout.write(f"✗ broken on purpose, not refused: {what}\n" if missed else f"✓ broken, refused: {what}\n")
    return int(bool(bad))


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except IslandingError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(int(error.exit_code)) from error
