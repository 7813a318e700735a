"""Calls of the AWS API by what a site says about its access, and by nothing of the caller's own environment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from islanding.aws import paging, recording, trouble
from islanding.errors import IslandingError
from islanding.model import AwsAccess, Site
from islanding.wait import wait_until

_SETTINGS = {  # environment variable -> botocore's name of the same setting
    "AWS_SHARED_CREDENTIALS_FILE": "credentials_file",
    "AWS_CONFIG_FILE": "config_file",
    "AWS_CA_BUNDLE": "ca_bundle",
    "AWS_MAX_ATTEMPTS": "max_attempts",
    "AWS_RETRY_MODE": "retry_mode",
}
ATTEMPTS = 6  # with standard mode's backoff: half a minute at most, longer than EC2's buckets take to fill again
SETTLES = 10.0  # seconds; AWS documents none, and says that EC2's changes are seen "almost always" within seconds
T = TypeVar("T")
_kept: dict[tuple[object, ...], Any] = {}
_lock = threading.Lock()


class Unreachable(IslandingError):
    """Nobody answers at AWS's API: worth trying again."""


class CredentialsRefused(IslandingError):
    """The credentials have expired or are none: somebody has to renew them."""


def call(site: Site, service: str, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call `operation` (boto3's method name) of `service` and return the reply, with the things of all its pages.

    What AWS calls not found is asked for again while it may be unseen only (`settling`).

    Raises IslandingError with AWS's own message when the call is refused or does not get through, and for a lab that
    names no endpoint of its own: its faults must never reach a real account.
    """
    allowed(site, service, operation)
    import botocore.exceptions  # importing botocore takes most of a second: only for faults that call AWS

    try:
        return until_settled(site, lambda: paging.whole(client(site.aws, service), operation, arguments), _found)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise _in_words(error, site, f"AWS call {service}.{operation} failed: {error}") from error


def settling(site: Site) -> float:
    """Seconds after which a change at the site is seen by every read."""
    return max(site.aws.settle, SETTLES if site.target == "aws" else 0.0)


def until_settled(site: Site, ask: Callable[[], T], counts: Callable[[T | Exception], bool]) -> T:
    """What `ask` returns, once `counts` says so of it, or else after as long as a change may be unseen.

    Raises what `ask` raised last, when that counts or the time is up.
    """
    until = time.monotonic() + settling(site)

    def attempt() -> T | Exception:
        try:
            return ask()
        except Exception as error:  # handed out below
            return error

    said = wait_until(
        "AWS to see what was changed",
        attempt,
        timeout=settling(site),
        interval=0.5,
        done=lambda said: counts(said) or time.monotonic() >= until,
    )
    if isinstance(said, Exception):
        raise said
    return said


def delete(site: Site, service: str, operation: str, **what: str) -> None:
    """Delete one thing, as soon as AWS sees that nothing depends on it any more.

    That it is not there is well: the reply of the call that deleted it may have been lost. Raises IslandingError with
    AWS's message for anything else, and where something depends on it for longer than a change may be unseen.
    """
    try:
        until_settled(
            site,
            lambda: call(site, service, operation, what),
            lambda said: not (isinstance(said, Exception) and "DependencyViolation" in str(said)),
        )
    except IslandingError as error:
        if error.__cause__ is None or not trouble.not_found(error.__cause__):
            raise


def _found(said: dict[str, Any] | Exception) -> bool:
    return not (isinstance(said, Exception) and trouble.not_found(said))


def _in_words(error: Exception, site: Site, what: str) -> IslandingError:
    """The error that a user is told, by what botocore says."""
    if trouble.names(error) & (trouble.EXPIRED | trouble.MISSING | trouble.REFUSED):
        with _lock:  # a client keeps the credentials that it began with: the next call has to read them anew
            for key in [key for key in _kept if key[1:] == _access_key(site.aws)]:
                del _kept[key]
        return CredentialsRefused(what, trouble.fix(error, site.aws))
    if trouble.names(error) & trouble.UNREACHABLE:
        return Unreachable(what, trouble.fix(error, site.aws))
    return IslandingError(what, trouble.fix(error, site.aws))


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

    made = session(access)
    chosen, attempts = made.get_config_variable("retry_mode"), made.get_config_variable("max_attempts")
    retries: Any = {
        "mode": "standard" if chosen == "legacy" else chosen,
        "total_max_attempts": int(attempts or ATTEMPTS),
    }
    return made.create_client(
        service,
        region_name=access.region,
        endpoint_url=endpoint(access, service),
        config=botocore.config.Config(connect_timeout=5, read_timeout=15, retries=retries),
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
