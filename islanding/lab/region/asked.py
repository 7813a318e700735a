"""What a request means to a policy: actions, resources, and in which account these are. Pure.

Source: "Actions, resources, and condition keys for AWS services", Service Authorization Reference.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from urllib.parse import unquote

from islanding.lab.region import hostnames
from islanding.lab.region.http import Request
from islanding.lab.region.operations import form
from islanding.lab.region.signature import parameters


@dataclass(frozen=True)
class Meaning:
    """One action on one resource (an ARN, or `*`); `bucket` or `account` tells whose that is, if the request does."""

    action: str
    resource: str = "*"
    bucket: str = ""
    account: str = ""


# S3's operations whose action has another name.
_S3_ACTIONS = {
    "HeadObject": "GetObject", "SelectObjectContent": "GetObject", "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket", "HeadBucket": "ListBucket", "ListBuckets": "ListAllMyBuckets",
    "ListObjectVersions": "ListBucketVersions", "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts", "CreateMultipartUpload": "PutObject", "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject", "CompleteMultipartUpload": "PutObject", "CopyObject": "PutObject",
    "DeleteObjects": "DeleteObject", "GetBucketCors": "GetBucketCORS", "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS", "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration", "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration", "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration", "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration", "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration", "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock", "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock", "DeleteBucketTagging": "PutBucketTagging",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}  # fmt: skip
_WITH_VERSIONS = frozenset({"GetObject", "DeleteObject", "GetObjectAcl", "PutObjectAcl", "GetObjectTagging"})
_SENDER = {"monitoring": "cloudwatch", "email": "ses"}  # names in signatures whose actions have another prefix
_EC2_KINDS = {
    "i": "instance", "eni": "network-interface", "subnet": "subnet", "sg": "security-group", "vpc": "vpc",
    "vpce": "vpc-endpoint", "rtb": "route-table", "igw": "internet-gateway", "nat": "natgateway", "acl": "network-acl",
    "pcx": "vpc-peering-connection", "vol": "volume", "ami": "image", "lt": "launch-template", "dopt": "dhcp-options",
    "eipalloc": "elastic-ip", "pl": "prefix-list", "vgw": "vpn-gateway", "snap": "snapshot",
}  # fmt: skip
_EC2_TEXT = re.compile(r"(?:.+\.)?Tag\.\d+\.(?:Key|Value)|ClientToken|Description")  # names nothing, whatever it says
_EC2_ID = re.compile(r"(?P<kind>[a-z]+)-[0-9a-f]{8,17}")
_REPOSITORY = re.compile(r"/v2/(?P<name>.+?)/(?:manifests|blobs|tags)/")
_KEYS = re.compile(rb"<Key>([^<]*)</Key>")


def meanings(request: Request, service: str, operation: str, region: str, account: str) -> tuple[Meaning, ...]:
    """Everything that has to be allowed for a request; one at least.

    `service` is the name in signatures or `ecr.dkr`, `operation` the API's name, `account` the caller's. A request to
    S3 has its bucket in front of the path.
    """
    if service == "s3":
        return _s3(request, operation)
    if service == "ecr.dkr":
        return (_registry(request, operation, region),)
    action = f"{_SENDER.get(service, service)}:{operation}"
    if service in ("ecr", "ec2"):
        return (_ecr if service == "ecr" else _ec2)(request, action, region, account)
    return (Meaning(action, _resource(request, service, operation, region, account), account=account),)


def _resource(request: Request, service: str, operation: str, region: str, account: str) -> str:
    if service == "sts" and operation.startswith("AssumeRole"):
        return dict(form(request)).get("RoleArn", "*")
    parts = [unquote(part) for part in request.path.strip("/").split("/")]
    if service == "eks" and parts[0] == "clusters" and len(parts) > 1:
        return f"arn:aws:eks:{region}:{account}:cluster/{parts[1]}"
    return "*"


def _s3(request: Request, operation: str) -> tuple[Meaning, ...]:
    bucket, _, key = unquote(request.path.lstrip("/")).partition("/")
    name = _S3_ACTIONS.get(operation, operation)
    if name in _WITH_VERSIONS and "versionId" in dict(parameters(request.query)):
        name = name.replace("Object", "ObjectVersion", 1)
    action = f"s3:{name}"
    if not bucket:
        return (Meaning(action),)
    if operation == "DeleteObjects":
        keys = [match.decode("utf-8", "replace") for match in _KEYS.findall(request.body)] or ["*"]
        return tuple(_object(action, bucket, each) for each in dict.fromkeys(keys))
    found = [_object(action, bucket, key)]
    if source := request.headers.get("x-amz-copy-source", ""):
        whence, _, what = unquote(source.partition("?")[0].lstrip("/")).partition("/")
        found.append(_object("s3:GetObject", whence, what))
    return tuple(found)


def _object(action: str, bucket: str, key: str) -> Meaning:
    return Meaning(action, f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}", bucket)


def _registry(request: Request, operation: str, region: str) -> Meaning:
    match = _REPOSITORY.match(unquote(request.path))
    account = hostnames.target(request.headers.get("host", "")).account
    if match is None:
        return Meaning(f"ecr:{operation}", account=account)
    return Meaning(f"ecr:{operation}", _repository(region, account, match["name"]), account=account)


def _ecr(request: Request, action: str, region: str, account: str) -> tuple[Meaning, ...]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    owner = str(body.get("registryId") or account)
    names = [body["repositoryName"]] if "repositoryName" in body else body.get("repositoryNames") or []
    if isinstance(body.get("resourceArn"), str):
        return (Meaning(action, body["resourceArn"], account=owner),)
    found = tuple(Meaning(action, _repository(region, owner, str(name)), account=owner) for name in names)
    return found or (Meaning(action, account=owner),)


def _repository(region: str, account: str, name: str) -> str:
    return f"arn:aws:ecr:{region}:{account}:repository/{name}"


def _ec2(request: Request, action: str, region: str, account: str) -> tuple[Meaning, ...]:
    """A change means everything that it names by id; what only describes has no resources."""
    found = []
    if not action.startswith(("ec2:Describe", "ec2:Get", "ec2:Search")):
        for name, value in form(request):
            match = None if _EC2_TEXT.fullmatch(name) else _EC2_ID.fullmatch(value)
            if match and match["kind"] in _EC2_KINDS:
                owner = "" if match["kind"] in ("ami", "snap") else account
                arn = f"arn:aws:ec2:{region}:{owner}:{_EC2_KINDS[match['kind']]}/{value}"
                found.append(Meaning(action, arn, account=account))
    return tuple(dict.fromkeys(found)) or (Meaning(action, account=account),)
