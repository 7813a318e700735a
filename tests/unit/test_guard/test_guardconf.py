"""`guardrails:` of a site.yaml: each mistake is named with its line; what is said reaches whoever applies a fault."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from islanding import stackconf
from islanding.errors import SetupError
from islanding.guardconf import Guardrails, StopProbe
from islanding.model import Site
from islanding.paths import content_dir
from islanding.probes import kinds
from tests.unit.sites_for_tests import save_site

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
MISTAKES = [
    ("  accounts: [123456789012]", "accounts[0]: 123456789012 is not an account id: 12 digits in quotes"),
    ('  accounts: ["999999999999"]', "accounts: does not allow 123456789012, which this site is in"),
    ("  regions: [eu]", "regions[0]: 'eu' is not a Region's name"),
    ("  resources: 0", "resources: 0 is out of range; it must be at least 1"),
    ("  nods: 1", "nods: unknown key; did you mean 'nodes'?"),
    ('  hours: {from: 10:00, to: "17:00", zone: UTC}', "hours.from: 600 is not a time of day in quotes"),
    ('  hours: {from: "09:00", to: "08:00", zone: UTC}', "hours.to: '08:00' must be later than guardrails.hours.from"),
    ('  hours: {from: "09:00", to: "17:00", zone: Mars/Base}', "hours.zone: 'Mars/Base' is no time zone such as"),
    ('  hours: {days: [monday], from: "09:00", to: "17:00", zone: UTC}', "hours.days[0]: 'monday' is not allowed"),
    ("  production: {confirmers: {jane: ssh-rsa AAAA}}", "confirmers.jane: 'ssh-rsa AAAA' is no Ed25519 public key"),
    (f"  production: {{confirmers: {{jane: {KEY[:-8]}}}}}", "confirmers.jane: "),
    ("  production: {confirmers: {}}", "production.confirmers: too few; at least 1 needed"),
    ("  stop: [{}]", "stop[0]: a stop condition has either an alarm or a probe"),
    ("  stop: [{alarm: a, probe: http}]", "stop[0]: a stop condition has either an alarm or a probe"),
    ("  stop: [{alarm: a, seconds: 3}]", "stop[0].seconds: belongs to a probe"),
    ("  stop: [{probe: htpt}]", "stop[0].probe: 'htpt' is not allowed; allowed: "),
]
ALL = f"""
  accounts: ["123456789012"]
  regions: [ap-northeast-1]
  resources: 3
  nodes: 1
  hours: {{from: "09:00", to: "17:00", zone: Europe/Berlin}}
  production: {{confirmers: {{jane: {KEY} jane@example}}}}
  stop: [{{alarm: checkout}}, {{probe: http, with: {{url: "http://a/"}}, outcome: [REFUSED], seconds: 3}}]
"""


def written(folder: Path, rails: str) -> Path:
    """closed-vpc with these guardrails at its end."""
    source = content_dir("fixtures") / "closed-vpc"
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    site = folder / "site.yaml"
    site.write_text(site.read_text() + "guardrails:\n" + rails.strip("\n") + "\n")
    return site


@pytest.mark.parametrize(("rails", "says"), MISTAKES, ids=[rails.strip() for rails, _ in MISTAKES])
def test_a_mistake_is_named_with_its_line(tmp_path: Path, rails: str, says: str) -> None:
    """File, line, key and what is allowed."""
    path = written(tmp_path, rails)
    line = path.read_text().splitlines().index("guardrails:") + 2
    with pytest.raises(SetupError, match=re.escape(f"{path}:{line}: guardrails.")) as info:
        stackconf.load(path)

    assert says in str(info.value)


def test_what_is_said_reaches_whoever_applies_a_fault(tmp_path: Path) -> None:
    """Read from site.yaml, written into site.json, and read from there, the guardrails are the same."""
    (tmp_path / "site").mkdir()
    rails = stackconf.load(written(tmp_path / "site", ALL)).guardrails
    path = save_site(tmp_path / "lab", name="here")
    Site.load(path).model_copy(update={"guardrails": rails}).save(path)

    assert rails == Site.load(path).guardrails
    assert (("123456789012",), 3, 1) == (rails.accounts, rails.resources, rails.nodes)
    assert ["checkout", "http"] == [stop.alarm or stop.probe for stop in rails.stop]
    assert rails.production is not None
    assert {"jane": KEY} == rails.production.confirmers


def test_nothing_said_is_narrow() -> None:
    """Without a word the limits are those of a small site."""
    assert ((), (), 12, 12) == (Guardrails().accounts, Guardrails().regions, Guardrails().resources, Guardrails().nodes)


def test_the_probes_of_stop_conditions_are_there() -> None:
    """Each kind of probe that may stop a fault is one of the project's."""
    assert set(get_args(StopProbe)) - {"", *kinds()} == set()
