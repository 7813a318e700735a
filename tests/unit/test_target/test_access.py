"""How an account is called: whose credentials are used, and that none is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
import pytest

from islanding.aws import calls
from islanding.target.access import access

CONFIG = """\
[profile me]
region = eu-west-1
sso_session = corporate
"""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's AWS configuration, and keys in the environment."""
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-that-nobody-may-see")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")


ROLE = "role: arn:aws:iam::123456789012:role/islanding\nexternal_id: ours\n"


def test_a_profile_is_passed_on(made: Any, tmp_path: Path) -> None:
    """Profile, Region and proxy are the site's; keys are not."""
    env = access(made.file("profile: me\n"), tmp_path).env

    assert (env["AWS_PROFILE"], env["AWS_REGION"]) == ("me", "ap-northeast-1")
    assert env["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert [name for name in env if "KEY" in name or "TOKEN" in name] == []


@pytest.mark.parametrize(
    ("more", "source"),
    [("profile: me\n", {"source_profile": "me"}), ("", {"credential_source": "Environment"})],
)
def test_a_role_is_assumed_by_a_profile_of_its_own(
    made: Any, tmp_path: Path, more: str, source: dict[str, str]
) -> None:
    """AWS's tools read it as a profile that assumes the role; the user's own profiles are still there."""
    folder = tmp_path / "site"
    folder.mkdir()
    found = access(made.file(ROLE + more), folder)
    profiles = botocore.session.Session(profile=None).full_config["profiles"]
    session = calls.session(found)

    assert session.profile == "islanding-mine"
    assert session.get_scoped_config() == {
        "role_arn": "arn:aws:iam::123456789012:role/islanding",
        "role_session_name": "islanding",
        "region": "ap-northeast-1",
        "external_id": "ours",
        **source,
    }
    assert profiles["me"] == session.full_config["profiles"]["me"]
    assert (folder / "aws.config").stat().st_mode & 0o077 == 0
    assert "a-secret" not in (folder / "aws.config").read_text()
