"""STS as AWS answers it: caller identity for signed and presigned requests, and roles that must exist and trust.

moto takes a presigned STS request for S3, answers it in XML only, and lets anybody assume any role.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from moto.iam.models import iam_backends

from islanding.lab.region.errors import QUERY_NAMESPACES, AwsError, speaks_json
from islanding.lab.region.http import Request, Response
from islanding.lab.region.principals import Principal


def caller_identity(request: Request, principal: Principal) -> Response:
    """The reply of GetCallerIdentity, in JSON when the request asks for it (aws-iam-authenticator does)."""
    rid = str(uuid.uuid4())
    result = {"Account": principal.account, "Arn": principal.arn, "UserId": principal.user_id}
    if speaks_json(request, "sts"):
        reply = {"GetCallerIdentityResult": result, "ResponseMetadata": {"RequestId": rid}}
        body = json.dumps({"GetCallerIdentityResponse": reply})
        return Response(200, (("Content-Type", "application/json"), ("x-amzn-RequestId", rid)), body.encode())
    members = "".join(f"    <{name}>{escape(value)}</{name}>\n" for name, value in result.items())
    text = (
        f'<GetCallerIdentityResponse xmlns="{QUERY_NAMESPACES["sts"]}">\n  <GetCallerIdentityResult>\n{members}'
        f"  </GetCallerIdentityResult>\n  <ResponseMetadata>\n    <RequestId>{rid}</RequestId>\n"
        f"  </ResponseMetadata>\n</GetCallerIdentityResponse>\n"
    )
    return Response(200, (("Content-Type", "text/xml"), ("x-amzn-RequestId", rid)), text.encode())


def check_assume_role(principal: Principal, role_arn: str) -> None:
    """Check that the role exists and trusts the caller; raises AwsError AccessDenied as AWS does."""
    parts = role_arn.split(":")
    account = parts[4] if len(parts) > 5 else ""
    roles = iam_backends[account]["aws"].get_roles() if account in iam_backends else []
    trust = next((role.assume_role_policy_document for role in roles if role.arn == role_arn), None)
    if trust is None or not trusts(json.loads(trust), principal):
        raise AwsError(
            "AccessDenied",
            f"User: {principal.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
            403,
        )


def trusts(document: Mapping[str, Any], principal: Principal) -> bool:
    """Whether a trust policy lets `principal` assume its role. An explicit Deny wins; Condition is not evaluated."""
    allowed = False
    for statement in _list(document.get("Statement", [])):
        if "sts:AssumeRole" not in _list(statement.get("Action", [])) and "*" not in _list(statement.get("Action", [])):
            continue
        named = statement.get("Principal", {})
        names = ["*"] if named == "*" else _list(named.get("AWS", []))
        mine = {"*", principal.account, f"arn:aws:iam::{principal.account}:root", principal.arn, principal.role_arn}
        if mine & set(names):
            if statement.get("Effect") == "Deny":
                return False
            allowed = True
    return allowed


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
