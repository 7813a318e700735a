"""How a site's account is called: by the usual chain of credentials, a profile or a role; no secret is written down."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from islanding.accountconf import AccountConf
from islanding.model import AwsAccess

# What of the caller's environment decides how AWS is reached; keys are none of it: they stay where they are.
KEPT = (
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CA_BUNDLE",
    "AWS_STS_REGIONAL_ENDPOINTS",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_MAX_ATTEMPTS",
    "AWS_RETRY_MODE",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
)
CONFIG = "aws.config"


def access(conf: AccountConf, folder: Path) -> AwsAccess:
    """The access that a site's file asks for; with a role, the AWS configuration that assumes it goes into `folder`.

    SSO, credential_process and the keys of the environment work as they do for the AWS CLI: whoever heals the site
    later needs the same.
    """
    made = plain(conf.account, conf.region, conf.profile)
    if conf.role:
        profile = made.env.get("AWS_PROFILE", "")
        return made.model_copy(update={"env": {**made.env, **_assuming(conf, profile, folder)}})
    return made


def plain(account: str, region: str, profile: str = "") -> AwsAccess:
    """The access by the usual chain of credentials, or by a profile."""
    env = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    env |= {name: value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL")}
    env |= {"AWS_DEFAULT_REGION": region, "AWS_REGION": region}
    profile = profile or os.environ.get("AWS_PROFILE", "")
    if profile:
        env["AWS_PROFILE"] = profile
    return AwsAccess(region=region, account=account, env=env)


def _assuming(conf: AccountConf, profile: str, folder: Path) -> dict[str, str]:
    """A configuration with one profile more than the user's: AWS's tools assume the role by it, and renew it."""
    own = Path(os.environ.get("AWS_CONFIG_FILE") or Path.home() / ".aws" / "config").expanduser()
    config = configparser.RawConfigParser()
    config.read(own)
    name = f"islanding-{conf.name}"
    section = f"profile {name}"
    if config.has_section(section):
        config.remove_section(section)
    config.add_section(section)
    config.set(section, "role_arn", conf.role)
    config.set(section, "role_session_name", "islanding")
    config.set(section, "region", conf.region)
    if conf.external_id:
        config.set(section, "external_id", conf.external_id)
    if not profile and "AWS_ACCESS_KEY_ID" in os.environ:
        config.set(section, "credential_source", "Environment")
    else:
        config.set(section, "source_profile", profile or "default")
    path = folder / CONFIG
    path.touch(mode=0o600)
    with path.open("w") as file:
        config.write(file)
    return {"AWS_CONFIG_FILE": str(path), "AWS_PROFILE": name}
