"""What to do when AWS cannot be asked: no credentials, expired ones, a wrong Region, an endpoint out of reach."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from islanding.model import AwsAccess

# Error codes: Common Errors of the EC2 and STS API references; the other names are exceptions of botocore.
EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "CredentialRetrievalError",
    }
)
MISSING = frozenset({"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound"})
# Also what a Region says to an account for which it is not switched on (AWS General Reference, opt-in Regions).
REFUSED = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure", "SignatureDoesNotMatch"})
_REGION = frozenset({"NoRegionError", "InvalidRegionError", "UnknownRegionError"})
# No connection, no name, no TLS, no answer in time: botocore has two families of errors for it.
UNREACHABLE = frozenset({"HTTPClientError", "ConnectionError"})
_TLS = frozenset({"SSLError"})
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


def names(error: BaseException) -> frozenset[str]:
    """What an error is called: AWS's code, and the classes of botocore."""
    reply: dict[str, Any] = getattr(error, "response", None) or {}
    return frozenset({reply.get("Error", {}).get("Code", ""), *(kind.__name__ for kind in type(error).__mro__)})


def not_found(error: BaseException) -> bool:
    """Whether AWS says that something is not there, which may only mean that it is not seen yet."""
    return any(name.endswith((".NotFound", "NotFoundException")) or name == "NoSuchEntity" for name in names(error))


def fix(error: Exception, access: AwsAccess, env: Mapping[str, str] = os.environ) -> str:
    """What a user can do about an error of botocore's; empty when its own words say it all."""
    called = names(error)
    profile = access.env.get("AWS_PROFILE") or env.get("AWS_PROFILE", "")
    named = f" --profile {profile}" if profile else ""
    ways = (
        (MISSING, f"give credentials: aws configure{named}, aws sso login{named}, or AWS_PROFILE for another profile"),
        (REFUSED, f"aws sts get-caller-identity{named}; is {access.region} the right Region, and switched on for it?"),
        (_REGION, "give the Region: AWS_REGION, or `region` in ~/.aws/config"),
        (_TLS, "is a proxy in between that opens TLS? its CA certificate goes into AWS_CA_BUNDLE"),
        (UNREACHABLE, f"is {access.region} the right Region, and is its API reached from here? {_proxy(env)}"),
    )
    said = next((way for kind, way in ways if called & kind), "")
    if called & EXPIRED:
        said = f"log in again: {_login(access, profile, named)}; a fault in force stays in the undo log until then"
    return said


def _proxy(env: Mapping[str, str]) -> str:
    given = next((f"{name}={_bare(env[name])}" for name in _PROXIES if env.get(name)), "")
    return f"requests go by {given} (NO_PROXY goes round it)" if given else "is HTTPS_PROXY needed?"


def _login(access: AwsAccess, profile: str, named: str) -> str:
    """How a profile logs in, by what its configuration says."""
    given = _configured(access, profile)
    source = given.get("source_profile", "")
    if any(key.startswith("sso_") for key in given):
        return f"aws sso login{named}"
    if source:
        return f"aws sso login --profile {source}, or new keys for it, as {profile or 'default'} takes its role from it"
    if "credential_process" in given:
        return f"what credential_process of {profile or 'default'} runs has to give new ones"
    return f"put new keys where the old ones came from, or aws sso login{named}"


def _configured(access: AwsAccess, profile: str) -> Mapping[str, str]:
    from islanding.aws import calls

    try:
        found = calls.session(access).full_config.get("profiles", {}).get(profile or "default", {})
    except Exception:  # the configuration itself may be what is wrong: the words above still help
        return {}
    return {str(key): str(value) for key, value in found.items()}


def _bare(url: str) -> str:
    """A proxy's URL without name and password."""
    return re.sub(r"//[^/@]*@", "//", url)
