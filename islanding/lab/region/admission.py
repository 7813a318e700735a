"""Who is not let in at a door of the Region, in AWS's words."""

from __future__ import annotations

from islanding.lab.region import hostnames
from islanding.lab.region.errors import AwsError
from islanding.lab.region.hostnames import Target


def check_door(services: tuple[str, ...], target: Target, service: str) -> None:
    """Refuse what is for another service than those of the door: an endpoint leads to one service alone."""
    asked = target.service or service
    if services and asked not in services and hostnames.signing_name(services[0]) != service:
        raise wrong_service(hostnames.signing_name(services[0]))


def wrong_service(served: str) -> AwsError:
    """A request that is signed for, or sent to, another service than the one that answers."""
    return AwsError("SignatureDoesNotMatch", f"Credential should be scoped to correct service: '{served}'.", 403)


def unsigned(service: str) -> AwsError:
    """A request that nobody has signed."""
    if service == "s3":
        return AwsError("AccessDenied", "Access Denied", 403)
    return AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
