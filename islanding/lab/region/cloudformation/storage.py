"""Resource types that keep things: buckets, image repositories, log groups, flow logs."""

from __future__ import annotations

from typing import Any

from islanding.lab.region.cloudformation.resource import (
    Context,
    Made,
    Properties,
    chosen,
    document,
    resource_type,
    tag_list,
    truth,
)
from islanding.lab.region.errors import AwsError


def _bucket(c: Context, p: Properties) -> Made:
    s3 = c.clients("s3")
    name = str(p.get("BucketName") or c.short_name(63).lower())
    # us-east-1 is the Region that S3 does not take for a location constraint.
    place = {} if c.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": c.region}}
    s3.create_bucket(Bucket=name, **place)
    c.begin(name)
    _bucket_settings(c, name, p)
    domain = f"{name}.s3.amazonaws.com"
    regional = f"{name}.s3.{c.region}.amazonaws.com"
    return Made(name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": domain, "RegionalDomainName": regional})


def _bucket_settings(c: Context, name: str, p: Properties) -> None:
    s3 = c.clients("s3")
    if "PublicAccessBlockConfiguration" in p:
        block = {k: truth(v) for k, v in p["PublicAccessBlockConfiguration"].items()}
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    if "VersioningConfiguration" in p:
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=dict(p["VersioningConfiguration"]))
    if "BucketEncryption" in p:
        rules = p["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        s3.put_bucket_encryption(
            Bucket=name, ServerSideEncryptionConfiguration={"Rules": [_encryption(rule) for rule in rules]}
        )
    if "OwnershipControls" in p:
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=dict(p["OwnershipControls"]))
    if given := tag_list(p):
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": given})


def _encryption(rule: Properties) -> dict[str, Any]:
    made: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": dict(rule["ServerSideEncryptionByDefault"])}
    return made | ({"BucketKeyEnabled": truth(rule["BucketKeyEnabled"])} if "BucketKeyEnabled" in rule else {})


resource_type(
    "AWS::S3::Bucket",
    "BucketName BucketEncryption PublicAccessBlockConfiguration VersioningConfiguration OwnershipControls Tags",
    _bucket, lambda c, i, _p: c.clients("s3").delete_bucket(Bucket=i),
)  # fmt: skip


def _bucket_policy(c: Context, p: Properties) -> Made:
    c.clients("s3").put_bucket_policy(Bucket=p["Bucket"], Policy=document(p["PolicyDocument"]))
    return Made(f"{p['Bucket']}-policy")


def _bucket_policy_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    _bucket_policy(c, new)
    return made


resource_type(
    "AWS::S3::BucketPolicy", "!Bucket !PolicyDocument", _bucket_policy,
    lambda c, _i, p: c.clients("s3").delete_bucket_policy(Bucket=p["Bucket"]), _bucket_policy_changed,
    "PolicyDocument",
)  # fmt: skip


def _repository(c: Context, p: Properties) -> Made:
    ecr = c.clients("ecr")
    name = str(p.get("RepositoryName") or c.short_name(256).lower())
    wanted = chosen(p, "", ImageTagMutability="imageTagMutability")
    if "ImageScanningConfiguration" in p:
        scan = truth(p["ImageScanningConfiguration"].get("ScanOnPush", False))
        wanted["imageScanningConfiguration"] = {"scanOnPush": scan}
    if "EncryptionConfiguration" in p:
        wanted["encryptionConfiguration"] = chosen(
            p["EncryptionConfiguration"], "", EncryptionType="encryptionType", KmsKey="kmsKey"
        )
    made = ecr.create_repository(repositoryName=name, tags=tag_list(p), **wanted)["repository"]
    c.begin(name)
    _repository_policies(c, name, p)
    return Made(name, {"Arn": made["repositoryArn"], "RepositoryUri": made["repositoryUri"]})


def _repository_policies(c: Context, name: str, p: Properties) -> None:
    ecr = c.clients("ecr")
    if "RepositoryPolicyText" in p:
        ecr.set_repository_policy(repositoryName=name, policyText=document(p["RepositoryPolicyText"]))
    if "LifecyclePolicy" in p:
        text = document(p["LifecyclePolicy"]["LifecyclePolicyText"])
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=text)


def _repository_gone(c: Context, identity: str, p: Properties) -> None:
    c.clients("ecr").delete_repository(repositoryName=identity, force=truth(p.get("EmptyOnDelete", False)))


def _repository_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    ecr = c.clients("ecr")
    if "RepositoryPolicyText" in old and "RepositoryPolicyText" not in new:
        ecr.delete_repository_policy(repositoryName=made.id)
    if "LifecyclePolicy" in old and "LifecyclePolicy" not in new:
        ecr.delete_lifecycle_policy(repositoryName=made.id)
    _repository_policies(c, made.id, new)
    return made


resource_type(
    "AWS::ECR::Repository",
    "RepositoryName RepositoryPolicyText ImageTagMutability ImageScanningConfiguration EmptyOnDelete LifecyclePolicy"
    " EncryptionConfiguration Tags", _repository, _repository_gone, _repository_changed,
    "RepositoryPolicyText LifecyclePolicy EmptyOnDelete",
)  # fmt: skip


def _log_group(c: Context, p: Properties) -> Made:
    name = str(p.get("LogGroupName") or c.name)
    wanted = chosen(p, "", KmsKeyId="kmsKeyId", LogGroupClass="logGroupClass")
    if given := tag_list(p):
        wanted["tags"] = {t["Key"]: t["Value"] for t in given}
    c.clients("logs").create_log_group(logGroupName=name, **wanted)
    c.begin(name)
    return _retention(c, Made(name, {"Arn": f"arn:aws:logs:{c.region}:{c.account}:log-group:{name}:*"}), {}, p)


def _retention(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    if "RetentionInDays" in new:
        c.clients("logs").put_retention_policy(logGroupName=made.id, retentionInDays=int(new["RetentionInDays"]))
    elif "RetentionInDays" in old:
        c.clients("logs").delete_retention_policy(logGroupName=made.id)
    return made


resource_type(
    "AWS::Logs::LogGroup", "LogGroupName RetentionInDays KmsKeyId LogGroupClass Tags", _log_group,
    lambda c, i, _p: c.clients("logs").delete_log_group(logGroupName=i), _retention, "RetentionInDays",
)  # fmt: skip


def _flow_log(c: Context, p: Properties) -> Made:
    wanted = chosen(
        p, "ResourceType TrafficType LogGroupName DeliverLogsPermissionArn LogDestinationType LogDestination"
    )
    if given := tag_list(p):
        wanted["TagSpecifications"] = [{"ResourceType": "vpc-flow-log", "Tags": given}]
    made = c.clients("ec2").create_flow_logs(ResourceIds=[p["ResourceId"]], **wanted)
    for refused in made.get("Unsuccessful") or []:
        raise AwsError(refused["Error"]["Code"], refused["Error"]["Message"])
    return Made(made["FlowLogIds"][0], {"Id": made["FlowLogIds"][0]})


resource_type(
    "AWS::EC2::FlowLog",
    "!ResourceId !ResourceType TrafficType LogGroupName DeliverLogsPermissionArn LogDestinationType LogDestination"
    " Tags", _flow_log, lambda c, i, _p: c.clients("ec2").delete_flow_logs(FlowLogIds=[i]),
)  # fmt: skip
