"""Who is let in at a door of the Region, and who is not, in AWS's words."""

from __future__ import annotations

from datetime import UTC, datetime

from islanding.lab.region import hostnames, principals, signature
from islanding.lab.region.errors import AwsError
from islanding.lab.region.hostnames import Target
from islanding.lab.region.http import Request
from islanding.lab.region.principals import Credential
from islanding.lab.region.signature import Claim

# Services whose global names are signed for that Region.
SIGNED_IN_US_EAST_1 = frozenset({"sts", "iam", "route53", "organizations"})


def authenticate(request: Request, claim: Claim, target: Target, region: str) -> Credential:
    """The credential by which a request is rightly signed, for this service and Region; raises AwsError if not."""
    now = datetime.now(UTC)
    credential = principals.credential_for(claim, now)
    signature.check(request, claim, credential.secret, now)
    regions = {region, "us-east-1"} if claim.service in SIGNED_IN_US_EAST_1 else {region}
    if claim.region not in regions:
        expected = " or ".join(sorted(regions))
        raise AwsError("SignatureDoesNotMatch", f"Credential should be scoped to a valid region: {expected}.", 403)
    if target.signing not in ("", claim.service):
        raise wrong_service(target.signing)
    if request.upload is not None and claim.service != "s3":
        raise AwsError("RequestEntityTooLarge", "Request is too large", 413)
    return credential


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
