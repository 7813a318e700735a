"""`islanding fault plan` shows and changes nothing; `islanding confirm` makes a file whose content is never printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from islanding.cli import main
from islanding.errors import ExitCode
from islanding.guard import confirmation
from islanding.guardconf import Production
from islanding.redact import redact
from tests.unit.test_faults.network import Network
from tests.unit.test_guard.keys import make_key


def test_a_plan_shows_calls_and_their_inverse_and_changes_nothing(network: Network) -> None:
    """The call, its inverse, what it touches and that it may be applied; AWS's state is as before."""
    before = network.state()
    words = ["fault", "plan", "endpoint-removed", "--site", network.site.folder, "--with", "service=s3"]
    result = CliRunner().invoke(main, words)

    assert (ExitCode.OK, before) == (result.exit_code, network.state()), result.output
    assert f'apply  ec2.delete_vpc_endpoints(VpcEndpointIds=["{network.ids["s3"]}"])' in result.output
    assert "undo   ec2.create_vpc_endpoint(VpcId=" in result.output
    assert f"touches  {network.ids['s3']}\n  allowed  by every guardrail" in result.output


def test_a_plan_that_would_be_refused_says_so(network: Network) -> None:
    """What the guardrails say is part of the plan, and of the exit code."""
    network.client().delete_tags(Resources=[network.ids["s3"]], Tags=[{"Key": "islanding:faults"}])
    words = ["fault", "plan", "endpoint-removed", "--site", network.site.folder, "--with", "service=s3"]
    result = CliRunner().invoke(main, words)

    assert ExitCode.SETUP == result.exit_code
    assert f"refused  guardrail tag: {network.ids['s3']} has no tag islanding:faults=allowed" in result.output


def test_a_confirmation_is_written_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is its owner's alone, holds for what was said, and neither signature nor key is printed."""
    key, public = make_key(tmp_path / "jane")
    out = tmp_path / "shop.confirmation"
    words = ["confirm", "1/shop", "--fault", "route-removed", "--minutes", "5", "--key", str(key), "--out", str(out)]
    result = CliRunner().invoke(main, words, input="\n")

    content = out.read_text().strip()
    monkeypatch.setenv(confirmation.VARIABLE, str(out))
    read = confirmation.read(Production(confirmers={"jane": public}), "1/shop", "joe")
    assert ExitCode.OK == result.exit_code, result.output
    assert isinstance(read, confirmation.Confirmation), read
    assert ("1/shop", ("route-removed",)) == (read.site, read.faults)
    assert 0o600 == out.stat().st_mode & 0o777
    assert not any(part in result.output for part in content.split(".")[1:])
    assert redact(f"it was {content}.") == "it was islanding-confirmation-v1.[redacted]."
