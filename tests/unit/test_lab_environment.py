"""What runs in a lab is not given the user's own AWS credentials; what runs at a real account is."""

from __future__ import annotations

from pathlib import Path

import pytest

from islanding.cli.adopted import AccountRun
from islanding.cli.orchestrate import Run

OWN = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_SESSION_TOKEN": "token"}


@pytest.mark.parametrize(("account", "given"), [(False, {}), (True, OWN)])
def test_whose_credentials_the_cases_have(
    account: bool, given: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three variables are left out for a lab, and nothing else; this process keeps them, as a bucket may need them."""
    for name, value in {**OWN, "AWS_REGION": "eu-west-1"}.items():
        monkeypatch.setenv(name, value)
    run = AccountRun(tmp_path, (), {}, {}) if account else Run(tmp_path, ())
    environment = run.environment()

    assert given == {name: environment[name] for name in OWN if name in environment}
    assert "eu-west-1" == environment["AWS_REGION"]
