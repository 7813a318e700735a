"""Judges each request by the policy of the endpoint that it came through, and by that of the bucket or repository.

IAM's identity policies are not evaluated here (`manners.identity` does that where it is on): a principal may do
anything with what is its own account's, unless one of these policies is against it. What is somebody else's needs that
one's word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from islanding.lab.region.asked import Meaning, meanings
from islanding.lab.region.errors import JSON_SERVICES, AwsError
from islanding.lab.region.http import Request
from islanding.lab.region.policy import Asked, Caller, Effect, judge
from islanding.lab.region.principals import Principal
from islanding.lab.region.signature import parameters
from islanding.lab.system_images import ACCOUNT as SYSTEM
from islanding.lab.vpc.door import Via

if TYPE_CHECKING:
    from moto.s3.models import FakeBucket

_S3_KEYS = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys", "versionId": "s3:versionid"}
_PARTITION = "aws"
_OWNED = frozenset({"s3", "ecr", "ecr.dkr"})  # services whose things have owners and policies of their own
_PULLING = frozenset({"BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability", "ListImages"})


class Permissions:
    """Judges for one account's Region: called with a request it returns, or raises AwsError in the service's words."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self.region = region
        _leave_bucket_policies_to_us()

    def __call__(self, request: Request, principal: Principal | None, service: str, operation: str, via: Via) -> None:
        """Check every meaning of a request against the endpoint's policy, then against that of what it is for.

        `service` is the name in signatures or `ecr.dkr`; a request to S3 has its bucket in front of the path.
        """
        if service not in _OWNED and not via.policy:
            return
        caller = Caller(principal.arn, principal.account, principal.role_arn) if principal else None
        account = caller.account if caller else self._account
        for meaning in meanings(request, service, operation, self.region, account):
            thing = self._thing(meaning, account if operation == "CreateBucket" else "")
            context = _context(request, principal, via, thing.owner, meaning, self.region)
            asked = Asked(meaning.action, meaning.resource, caller, context)
            if via.policy:
                effect = judge(via.policy, asked)
                if effect is not Effect.ALLOW:
                    raise refusal(service, asked, effect, "VPC endpoint policy", "a VPC endpoint policy")
            if service in _OWNED and thing.owner:
                effect = judge(thing.policy, asked, attached=service != "s3") if thing.policy else Effect.NEUTRAL
                own = caller is not None and caller.account == thing.owner
                if effect is Effect.DENY or (effect is Effect.NEUTRAL and not own and not thing.public):
                    raise refusal(service, asked, effect, "resource-based policy", "a resource-based policy")

    def context(self, request: Request, principal: Principal, meaning: Meaning) -> dict[str, tuple[str, ...]]:
        """The condition keys of one meaning of a request."""
        return _context(request, principal, request.via, self._thing(meaning, "").owner, meaning, self.region)

    def granted(self, request: Request, principal: Principal, meaning: Meaning) -> bool:
        """Whether a bucket's or repository's own policy lets a caller of the same account do it, by its own name.

        What it says to the whole account only lets that account's identity policies decide.
        """
        thing = self._thing(meaning, "")
        if not thing.policy or thing.owner != principal.account:
            return False
        asked = Asked(
            meaning.action,
            meaning.resource,
            Caller(principal.arn, "", principal.role_arn),
            _context(request, principal, request.via, thing.owner, meaning, self.region),
        )
        return judge(thing.policy, asked, attached=not meaning.bucket) is Effect.ALLOW

    def _thing(self, meaning: Meaning, maker: str) -> _Thing:
        """What a request is for; `maker` owns a bucket that is being made."""
        if meaning.bucket:
            bucket = _bucket(meaning.bucket)
            if bucket is None:
                return _Thing(maker)
            return _Thing(str(bucket.account_id), (bucket.policy or b"").decode(), public=_public(bucket, meaning))
        if ":repository/" not in meaning.resource:
            return _Thing(meaning.account, public=meaning.action == "ecr:GetAuthorizationToken")
        from moto.ecr.models import ecr_backends

        name = meaning.resource.partition(":repository/")[2]
        found = ecr_backends[meaning.account][self.region].repositories.get(name) if meaning.account else None
        aws_own = meaning.account == SYSTEM and meaning.action.removeprefix("ecr:") in _PULLING
        return _Thing(meaning.account, (found.policy or "") if found else "", public=aws_own)


@dataclass(frozen=True)
class _Thing:
    """What is asked for: its owner's account, its own policy, and whether it is there for everybody."""

    owner: str
    policy: str = ""
    public: bool = False


def refusal(service: str, asked: Asked, effect: Effect, kind: str, one: str) -> AwsError:
    """What a service says when a policy is against it ("Troubleshoot access denied error messages", IAM user guide)."""
    if asked.caller is None and service == "s3":
        return AwsError("AccessDenied", "Access Denied", 403)
    who = asked.caller.arn if asked.caller else "anonymous"
    why = f"with an explicit deny in {one}"
    if effect is not Effect.DENY:
        why = f"because no {kind} allows the {asked.action} action"
    resource = f'"{asked.resource}"' if service == "s3" else asked.resource
    where = "" if asked.resource == "*" and service in ("ec2", "s3") else f" on resource: {resource}"
    text = f"User: {who} is not authorized to perform: {asked.action}{where} {why}"
    if service == "ec2":
        return AwsError("UnauthorizedOperation", f"You are not authorized to perform this operation. {text}", 403)
    if service in JSON_SERVICES - {"monitoring"}:
        return AwsError("AccessDeniedException", text, 403 if service in ("eks", "outposts") else 400)
    return AwsError("AccessDenied", text, 403)


def organization_of(account: str) -> str:
    """The id of the organization that an account is in; empty when it is in none."""
    from moto.organizations.models import organizations_backends

    master, partition = organizations_backends.master_accounts.get(account, (account, _PARTITION))
    if master not in organizations_backends:
        return ""
    organization = organizations_backends[master][partition].org
    return str(organization.id) if organization is not None else ""


class _Keys(dict[str, tuple[str, ...]]):
    """Condition keys; those that cost something to find are found when a policy asks for them."""

    def __init__(self, known: Mapping[str, str], caller: str, owner: str) -> None:
        super().__init__({key: (value,) for key, value in known.items() if value})
        self._late = {"aws:principalorgid": caller, "aws:resourceorgid": owner}

    # dict's own is overloaded; whoever asks here gives a default of this type.
    def get(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:  # type: ignore[override]
        account = self._late.get(key, "")
        if account:
            organization = organization_of(account)
            return (organization,) if organization else default
        return super().get(key, default)


def _context(
    request: Request, principal: Principal | None, via: Via, owner: str, meaning: Meaning, region: str
) -> _Keys:
    """The condition keys of a request (IAM user guide, "AWS global condition context keys").

    Through an endpoint there is no aws:SourceIp but aws:VpcSourceIp.
    """
    now = datetime.now(UTC)
    known = {
        "aws:sourcevpce": via.endpoint,
        "aws:sourcevpc": via.vpc,
        "aws:vpcsourceip" if via.endpoint else "aws:sourceip": request.peer[0],
        "aws:securetransport": "true",
        "aws:viaawsservice": "false",
        "aws:principalisawsservice": "false",
        "aws:requestedregion": region,
        "aws:resourceaccount": owner,
        "aws:currenttime": now.isoformat(),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:useragent": request.headers.get("user-agent", ""),
    }
    if principal is None:
        known["aws:principaltype"] = "Anonymous"
    else:
        known |= {
            "aws:principalaccount": principal.account,
            "aws:principalarn": principal.role_arn or principal.arn,
            "aws:principaltype": "AssumedRole" if principal.role_arn else "User",
            "aws:userid": principal.user_id,
            "aws:username": "" if principal.role_arn else principal.arn.rsplit("/", maxsplit=1)[-1],
        }
    if meaning.bucket:
        known["s3:resourceaccount"] = owner
        query = dict(parameters(request.query))
        known |= {key: query[name] for name, key in _S3_KEYS.items() if name in query}
        known["s3:x-amz-acl"] = request.headers.get("x-amz-acl", "")
    return _Keys(known, principal.account if principal else "", owner)


def _bucket(name: str) -> FakeBucket | None:
    if not name:
        return None
    from moto.s3.models import s3_backends

    partition, account = s3_backends.bucket_accounts.get(name, (_PARTITION, ""))
    found: FakeBucket | None = s3_backends[account][partition].buckets.get(name) if account else None
    return found


def _public(bucket: FakeBucket, meaning: Meaning) -> bool:
    """Whether the ACL of an object or a bucket lets everybody read it."""
    if meaning.action not in ("s3:GetObject", "s3:ListBucket"):
        return False
    _, _, name = meaning.resource.partition("/")
    held = bucket.keys.get(name) if name else bucket
    acl = getattr(held, "acl", None)
    return bool(acl is not None and acl.public_read)


def _leave_bucket_policies_to_us() -> None:
    """moto judges a bucket's policy without its conditions and without its principals: it is told that all is well."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    # A method of moto's is replaced for good: every Region of this process has a judge of its own.
    FakeBucket.get_permission = lambda *_: PermissionResult.PERMITTED  # type: ignore[method-assign]
