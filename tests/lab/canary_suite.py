"""Cases that use planted secrets, print them and fail: they run in a run of their own, started by test_canary.py."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from islanding.capturing import Capture
from islanding.journal import Journal
from islanding.model import Site
from islanding.probes.of_site import SiteProbes
from islanding.process import run
from islanding.watching import Watch

SECRETS = json.loads(Path(os.environ["CANARIES"]).read_text())


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-01")
def test_aws_refuses_these_credentials(site: Site, evidence: Callable[[str, str], None], journal: Journal) -> None:
    """The AWS CLI, told to explain itself, prints what it does, beside an environment with the keys."""
    operator = next(place for place in site.places if place.role == "operator")
    command = ["aws", "--debug", "sts", "get-caller-identity"]
    told = run(operator.argv(command, SECRETS["environment"]), check=False)
    had = run(operator.argv(["env"], SECRETS["environment"])).stdout
    assert SECRETS["environment"]["AWS_SESSION_TOKEN"] in had, "the canary was not there to be used"
    said = f"{told.stderr}{told.stdout}{had}"
    evidence("aws --debug", said)
    journal.append("warning", text=f"{said[-3000:]} {SECRETS['environment']}", raw={"env": SECRETS["environment"]})
    sys.stdout.write(f"{said} {SECRETS['phrase']}")
    logging.getLogger("canary").warning("signed with %s", SECRETS["environment"])
    raise AssertionError(said)


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-01")
def test_cluster_refuses_this_kubeconfig(
    site: Site,
    evidence: Callable[[str, str], None],
    probe: SiteProbes,
    watch: Callable[..., Watch],
    capture: Callable[..., AbstractContextManager[Capture]],
) -> None:
    """A kubeconfig with a key and tokens; curl -v and a watched endpoint that answers with credentials, captured."""
    config = SECRETS["kubeconfig"]
    shown = run(["kubectl", "--kubeconfig", config, "config", "view", "--raw"], check=False)
    evidence("kubeconfig", shown.stdout)
    evidence("kubeconfig as bytes in JSON", json.dumps({"config": shown.stdout, "at": Path(config).read_text()}))
    said = ""
    with capture("", f"tcp port {urlsplit(SECRETS['endpoint']).port}"):
        for token in SECRETS["bearers"]:
            told = run(["curl", "-v", "-H", f"Authorization: Bearer {token}", SECRETS["endpoint"]], check=False)
            assert token in told.stderr, "the canary was not used"
            said += told.stderr + told.stdout
    evidence("curl -v", f"{said} {SECRETS['phrase']}")
    with watch(probe.make("http", url=SECRETS["endpoint"], place="", interval=0.2)):  # returns with a first sample
        pass
    sys.stderr.write(shown.stdout)
    raise AssertionError(shown.stdout + said)


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-01")
def test_link_is_cut_meanwhile(cut: Callable[..., AbstractContextManager[Any]], journal: Journal) -> None:
    """A fault is held, so that undo log and watchdog have something to write, while a password is in a message."""
    with cut("service-link-down"):
        journal.append("wait", what=SECRETS["address"], seconds=0.1, physics=False)
        pytest.fail(f"cannot reach {SECRETS['address']}: {SECRETS['pem']}; it was asked for {SECRETS['phrase']}")
