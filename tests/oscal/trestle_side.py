"""Runs in compliance-trestle's environment: validates OSCAL files by `trestle validate`, or prints trestle's schema.

Usage: trestle_side.py FILE...     one line a file: `valid NAME` or `invalid NAME: why`; exit code 1 for an invalid one
       trestle_side.py --schema    the JSON schema of its model of assessment results, on stdout
"""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TRESTLE = Path(sys.executable).with_name("trestle")


def trestle(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the `trestle` command in `folder`."""
    return subprocess.run([str(TRESTLE), *arguments], cwd=folder, capture_output=True, text=True, check=False)


def trouble(workspace: Path, path: Path) -> str:
    """What `trestle validate` says is wrong with the file at `path`; empty for a valid one."""
    model = workspace / "assessment-results" / "run"
    model.mkdir(parents=True)
    try:
        shutil.copyfile(path, model / "assessment-results.json")
        done = trestle(workspace, "validate", "-t", "assessment-results", "-n", "run")
        if done.returncode == 0 and "VALID: Model" in done.stdout + done.stderr:
            return ""
        return " ".join((done.stdout + done.stderr).split()) or f"exit code {done.returncode}"
    finally:
        shutil.rmtree(model)


def schema() -> str:
    """The JSON schema of trestle's model, without what only people read, by its keys in order."""
    # By name: the checkout's own environment, in which this file is type-checked, has no trestle.
    package, oscal = importlib.import_module("trestle"), importlib.import_module("trestle.oscal")
    model = importlib.import_module("trestle.oscal.assessment_results").Model
    made = _bare(model.model_json_schema(by_alias=True))
    comment = (
        f"Generated from the model of assessment results in compliance-trestle {package.__version__} (Apache-2.0), "
        f"OSCAL {oscal.OSCAL_VERSION}, by tests/oscal/trestle_side.py --schema; titles and descriptions are left out."
    )
    return json.dumps({"$comment": comment, **made}, indent=1, sort_keys=True) + "\n"


def _bare(node: Any) -> Any:
    if isinstance(node, list):
        return [_bare(item) for item in node]
    if not isinstance(node, dict):
        return node
    # A property may itself be named `title`: then its value is a schema, and not a text.
    return {k: _bare(v) for k, v in node.items() if not (k in {"title", "description"} and isinstance(v, str))}


def main(arguments: list[str]) -> int:
    """See the module's docstring."""
    if arguments == ["--schema"]:
        sys.stdout.write(schema())
        return 0
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        begun = trestle(workspace, "init", "--local")
        if begun.returncode:
            sys.stderr.write(begun.stdout + begun.stderr)
            return 3
        found = {path: trouble(workspace, Path(path)) for path in arguments}
    for path, why in found.items():
        sys.stdout.write(f"invalid {Path(path).name}: {why}\n" if why else f"valid {Path(path).name}\n")
    return int(any(found.values()))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
