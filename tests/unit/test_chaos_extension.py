"""Chaos Toolkit alone: it discovers the extension, and runs it with configuration and secrets, without our runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chaoslib.discovery.discover import discover
from chaoslib.exceptions import ActivityFailed

from islanding.aws import calls
from islanding.chaos import actions, given, probes
from islanding.chaos.given import Given
from islanding.errors import SetupError
from islanding.journal import read
from islanding.model import AwsAccess, Site
from islanding.undo import State, UndoLog
from tests.unit.sites_for_tests import save_site
from tests.unit.test_faults.bench import Bench, make_bench

TYPES = {"string", "integer", "number", "boolean", "list", "mapping"}
EXPERIMENT = """
title: The service link is cut
description: By the chaos command alone.
configuration: {islanding_site: SITE, islanding_journal: JOURNAL}
runtime: {rollbacks: {strategy: always}}
method:
  - {type: action, name: cut, provider: {type: python, module: islanding.chaos.actions, func: cut_service_link}}
rollbacks:
  - {type: action, name: mend, provider: {type: python, module: islanding.chaos.actions, func: undo_fault}}
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A site of fake tools."""
    monkeypatch.setenv("ISLANDING_STATE", str(tmp_path / "state"))
    for name in (actions.SITE, actions.JOURNAL):
        monkeypatch.delenv(name, raising=False)
    return make_bench(tmp_path)


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    """What Chaos Toolkit discovers."""
    activities: list[dict[str, Any]] = discover("islanding", discover_system=False, download_and_install=False)[
        "activities"
    ]
    return activities


def test_every_action_and_probe_is_discovered(found: list[dict[str, Any]]) -> None:
    """By name and kind; the controls too."""
    by_kind = {kind: sorted(one["name"] for one in found if one["type"] == kind) for kind in ("action", "probe")}

    assert by_kind == {"action": sorted(actions.__all__), "probe": sorted(probes.__all__)}
    assert {"before_experiment_control", "after_experiment_control"} <= {
        one["name"] for one in found if one["type"] == "control"
    }


def test_every_argument_has_a_type_and_every_activity_a_sentence(found: list[dict[str, Any]]) -> None:
    """Types that Chaos Toolkit knows; configuration and secrets are no arguments that a user writes."""
    own = [one for one in found if one["type"] != "control"]

    assert [] == [one["name"] for one in own if not one["doc"] or one["return_type"] not in TYPES]
    assert [] == [(one["name"], a["name"]) for one in own for a in one["arguments"] if a["type"] not in TYPES]
    assert not {"configuration", "secrets"} & {a["name"] for one in own for a in one["arguments"]}
    cut_off = next(one for one in own if one["name"] == "cut_off_nodes")
    assert [("nodes", "list"), ("share", "number")] == [(a["name"], a["type"]) for a in cut_off["arguments"]]


def test_a_plain_chaos_run_cuts_and_mends(bench: Bench, tmp_path: Path) -> None:
    """No control, no extension, no environment: the configuration says where, and the undo log has it all."""
    journal, path = tmp_path / "mine.jsonl", tmp_path / "e.yaml"
    path.write_text(EXPERIMENT.replace("SITE", bench.site.folder).replace("JOURNAL", str(journal)))
    command = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "run", "--journal-path", "j.json", str(path)]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, text=True, check=False)

    told = json.loads((tmp_path / "j.json").read_text())
    assert (done.returncode, told["status"]) == (0, "completed"), done.stderr
    assert ["succeeded"] == [one["status"] for one in told["rollbacks"]], told["rollbacks"]
    assert [State.UNDONE] == [one.state for one in UndoLog.for_site(bench.site.id).read().entries]
    assert ["fault-planned", "fault-applied", "fault-undone", "fault-healed"] == [one.type for one in read(journal)]


def site(folder: Path) -> Site:
    """A site whose AWS is reached by a profile."""
    made = Site.load(save_site(folder, name="here"))
    env = {"AWS_PROFILE": "operator", "AWS_ENDPOINT_URL": "https://127.0.0.1:1"}
    return made.model_copy(update={"aws": AwsAccess(region="eu-north-1", account="1", env=env)})


def test_secrets_are_the_credentials_of_the_calls(tmp_path: Path) -> None:
    """They replace the site's profile, and nothing of them is in what could be printed."""
    here = site(tmp_path)
    secrets = {"aws_access_key_id": "AKIDCANARY", "aws_secret_access_key": "the-canary", "aws_session_token": ""}
    asked = Given({}, secrets).access(here)

    assert ("AKIDCANARY", "the-canary") == calls.session(asked.aws).get_credentials().get_frozen_credentials()[:2]
    assert "https://127.0.0.1:1" == asked.aws.env["AWS_ENDPOINT_URL"]
    assert "canary" not in repr(Given({}, secrets))
    with pytest.raises(SetupError, match="without its other half"):
        Given({}, {"aws_access_key_id": "AKIDCANARY"}).access(here)


def test_configuration_chooses_profile_and_refuses_another_region(tmp_path: Path) -> None:
    """The profile in place of the site's; a Region that the site is not in is a mistake, not a choice."""
    here = site(tmp_path)

    assert "mine" == Given({"aws_profile_name": "mine"}).access(here).aws.env["AWS_PROFILE"]
    assert here is Given({"aws_region": "eu-north-1"}).access(here)
    with pytest.raises(SetupError, match="aws_region is us-east-1, and here is in eu-north-1"):
        Given({"aws_region": "us-east-1"}).access(here)


def test_an_activity_is_given_its_own_alone(bench: Bench) -> None:
    """What one call was given is gone after it, also when it fails."""
    with pytest.raises(ActivityFailed, match="there is no"):
        actions.heal(configuration={"islanding_site": str(bench.folder / "none")}, secrets={"a": "b"})  # type: ignore[call-arg]  # as Chaos Toolkit calls it

    assert Given() == given.now.get()
