"""Resource types of an account: roles, profiles, buckets, repositories, log groups, private zones."""

from __future__ import annotations

import contextlib
import json
import uuid
from typing import Any

from islanding.lab.region.cloudformation.resource import Context, Made, Properties, chosen, listed, resource_type


def _document(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# -- IAM -----------------------------------------------------------------------------------------------------------------

_ROLE = (
    "RoleName AssumeRolePolicyDocument Path ManagedPolicyArns Policies Description MaxSessionDuration"
    " PermissionsBoundary Tags"
)


def _role(c: Context, p: Properties) -> Made:
    iam = c.clients("iam")
    name = str(p.get("RoleName", c.name))
    made = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=_document(p["AssumeRolePolicyDocument"]),
        **chosen(p, "Path Description Tags"),
    )["Role"]
    _grant(c, name, p)
    return Made(name, {"Arn": made["Arn"], "RoleId": made["RoleId"]})


def _grant(c: Context, name: str, p: Properties) -> None:
    iam = c.clients("iam")
    for arn in p.get("ManagedPolicyArns") or []:
        iam.attach_role_policy(RoleName=name, PolicyArn=arn)
    for policy in p.get("Policies") or []:
        document = _document(policy["PolicyDocument"])
        iam.put_role_policy(RoleName=name, PolicyName=policy["PolicyName"], PolicyDocument=document)


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
    document = _document(new["AssumeRolePolicyDocument"])
    c.clients("iam").update_assume_role_policy(RoleName=made.id, PolicyDocument=document)
    return made


resource_type(
    "AWS::IAM::Role", _ROLE, _role, _role_gone, _role_changed, "AssumeRolePolicyDocument ManagedPolicyArns Policies"
)


def _profile(c: Context, p: Properties) -> Made:
    iam = c.clients("iam")
    name = str(p.get("InstanceProfileName", c.name))
    made = iam.create_instance_profile(InstanceProfileName=name, **chosen(p, "Path"))["InstanceProfile"]
    for role in listed(p["Roles"]):
        iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)
    return Made(name, {"Arn": made["Arn"]})


def _profile_gone(c: Context, identity: str, p: Properties) -> None:
    iam = c.clients("iam")
    for role in listed(p["Roles"]):
        iam.remove_role_from_instance_profile(InstanceProfileName=identity, RoleName=role)
    iam.delete_instance_profile(InstanceProfileName=identity)


resource_type("AWS::IAM::InstanceProfile", "InstanceProfileName Path Roles", _profile, _profile_gone)


def _policy(c: Context, p: Properties) -> Made:
    for role in p.get("Roles") or []:
        c.clients("iam").put_role_policy(
            RoleName=role, PolicyName=p["PolicyName"], PolicyDocument=_document(p["PolicyDocument"])
        )
    return Made(p["PolicyName"])


def _policy_gone(c: Context, identity: str, p: Properties) -> None:
    for role in p.get("Roles") or []:
        c.clients("iam").delete_role_policy(RoleName=role, PolicyName=identity)


resource_type("AWS::IAM::Policy", "PolicyName PolicyDocument Roles", _policy, _policy_gone)


def _managed_policy(c: Context, p: Properties) -> Made:
    iam = c.clients("iam")
    made = iam.create_policy(
        PolicyName=str(p.get("ManagedPolicyName", c.name)), PolicyDocument=_document(p["PolicyDocument"]),
        **chosen(p, "Path Description"),
    )["Policy"]  # fmt: skip
    for role in p.get("Roles") or []:
        iam.attach_role_policy(RoleName=role, PolicyArn=made["Arn"])
    return Made(made["Arn"], {"PolicyArn": made["Arn"]})


def _managed_policy_gone(c: Context, identity: str, p: Properties) -> None:
    for role in p.get("Roles") or []:
        c.clients("iam").detach_role_policy(RoleName=role, PolicyArn=identity)
    c.clients("iam").delete_policy(PolicyArn=identity)


resource_type(
    "AWS::IAM::ManagedPolicy", "ManagedPolicyName PolicyDocument Path Description Roles", _managed_policy,
    _managed_policy_gone,
)  # fmt: skip


# -- S3, ECR, logs -------------------------------------------------------------------------------------------------------

_BUCKET = (
    "BucketName BucketEncryption PublicAccessBlockConfiguration VersioningConfiguration LifecycleConfiguration"
    " OwnershipControls Tags"
)


def _bucket(c: Context, p: Properties) -> Made:
    s3 = c.clients("s3")
    name = str(p.get("BucketName") or c.name.lower())
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": c.region})
    if "PublicAccessBlockConfiguration" in p:
        block = {k: str(v).lower() == "true" for k, v in p["PublicAccessBlockConfiguration"].items()}
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    if "VersioningConfiguration" in p:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=dict(p["VersioningConfiguration"]))
    domain = f"{name}.s3.amazonaws.com"
    regional = f"{name}.s3.{c.region}.amazonaws.com"
    return Made(name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": domain, "RegionalDomainName": regional})


resource_type("AWS::S3::Bucket", _BUCKET, _bucket, lambda c, i, _p: c.clients("s3").delete_bucket(Bucket=i))


def _bucket_policy(c: Context, p: Properties) -> Made:
    c.clients("s3").put_bucket_policy(Bucket=p["Bucket"], Policy=_document(p["PolicyDocument"]))
    return Made(f"{p['Bucket']}-policy")


def _bucket_policy_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    _bucket_policy(c, new)
    return made


resource_type(
    "AWS::S3::BucketPolicy", "Bucket PolicyDocument", _bucket_policy,
    lambda c, _i, p: c.clients("s3").delete_bucket_policy(Bucket=p["Bucket"]), _bucket_policy_changed,
    "PolicyDocument",
)  # fmt: skip


def _repository(c: Context, p: Properties) -> Made:
    ecr = c.clients("ecr")
    name = str(p.get("RepositoryName") or c.name.lower())
    made = ecr.create_repository(repositoryName=name, **chosen(p, "", ImageTagMutability="imageTagMutability"))[
        "repository"
    ]
    if "RepositoryPolicyText" in p:
        ecr.set_repository_policy(repositoryName=name, policyText=_document(p["RepositoryPolicyText"]))
    return Made(name, {"Arn": made["repositoryArn"], "RepositoryUri": made["repositoryUri"]})


def _repository_gone(c: Context, identity: str, p: Properties) -> None:
    c.clients("ecr").delete_repository(
        repositoryName=identity, force=str(p.get("EmptyOnDelete", "false")).lower() == "true"
    )


resource_type(
    "AWS::ECR::Repository",
    "RepositoryName RepositoryPolicyText ImageTagMutability ImageScanningConfiguration EmptyOnDelete LifecyclePolicy"
    " EncryptionConfiguration Tags", _repository, _repository_gone,
)  # fmt: skip


def _log_group(c: Context, p: Properties) -> Made:
    name = str(p.get("LogGroupName", c.name))
    c.clients("logs").create_log_group(logGroupName=name)
    if "RetentionInDays" in p:
        c.clients("logs").put_retention_policy(logGroupName=name, retentionInDays=int(p["RetentionInDays"]))
    return Made(name, {"Arn": f"arn:aws:logs:{c.region}:{c.account}:log-group:{name}:*"})


resource_type(
    "AWS::Logs::LogGroup", "LogGroupName RetentionInDays KmsKeyId LogGroupClass Tags", _log_group,
    lambda c, i, _p: c.clients("logs").delete_log_group(logGroupName=i),
)  # fmt: skip


def _flow_log(c: Context, p: Properties) -> Made:
    wanted = chosen(
        p, "ResourceType TrafficType LogGroupName DeliverLogsPermissionArn LogDestinationType LogDestination"
    )
    made = c.clients("ec2").create_flow_logs(ResourceIds=[p["ResourceId"]], **wanted)
    return Made(made["FlowLogIds"][0], {"Id": made["FlowLogIds"][0]})


resource_type(
    "AWS::EC2::FlowLog",
    "ResourceId ResourceType TrafficType LogGroupName DeliverLogsPermissionArn LogDestinationType LogDestination Tags",
    _flow_log, lambda c, i, _p: c.clients("ec2").delete_flow_logs(FlowLogIds=[i]),
)  # fmt: skip


# -- Route 53 ------------------------------------------------------------------------------------------------------------


def _zone(c: Context, p: Properties) -> Made:
    route53 = c.clients("route53")
    first, *others = [{"VPCRegion": v["VPCRegion"], "VPCId": v["VPCId"]} for v in p.get("VPCs") or [{}]] or [{}]
    wanted: dict[str, Any] = {"Name": p["Name"], "CallerReference": str(uuid.uuid4())}
    if first:
        wanted |= {"VPC": first, "HostedZoneConfig": {"PrivateZone": True}}
    identity = str(route53.create_hosted_zone(**wanted)["HostedZone"]["Id"]).rsplit("/", 1)[-1]
    for vpc in others:
        route53.associate_vpc_with_hosted_zone(HostedZoneId=identity, VPC=vpc)
    return Made(identity, {"Id": identity})


def _record_change(c: Context, action: str, p: Properties) -> None:
    record: dict[str, Any] = {"Name": p["Name"], "Type": p["Type"]}
    if "AliasTarget" in p:
        record["AliasTarget"] = {"EvaluateTargetHealth": False, **p["AliasTarget"]}
    else:
        record |= {"TTL": int(p.get("TTL", 300)), "ResourceRecords": [{"Value": str(v)} for v in p["ResourceRecords"]]}
    c.clients("route53").change_resource_record_sets(
        HostedZoneId=p["HostedZoneId"], ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]}
    )


def _record(c: Context, p: Properties) -> Made:
    _record_change(c, "CREATE", p)
    return Made(str(p["Name"]))


def _record_gone(c: Context, _i: str, p: Properties) -> None:
    with contextlib.suppress(c.clients("route53").exceptions.NoSuchHostedZone):
        _record_change(c, "DELETE", p)


resource_type(
    "AWS::Route53::HostedZone", "Name VPCs HostedZoneConfig HostedZoneTags", _zone,
    lambda c, i, _p: c.clients("route53").delete_hosted_zone(Id=i),
)  # fmt: skip
resource_type(
    "AWS::Route53::RecordSet", "HostedZoneId Name Type TTL ResourceRecords AliasTarget Comment", _record, _record_gone
)
