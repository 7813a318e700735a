"""Experiments: every misspelling is named, and the verdict comes from what was seen, not from an exit code."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from islanding.chaos.extension import ExpectSpec
from islanding.chaos.schema import load_experiment
from islanding.errors import SetupError

PROBE = {
    "type": "probe",
    "name": "workload answers",
    "tolerance": True,
    "provider": {"type": "python", "module": "islanding.chaos.probes", "func": "workload_answers"},
}
GOOD: dict[str, Any] = {
    "title": "The workload lives through the cut",
    "description": "The service link is cut; the workload answers on.",
    "controls": [{"name": "islanding", "provider": {"type": "python", "module": "islanding.chaos.controls"}}],
    "runtime": {"rollbacks": {"strategy": "always"}},
    "extensions": [
        {
            "name": "islanding",
            "site": "outpost-local",
            "requirements": ["O-09"],
            "watch": [{"name": "web", "probe": "http", "interval": 0.1}],
            "expect": [
                {"watch": "web", "outcome": "ANSWERED"},
                {"watch": "web", "gap": 0.5, "when": "cut"},
                {"watch": "web", "outcome": ["ANSWERED"], "when": "after", "within": 20},
            ],
        }
    ],
    "steady-state-hypothesis": {"title": "all is well", "probes": [PROBE]},
    "method": [
        {
            "type": "action",
            "name": "cut",
            "provider": {"type": "python", "module": "islanding.chaos.actions", "func": "cut_service_link"},
            "pauses": {"after": 10},
        }
    ],
    "rollbacks": [
        {
            "type": "action",
            "name": "undo",
            "provider": {"type": "python", "module": "islanding.chaos.actions", "func": "undo_fault"},
        }
    ],
}


def write(folder: Path, experiment: dict[str, Any]) -> Path:
    """The experiment as a file."""
    path = folder / "x.yaml"
    path.write_text(yaml.dump(experiment, sort_keys=False, Dumper=_NoAliases))
    return path


class _NoAliases(yaml.SafeDumper):
    """Writes what is used twice twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def test_a_good_experiment_is_valid(tmp_path: Path) -> None:
    """Chaos Toolkit's keys and ours, read back."""
    experiment = load_experiment(write(tmp_path, GOOD))

    assert experiment.extension.site == "outpost-local"
    assert experiment.extension.expect[2] == ExpectSpec(watch="web", outcome=("ANSWERED",), when="after", within=20)


def test_the_example_in_the_documents_is_valid(tmp_path: Path) -> None:
    """What docs/writing-a-case.md shows can be copied."""
    text = (Path(__file__).parents[2] / "docs" / "writing-a-case.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "example.yaml"
    path.write_text(example)

    assert load_experiment(path).extension.requirements == ("O-09",)


SPOILT: list[tuple[list[Any], Any, str]] = [
    (["titel"], "x", "titel: unknown key; Allowed: title, description"),
    (["method", 0, "provider", "argumnets"], {}, "unknown key; did you mean 'arguments'?"),
    (["method", 0, "provider", "func"], "cut_service_lnik", "cut_service_lnik"),
    (["method", 0, "provider", "arguments"], {"sesion": "x"}, "sesion"),
    (["method", 0, "provider", "timeout"], 5, "ignores a Python provider's timeout"),
    (["method", 0, "provider", "url"], "http://x", "a python provider has no url"),
    (["method", 0, "pauses", "afer"], 1, "unknown key; Allowed: before, after"),
    (["method", 0, "tolerance"], True, "an action has no tolerance"),
    (["method", 0, "type"], "acton", "allowed: probe or action"),
    (["rollbacks"], [], "at least 1"),
    (["runtime", "rollbacks", "strategy"], "alwayz", "allowed: always"),
    (["runtime", "rollbacks", "strategy"], "default", "allowed: always"),
    (["runtime", "hypothesis"], {"strategy": "continously"}, "allowed: default, before-method-only"),
    (["controls"], [], "islanding.chaos.controls"),
    (["steady-state-hypothesis", "probes", 0, "tolerence"], 1, "tolerence: unknown key; Allowed: type, name"),
    (["description"], "${nowhere}", "${nowhere} is defined neither"),
    (["extensions", 0, "requirments"], ["O-01"], "requirments: unknown key"),
    (["extensions", 0, "requirements"], ["O1"], "'O1' is no requirement's id"),
    (["extensions", 0, "watch", 0, "probe"], "htpp", "no probe of kind 'htpp'; allowed: kubectl, node, http"),
    (
        ["extensions", 0, "watch", 0, "with"],
        {"ulr": "x"},
        "a http probe has no ulr; allowed in with: at, by_ssh, enter, env, url",
    ),
    (["extensions", 0, "expect", 0, "outcome"], "ANSWERD", "'ANSWERD' is no outcome"),
    (["extensions", 0, "expect", 0, "outcome"], "UNKNOWN", "'UNKNOWN' is no outcome"),
    (["extensions", 0, "expect", 0, "watch"], "wbe", "expect names no watch: wbe; watches: web"),
    (["extensions", 0, "expect", 0, "when"], "during", "allowed: all, before, cut or after"),
    (["extensions", 0, "expect", 0, "within"], 3, "say when: cut or when: after"),
    (["extensions", 0, "expect", 1, "outcome"], "ANSWERED", "either an outcome or a gap"),
    (["extensions", 0, "expect"], [], "nothing is expected of web"),
]


@pytest.mark.parametrize(("where", "value", "says"), SPOILT, ids=[f"{w[-1]}-{n}" for n, (w, _, _) in enumerate(SPOILT)])
def test_a_mistake_is_named_with_its_file(tmp_path: Path, where: list[Any], value: Any, says: str) -> None:
    """Each spoilt experiment is refused, in words that name the file and what is allowed."""
    spoilt = copy.deepcopy(GOOD)
    part = spoilt
    for step in where[:-1]:
        part = part[step]
    part[where[-1]] = value
    with pytest.raises(SetupError) as refused:
        load_experiment(write(tmp_path, spoilt))

    assert says in str(refused.value)
    assert "x.yaml" in str(refused.value)


def test_a_misspelt_key_is_named_with_its_line(tmp_path: Path) -> None:
    """The line is where the key stands."""
    path = write(tmp_path, GOOD)
    lines = path.read_text().splitlines()
    number = next(n for n, line in enumerate(lines, 1) if "pauses:" in line)
    path.write_text("\n".join(lines).replace("pauses:", "puases:"))

    with pytest.raises(SetupError, match=rf"x\.yaml:{number}: method\[0\]\.puases: unknown key; did you mean 'pauses'"):
        load_experiment(path)
