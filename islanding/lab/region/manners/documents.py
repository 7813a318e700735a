"""The policy documents that count for a caller: of its role or user, its groups, its boundary and its session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from islanding.lab.region.http import Request, Response
from islanding.lab.region.manners import xmlreply
from islanding.lab.region.operations import form

if TYPE_CHECKING:
    from islanding.lab.region.principals import Principal

_PARTITION = "aws"
Kind = tuple[str, str]


class Documents:
    """Finds them in moto's IAM, and remembers which managed policies a session was opened with."""

    def __init__(self) -> None:
        self._of_sessions: dict[str, tuple[str, ...]] = {}  # policy ARNs by access key id
        self._lock = threading.Lock()

    def of(self, who: Principal) -> dict[Kind, tuple[str, ...]]:
        """Documents by kind of policy; a kind that does not apply to the caller is left out."""
        from islanding.lab.region.manners.identity import BOUNDARY, IDENTITY, SESSION

        iam = iam_backends[who.account][_PARTITION]
        holder = _holder(iam, who)
        if holder is None:
            return {IDENTITY: ()}
        found = {IDENTITY: tuple(_of_holder(holder))}
        if not who.role_arn:
            groups = iam.get_groups_for_user(holder.name)
            found[IDENTITY] += tuple(text for group in groups for text in _of_holder(group))
        boundary = getattr(holder, "permissions_boundary_arn", None) or ""
        if boundary:
            found[BOUNDARY] = tuple(_managed(iam, boundary))
        session = self._session(iam, who)
        if session is not None:
            found[SESSION] = session
        return found

    def roles_of(self, named: str, account: str) -> tuple[str, ...]:
        """The ARNs of the roles behind a role's ARN, or behind `instance-profile/NAME`."""
        if not named.startswith("instance-profile/"):
            return (named,)
        name = named.partition("/")[2]
        profiles = iam_backends[account][_PARTITION].instance_profiles.values()
        return tuple(role.arn for profile in profiles if profile.name == name for role in profile.roles)

    def remember_session(self, request: Request, response: Response) -> None:
        """Keep which managed policies a session of AssumeRole is limited by."""
        arns = tuple(v for n, v in form(request) if n.startswith("PolicyArns.member.") and n.endswith(".arn"))
        root = xmlreply.parse(response) if arns else None
        keys = [one.text for one in root.iter() if xmlreply.plain(one) == "AccessKeyId"] if root is not None else []
        with self._lock:
            self._of_sessions |= {key: arns for key in keys if key}

    def _session(self, iam: Any, who: Principal) -> tuple[str, ...] | None:
        if not who.role_arn:
            return None
        role = sts_backends[who.account][_PARTITION].get_assumed_role_from_access_key(who.access_key_id)
        inline = (role.policy,) if role is not None and role.policy else ()
        with self._lock:
            arns = self._of_sessions.get(who.access_key_id, ())
        managed = tuple(text for arn in arns for text in _managed(iam, arn))
        return (*inline, *managed) if inline or arns else None


def _holder(iam: Any, who: Principal) -> Any:
    """The role or user of moto's; None for a role that was deleted meanwhile."""
    if who.role_arn:
        return next((role for role in iam.get_roles() if role.arn == who.role_arn), None)
    return iam.users.get(who.arn.rsplit("/", maxsplit=1)[-1])


def _of_holder(holder: Any) -> Iterator[str]:
    yield from (text for text in dict(holder.policies).values())
    for policy in list(holder.managed_policies.values()):
        yield _text(policy)


def _managed(iam: Any, arn: str) -> Iterator[str]:
    policy = iam.managed_policies.get(arn)
    if policy is not None:
        yield _text(policy)


def _text(policy: Any) -> str:
    """A managed policy's document, in its default version."""
    return next((str(v.document) for v in policy.versions if v.version_id == policy.default_version_id), "")
