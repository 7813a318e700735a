"""Who holds an access key: looks it up in moto's IAM and STS and says whether it is still good."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from islanding.lab.region.errors import AwsError
from islanding.lab.region.signature import Claim


@dataclass(frozen=True)
class Principal:
    """A user or an assumed role that signed a request."""

    access_key_id: str
    account: str
    arn: str
    user_id: str
    role_arn: str = ""  # of the role, when it is an assumed one


@dataclass(frozen=True)
class Credential:
    """A principal with the secret that proves it; `token` and `expires` for temporary ones. Never printed."""

    principal: Principal
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


def find(access_key_id: str, partition: str = "aws") -> Credential | None:
    """The credential of that access key id in any account of the Region, or None (unknown, or a disabled key)."""
    for account in list(sts_backends.keys()):
        role = sts_backends[account][partition].get_assumed_role_from_access_key(access_key_id)
        if role is not None:
            who = Principal(access_key_id, role.account_id, role.arn, role.user_id, role.role_arn)
            expires = role.expiration
            return Credential(who, role.secret_access_key, role.session_token, expires.replace(tzinfo=UTC))
    for account in list(iam_backends.keys()):
        iam = iam_backends[account][partition]
        key = iam.access_keys.get(access_key_id)
        user = iam.get_user_from_access_key_id(access_key_id) if key is not None else None
        if key is not None and user is not None and key.status == "Active":
            return Credential(Principal(access_key_id, account, user.arn, user.id), key.secret_access_key)
    return None


def credential_for(claim: Claim, now: datetime) -> Credential:
    """The credential that a claim names; raises AwsError for an unknown key, a wrong token or an expired session."""
    credential = find(claim.access_key_id)
    if credential is None or credential.token != claim.token:
        raise AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    if credential.expires is not None and now >= credential.expires:
        raise AwsError("ExpiredToken", "The security token included in the request is expired", 403)
    return credential
