"""Host names of AWS services: which name leads to which service, and which ones an interface endpoint takes over."""

from __future__ import annotations

import hashlib

# Services with a name in each Region, as in `NAME.REGION.amazonaws.com` ("Service endpoints and quotas", AWS General
# Reference). A name that is not here does not exist.
REGIONAL = (
    "access-analyzer", "acm", "api.ecr", "api.sagemaker", "apigateway", "appmesh", "athena", "autoscaling",
    "autoscaling-plans", "backup", "batch", "cloudcontrolapi", "cloudformation", "cloudtrail", "codebuild",
    "codecommit", "codedeploy", "config", "databrew", "datasync", "directconnect", "ds", "dynamodb", "ebs", "ec2",
    "ec2messages", "ecr", "ecs", "eks", "elasticache", "elasticfilesystem", "elasticloadbalancing", "email", "events",
    "firehose", "fsx", "glue", "guardduty", "iot", "kinesis", "kms", "lambda", "license-manager", "logs", "mgn",
    "monitoring", "network-firewall", "outposts", "ram", "rds", "redshift", "resource-groups", "route53resolver",
    "runtime.sagemaker", "secretsmanager", "securityhub", "servicecatalog", "servicediscovery", "sns", "sqs", "ssm",
    "ssmmessages", "states", "storagegateway", "sts", "swf", "synthetics", "tagging", "transfer", "workspaces", "xray",
)  # fmt: skip
GLOBAL = ("iam", "sts", "route53", "organizations", "cloudfront", "budgets", "health", "shield", "waf")
# Below these, every name exists: registries and buckets.
REGISTRIES = "dkr.ecr.{region}.amazonaws.com"
BUCKETS = ("s3.{region}.amazonaws.com", "s3.dualstack.{region}.amazonaws.com", "s3.amazonaws.com")
_DUAL_STACK_ONLY = {"eks-auth": "eks-auth.{region}.api.aws"}
_WITH_NAMES_BELOW = frozenset({"ecr.dkr", "s3"})


def short(service: str) -> str:
    """`ecr.api` of `com.amazonaws.REGION.ecr.api`; a service of somebody else's (`vpce-svc-…`) gives an empty text."""
    parts = service.split(".")
    if len(parts) < 4 or parts[:2] != ["com", "amazonaws"] or parts[2] == "vpce":
        return ""
    return ".".join(parts[3:])


def host(service: str, region: str) -> str:
    """The host name of an AWS service by its endpoint service name: labels in DNS order; empty when it has none."""
    name = short(service)
    if not name:
        return ""
    if name in _DUAL_STACK_ONLY:
        return _DUAL_STACK_ONLY[name].format(region=region)
    return f"{'.'.join(reversed(name.split('.')))}.{region}.amazonaws.com"


def private_names(service: str, region: str) -> tuple[str, ...]:
    """The names that an interface endpoint with private DNS answers for; `*.` stands for everything below.

    Source: "AWS services that integrate with AWS PrivateLink" (VPC guide), and Amazon ECR's and S3's own guides for
    the two whose names have names below.
    """
    name = host(service, region)
    if not name:
        return ()
    return (name, f"*.{name}") if short(service) in _WITH_NAMES_BELOW else (name,)


def endpoint_names(endpoint: str, service: str, region: str, zones: tuple[str, ...]) -> tuple[str, ...]:
    """The endpoint's own names, which everybody can resolve: the regional one first, then one for each zone.

    What DescribeVpcEndpoints gives as DnsEntries has to be these names. The part after the id is random on AWS; here
    it is made from the id, so that nothing has to be kept.
    """
    name = host(service, region)
    if not name:
        return ()
    stem = f"{endpoint}-{hashlib.sha256(endpoint.encode()).hexdigest()[:8]}"
    domain = name.removesuffix(".amazonaws.com").removesuffix(".api.aws") + ".vpce.amazonaws.com"
    return (f"{stem}.{domain}", *(f"{stem}-{zone}.{domain}" for zone in zones))


def instance_domain(region: str) -> str:
    """The domain of instances' private names ("Amazon EC2 instance hostname types", EC2 user guide)."""
    return "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"


def private_name(address: str, region: str) -> str:
    """An instance's private DNS name."""
    return f"ip-{address.replace('.', '-')}.{instance_domain(region)}"


def public_name(address: str, region: str) -> str:
    """An instance's public DNS name."""
    domain = "compute-1.amazonaws.com" if region == "us-east-1" else f"{region}.compute.amazonaws.com"
    return f"ec2-{address.replace('.', '-')}.{domain}"
