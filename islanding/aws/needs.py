"""What each part of the harness calls in AWS, as data: operations by fault, by suite, and for a look at a site.

An operation is written `service:Operation`, the service as boto3 names it, the operation as AWS does. Tests compare
the faults' lists with what is really called, and those of the suites with what their sources name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

_ENDPOINT = ("ec2:DescribeVpcEndpoints", "ec2:DescribeRouteTables")
_GROUP = ("autoscaling:DescribeAutoScalingGroups",)

# Before any fault that calls AWS: whose credentials these are, and what bears the tag.
GUARD = ("sts:GetCallerIdentity", "ec2:DescribeTags")
# A site with stop conditions that are alarms, and one whose nodes come and go.
STOPS = ("cloudwatch:DescribeAlarms",)
SITE = (*_GROUP, "ec2:DescribeInstances")
# A diagnosis looks at the whole network that a packet could take.
DIAGNOSIS = (
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNatGateways",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribePrefixLists",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcPeeringConnections",
    "ec2:DescribeVpcs",
    "eks:DescribeCluster",
    "eks:ListClusters",
    "iam:GetInstanceProfile",
    "s3:GetBucketPolicy",
    "s3:ListBuckets",
)
# Probes that ask AWS from the runner: service-link, node-join, flow-counters.
PROBES = (
    "cloudwatch:GetMetricStatistics",
    "ec2:DescribeInstances",
    "ec2:DescribeManagedPrefixLists",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcEndpoints",
    "ec2:GetManagedPrefixListEntries",
)
# All of planning, applying, undoing and checking a fault; a fault that is not here calls no AWS.
FAULTS: Mapping[str, tuple[str, ...]] = {
    "vif-failover-test": (
        "directconnect:DescribeTags",
        "directconnect:DescribeVirtualInterfaces",
        "directconnect:StartBgpFailoverTest",
        "directconnect:StopBgpFailoverTest",
    ),
    "endpoint-policy-narrowed": (*_ENDPOINT, "ec2:ModifyVpcEndpoint"),
    "endpoint-private-dns-off": ("ec2:DescribeVpcEndpoints", "ec2:ModifyVpcEndpoint"),
    "endpoint-removed": (*_ENDPOINT, "ec2:CreateVpcEndpoint", "ec2:DeleteVpcEndpoints"),
    "endpoint-route-table-removed": (*_ENDPOINT, "ec2:ModifyVpcEndpoint"),
    "group-scaled": (
        *_GROUP,
        "autoscaling:SetDesiredCapacity",
        "autoscaling:TerminateInstanceInAutoScalingGroup",
    ),
    "instance-terminated": (
        *_GROUP,
        "autoscaling:DescribeAutoScalingInstances",
        "ec2:DescribeInstances",
        "ec2:TerminateInstances",
    ),
    "node-powered-off": ("ec2:DescribeInstances", "ec2:StartInstances", "ec2:StopInstances"),
    "peering-deleted": (
        "ec2:AcceptVpcPeeringConnection",
        "ec2:CreateRoute",
        "ec2:CreateVpcPeeringConnection",
        "ec2:DeleteVpcPeeringConnection",
        "ec2:DescribeRouteTables",
        "ec2:DescribeVpcPeeringConnections",
        "ec2:ModifyVpcPeeringConnectionOptions",
        "ec2:ReplaceRoute",
    ),
    "route-removed": ("ec2:CreateRoute", "ec2:DeleteRoute", "ec2:DescribeRouteTables"),
    "security-group-rule-revoked": (
        "ec2:AuthorizeSecurityGroupEgress",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:DescribeSecurityGroupRules",
        "ec2:RevokeSecurityGroupEgress",
        "ec2:RevokeSecurityGroupIngress",
    ),
    "subnet-nacl-cut": (
        "ec2:CreateNetworkAcl",
        "ec2:DeleteNetworkAcl",
        "ec2:DescribeNetworkAcls",
        "ec2:DescribeSubnets",
        "ec2:ReplaceNetworkAclAssociation",
    ),
    "vpc-dns-attribute-off": ("ec2:DescribeVpcAttribute", "ec2:ModifyVpcAttribute"),
}
_BESIDE = ("ec2:DescribeLaunchTemplateVersions", "ec2:RunInstances", "ec2:TerminateInstances")
_SCALED = ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup")
_BUCKET = ("ec2:DescribeVpcEndpoints", "s3:GetBucketPolicy", "s3:PutBucketPolicy")
# What the cases of a suite use: faults, and calls of their own beside those of probes and diagnosis.
SUITES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "access": (("security-group-rule-revoked",), ("ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups")),
    "egress": (
        (),
        (
            *_BUCKET,
            "ec2:CreateRoute",
            "ec2:DeleteRoute",
            "ec2:DescribeVpcPeeringConnections",
            "s3:CreateBucket",
            "s3:DeleteBucket",
            "s3:DeleteObject",
            "s3:PutObject",
        ),
    ),
    "image_pull": (
        (
            "endpoint-policy-narrowed",
            "endpoint-private-dns-off",
            "endpoint-removed",
            "endpoint-route-table-removed",
            "peering-deleted",
            "security-group-rule-revoked",
            "subnet-nacl-cut",
            "vpc-dns-attribute-off",
        ),
        (*_BUCKET, "ec2:DescribeInstances", "ec2:DescribeSecurityGroupRules"),
    ),
    "node_join": (("endpoint-removed", "instance-terminated"), _BESIDE),
    "operations": (
        (),
        (
            *_BESIDE,
            "cloudformation:DescribeStackResources",
            "cloudformation:DescribeStacks",
            "ec2:AssociateRouteTable",
            "ec2:CreateNetworkInterface",
            "ec2:CreateSubnet",
            "ec2:CreateVpc",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteSubnet",
            "ec2:DeleteVpc",
            "ec2:DescribeAddresses",
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeInstanceTypeOfferings",
            "ec2:DescribeInstanceTypes",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcAttribute",
            "ec2:DescribeVpcEndpoints",
            "ec2:DescribeVpcs",
            "ec2:DisassociateRouteTable",
            "ec2:ModifyVpcAttribute",
            "eks:DescribeCluster",
            "eks:DescribeUpdate",
            "eks:UpdateClusterVersion",
        ),
    ),
    "survival": (
        ("endpoint-removed",),
        (*_SCALED, "cloudwatch:GetMetricStatistics", "ec2:TerminateInstances", "logs:FilterLogEvents"),
    ),
    "topology": ((), ("ec2:DescribeInstances", "eks:DescribeCluster")),
}


def reading() -> frozenset[str]:
    """What a look at a site calls, by its probes and diagnosis: nothing that changes anything."""
    return frozenset((*SITE, *STOPS, *DIAGNOSIS, *PROBES))


def of_faults(kinds: Iterable[str]) -> frozenset[str]:
    """What these faults call, with what the guardrails ask before and their stop conditions meanwhile."""
    needed = set(STOPS)
    for kind in kinds:
        if kind in FAULTS:
            needed |= {*GUARD, *FAULTS[kind]}
    return frozenset(needed)


def of_suite(name: str) -> frozenset[str]:
    """What a suite calls: its own calls, its faults, probes and diagnosis; raises KeyError for an unknown suite."""
    kinds, own = SUITES[name]
    return reading() | of_faults(kinds) | frozenset(own)
