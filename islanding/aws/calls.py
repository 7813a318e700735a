"""Calls of the AWS API by what a site says about its access, and by nothing of the caller's own environment."""

from __future__ import annotations

import threading
from typing import Any

from islanding.aws import recording
from islanding.errors import IslandingError
from islanding.model import AwsAccess, Site

_SETTINGS = {  # environment variable -> botocore's name of the same setting
    "AWS_SHARED_CREDENTIALS_FILE": "credentials_file",
    "AWS_CONFIG_FILE": "config_file",
    "AWS_CA_BUNDLE": "ca_bundle",
    "AWS_MAX_ATTEMPTS": "max_attempts",
    "AWS_RETRY_MODE": "retry_mode",
}
# Error codes (Common Errors of the EC2 and STS API references) and exceptions of botocore.
_NO_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "AuthFailure",
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "TokenRetrievalError",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
    }
)
_RENEW = (
    "renew the credentials (`aws sso login`, or a new session where the site's profile takes them from);"
    " a fault in force is kept in the undo log, and undone when they are good again"
)
_kept: dict[tuple[object, ...], Any] = {}
_lock = threading.Lock()


class Unreachable(IslandingError):
    """Nobody answers at AWS's API: worth trying again."""


class CredentialsRefused(IslandingError):
    """The credentials have expired or are none: somebody has to renew them."""


def call(site: Site, service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call `operation` (boto3's method name) of `service` and return the reply.

    Raises IslandingError with AWS's own message when the call is refused or does not get through, and for a lab that
    names no endpoint of its own: its faults must never reach a real account.
    """
    allowed(site, service, operation)
    import botocore.exceptions  # importing botocore takes most of a second: only for faults that call AWS

    try:
        reply: dict[str, Any] = getattr(client(site.aws, service), operation)(**arguments)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise _in_words(error, site, f"AWS call {service}.{operation} failed: {error}") from error
    return reply


def _in_words(error: Exception, site: Site, what: str) -> IslandingError:
    """The error that a user is told, by what botocore says."""
    import botocore.exceptions

    reply: dict[str, Any] = getattr(error, "response", {})
    names = {reply.get("Error", {}).get("Code", ""), *(kind.__name__ for kind in type(error).__mro__)}
    if names & _NO_CREDENTIALS:
        with _lock:  # a client keeps the credentials that it began with: the next call has to read them anew
            for key in [key for key in _kept if key[1:] == _access_key(site.aws)]:
                del _kept[key]
        return CredentialsRefused(what, _RENEW)
    if isinstance(error, (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError)):
        return Unreachable(what, "the AWS API cannot be reached from here")
    return IslandingError(what)


def reader(site: Site, service: str) -> Any:
    """A botocore client of `service` for many calls that read; raises IslandingError where `call` would refuse."""
    allowed(site, service, service)
    return client(site.aws, service)


def allowed(site: Site, service: str, what: str) -> None:
    """Raises IslandingError for a lab that names no endpoint for `service`, saying that `what` was not called."""
    if site.target == "lab" and not endpoint(site.aws, service):
        raise IslandingError(f"the description of the lab {site.id} names no AWS endpoint; {what} was not called")


def client(access: AwsAccess, service: str) -> Any:
    """A botocore client of `service` by what the site says about its access; raises what botocore raises.

    A client is kept for the process's life, since making one takes most of the time of a call; threads may share it.
    """
    key = (service, *_access_key(access))
    with _lock:
        if key not in _kept:
            _kept[key] = _made(access, service)
        return _kept[key]


def _access_key(access: AwsAccess) -> tuple[object, ...]:
    return access.region, tuple(sorted(access.env.items()))


def _made(access: AwsAccess, service: str) -> Any:
    import botocore.config

    return session(access).create_client(
        service,
        region_name=access.region,
        endpoint_url=endpoint(access, service),
        config=botocore.config.Config(connect_timeout=5, read_timeout=15),
    )


def session(access: AwsAccess) -> Any:
    """A botocore session with the credentials, files and settings that the site names; raises what botocore raises."""
    import botocore.session

    env = access.env
    made = botocore.session.Session(profile=env.get("AWS_PROFILE"))
    recording.attach(made)
    for variable, setting in _SETTINGS.items():
        if variable in env:
            made.set_config_variable(setting, env[variable])
    if "AWS_ACCESS_KEY_ID" in env:
        made.set_credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN"))
    return made


def endpoint(access: AwsAccess, service: str) -> str | None:
    """The endpoint that the site's environment names, by the variables of the AWS SDKs; None for AWS's own."""
    return access.env.get(f"AWS_ENDPOINT_URL_{service.upper()}") or access.env.get("AWS_ENDPOINT_URL")
