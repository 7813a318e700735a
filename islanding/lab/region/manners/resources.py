"""Which resource of a service a call is about, as an ARN, for policies that name it; `*` where a call names none.

Source: "Actions, resources, and condition keys for AWS services", Service Authorization Reference. S3, ECR and EC2 are
told apart where endpoint policies are judged.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

from islanding.lab.region.asked import Meaning
from islanding.lab.region.http import Request
from islanding.lab.region.operations import form

_IAM = {  # the first of these that a call names is what it is about
    "InstanceProfileName": "instance-profile/{}", "RoleName": "role/{}", "UserName": "user/{}", "GroupName": "group/{}",
    "PolicyName": "policy/{}",
}  # fmt: skip
_TAGGED = re.compile(r"TagSpecification\.\d+\.ResourceType")
_PROFILE_PARAMETER = re.compile(r"IamInstanceProfile\.(Name|Arn)|IamInstanceProfile")


def narrowed(meaning: Meaning, request: Request, service: str, region: str) -> Meaning:
    """The same meaning with the resource that the call names, where only `*` was known so far."""
    if meaning.resource != "*":
        return meaning
    found = _named(request, service, region, meaning.account)
    return Meaning(meaning.action, found, meaning.bucket, meaning.account) if found else meaning


def _named(request: Request, service: str, region: str, account: str) -> str:
    asked, body = dict(form(request)), _body(request)
    here = f"{region}:{account}"
    if service == "iam":
        return _of_iam(asked, account)
    if service == "cloudformation" and (stack := asked.get("StackName", "")):
        return stack if stack.startswith("arn:") else f"arn:aws:cloudformation:{here}:stack/{stack}/*"
    if service == "autoscaling" and not asked.get("Action", "").startswith("Describe"):
        group = asked.get("AutoScalingGroupName", "")
        return f"arn:aws:autoscaling:{here}:autoScalingGroup:*:autoScalingGroupName/{group}" if group else ""
    found = ""
    if service == "logs" and body.get("logGroupName"):
        found = f"log-group:{body['logGroupName']}:log-stream:{body.get('logStreamName', '')}"
    elif service == "ssm" and isinstance(body.get("Name"), str):
        found = f"parameter/{body['Name'].lstrip('/')}"
    elif service == "outposts" and len(parts := request.path.strip("/").split("/")) > 1:
        found = f"outpost/{unquote(parts[1])}"
    return f"arn:aws:{service}:{here}:{found}" if found else ""


def _of_iam(asked: dict[str, str], account: str) -> str:
    """The role, user, profile or policy of an IAM call; what is added to a thing is told as that thing."""
    name = next((name for name in _IAM if name in asked), "")
    if name:
        return f"arn:aws:iam::{account}:{_IAM[name].format(asked[name])}"
    return asked.get("PolicyArn", "")


def tagged_kinds(request: Request) -> tuple[str, ...]:
    """The kinds of things that a call of EC2 tags as it makes them."""
    return tuple(dict.fromkeys(value for name, value in form(request) if _TAGGED.fullmatch(name)))


def passed_roles(request: Request, service: str, operation: str) -> tuple[str, ...]:
    """The roles that a call gives to a service, for which the caller needs iam:PassRole: ARNs, or profiles' names.

    IAM user guide, "Grant a user permissions to pass a role to an AWS service". A profile is told as
    `instance-profile/NAME`.
    """
    if service == "ec2" and operation in ("RunInstances", "AssociateIamInstanceProfile"):
        given = [value for name, value in form(request) if _PROFILE_PARAMETER.fullmatch(name)]
        return tuple(f"instance-profile/{value.rsplit('/', 1)[-1]}" for value in given if value)
    if service == "eks" and operation in ("CreateCluster", "CreateNodegroup"):
        body = _body(request)
        return tuple(str(body[key]) for key in ("roleArn", "nodeRole") if body.get(key))
    if service == "cloudformation" and (role := dict(form(request)).get("RoleARN")):
        return (role,)
    return ()


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
