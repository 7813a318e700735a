"""Resource types of IAM: roles, instance profiles and policies."""

from __future__ import annotations

import contextlib

from islanding.lab.region.cloudformation.resource import (
    Context,
    Made,
    Properties,
    chosen,
    document,
    listed,
    resource_type,
    tag_list,
)

_ROLE = (
    "RoleName !AssumeRolePolicyDocument Path ManagedPolicyArns Policies Description MaxSessionDuration"
    " PermissionsBoundary Tags"
)


def _role(c: Context, p: Properties) -> Made:
    iam = c.clients("iam")
    name = str(p.get("RoleName") or c.short_name(64))
    wanted = chosen(p, "Path Description PermissionsBoundary")
    if "MaxSessionDuration" in p:
        wanted["MaxSessionDuration"] = int(p["MaxSessionDuration"])
    trust = document(p["AssumeRolePolicyDocument"])
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=tag_list(p), **wanted)["Role"]
    c.begin(name)
    _grant(c, name, p)
    return Made(name, {"Arn": made["Arn"], "RoleId": made["RoleId"]})


def _grant(c: Context, name: str, p: Properties) -> None:
    iam = c.clients("iam")
    for arn in p.get("ManagedPolicyArns") or []:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    for policy in p.get("Policies") or []:
        text = document(policy["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=text)


def _take_back(c: Context, name: str) -> None:
    iam = c.clients("iam")
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=inline)


def _role_gone(c: Context, identity: str, _p: Properties) -> None:
    _take_back(c, identity)
    c.clients("iam").delete_role(RoleName=identity)


def _role_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    _take_back(c, made.id)
    _grant(c, made.id, new)
    trust = document(new["AssumeRolePolicyDocument"])
    c.clients("iam").update_assume_role_policy(RoleName=made.id, PolicyDocument=trust)
    return made


resource_type(
    "AWS::IAM::Role", _ROLE, _role, _role_gone, _role_changed, "AssumeRolePolicyDocument ManagedPolicyArns Policies"
)


def _profile(c: Context, p: Properties) -> Made:
    iam = c.clients("iam")
    name = str(p.get("InstanceProfileName") or c.short_name(128))
    made = iam.create_instance_profile(InstanceProfileName=name, **chosen(p, "Path"))["InstanceProfile"]
    c.begin(name)
    for role in listed(p["Roles"]):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
    return Made(name, {"Arn": made["Arn"]})


def _profile_gone(c: Context, identity: str, _p: Properties) -> None:
    iam = c.clients("iam")
    for role in iam.get_instance_profile(InstanceProfileName=identity)["InstanceProfile"]["Roles"]:
        iam.remove_role_from_instance_profile(InstanceProfileName=identity, RoleName=role["RoleName"])
    iam.delete_instance_profile(InstanceProfileName=identity)


resource_type("AWS::IAM::InstanceProfile", "InstanceProfileName Path !Roles", _profile, _profile_gone)


def _policy(c: Context, p: Properties) -> Made:
    c.begin(p["PolicyName"])
    for role in p["Roles"]:
        c.clients("iam").put_role_policy(
            RoleName=role, PolicyName=p["PolicyName"], PolicyDocument=document(p["PolicyDocument"])
        )
    return Made(p["PolicyName"])


def _policy_gone(c: Context, identity: str, p: Properties) -> None:
    iam = c.clients("iam")
    for role in p["Roles"]:
        with contextlib.suppress(iam.exceptions.NoSuchEntityException):  # the role, or only its policy, is gone
            iam.delete_role_policy(RoleName=role, PolicyName=identity)


def _policy_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    _policy_gone(c, made.id, {"Roles": [role for role in old["Roles"] if role not in new["Roles"]]})
    return _policy(c, new)


resource_type(
    "AWS::IAM::Policy", "!PolicyName !PolicyDocument !Roles", _policy, _policy_gone, _policy_changed,
    "PolicyDocument Roles",
)  # fmt: skip


def _managed_policy(c: Context, p: Properties) -> Made:
    iam = c.clients("iam")
    made = iam.create_policy(
        PolicyName=str(p.get("ManagedPolicyName") or c.short_name(128)), PolicyDocument=document(p["PolicyDocument"]),
        **chosen(p, "Path Description"),
    )["Policy"]  # fmt: skip
    c.begin(made["Arn"])
    for role in p.get("Roles") or []:
        iam.attach_role_policy(RoleName=role, PolicyArn=made["Arn"])
    return Made(made["Arn"], {"PolicyArn": made["Arn"]})


def _managed_policy_gone(c: Context, identity: str, _p: Properties) -> None:
    iam = c.clients("iam")
    for role in iam.list_entities_for_policy(PolicyArn=identity, EntityFilter="Role")["PolicyRoles"]:
        iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=identity)
    iam.delete_policy(PolicyArn=identity)


resource_type(
    "AWS::IAM::ManagedPolicy", "ManagedPolicyName !PolicyDocument Path Description Roles", _managed_policy,
    _managed_policy_gone,
)  # fmt: skip
