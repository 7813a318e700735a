"""What each part of the harness calls in AWS, as data: operations by fault, by suite, and for a look at a site.

An operation is written `service:Operation`, the service as boto3 names it, the operation as AWS does. Tests compare
the faults' lists with what is really called, and those of the suites with what their sources name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
# Probes that ask AWS from the runner: service-link at an Outpost; node-join and flow-counters in a closed network.
PROBES_OF_OUTPOSTS = ("cloudwatch:GetMetricStatistics",)
PROBES_OF_CLOSED = ("ec2:DescribeManagedPrefixLists", "ec2:GetManagedPrefixListEntries")
PROBES = (
    *PROBES_OF_OUTPOSTS,
    *PROBES_OF_CLOSED,
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeVpcEndpoints",
)
# Adoption looks at what a diagnosis does; at an Outpost's site, for the service link's virtual interface too.
ADOPTION = ("sts:GetCallerIdentity",)
ADOPTION_OF_OUTPOSTS = ("cloudwatch:ListMetrics",)
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
# Faults at nodes call nothing themselves, but the guardrails ask for the tags of the instances.
AT_NODES = ("node-rebooted", "nodes-cut-off")
_BESIDE = ("ec2:DescribeLaunchTemplateVersions", "ec2:RunInstances", "ec2:TerminateInstances")
_SCALED = ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup")
_BUCKET = ("ec2:DescribeVpcEndpoints", "s3:GetBucketPolicy", "s3:PutBucketPolicy")
CLOSED = ("closed-vpc",)
OUTPOSTS = ("outpost-local", "outpost-extended", "outpost-extended-upstream")


@dataclass(frozen=True)
class Part:
    """What a suite's cases use at some sites: faults, and calls of their own beside those of probes and diagnosis."""

    suite: str
    sites: tuple[str, ...]
    faults: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


PARTS = (
    Part(
        "access",
        CLOSED,
        ("security-group-rule-revoked",),
        ("ec2:DescribeSecurityGroupRules", "ec2:DescribeSecurityGroups"),
    ),
    Part("access", OUTPOSTS),
    Part(
        "egress",
        CLOSED,
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
    Part(
        "image_pull",
        CLOSED,
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
    Part("node_join", CLOSED, ("endpoint-removed", "instance-terminated"), _BESIDE),
    Part(
        "operations",
        CLOSED,
        (),
        (
            *_BESIDE,
            "cloudformation:DescribeStackResources",
            "cloudformation:DescribeStacks",
            "ec2:AssociateDhcpOptions",
            "ec2:AssociateRouteTable",
            "ec2:CreateDhcpOptions",
            "ec2:CreateNetworkInterface",
            "ec2:CreateSubnet",
            "ec2:CreateVpc",
            "ec2:DeleteDhcpOptions",
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
            "ec2:ModifyVpcAttribute",
            "eks:DescribeCluster",
            "eks:DescribeUpdate",
            "eks:UpdateClusterVersion",
        ),
    ),
    Part("survival", CLOSED, ("endpoint-removed",), (*_SCALED, "ec2:TerminateInstances")),
    Part("survival", ("outpost-local",), ("node-rebooted",), ("logs:FilterLogEvents",)),
    Part("survival", ("outpost-extended",), AT_NODES),
    Part("survival", ("outpost-extended-upstream",), ("nodes-cut-off",)),
    Part("topology", OUTPOSTS, (), ("ec2:DescribeInstances", "eks:DescribeCluster")),
)
EXPERIMENTS = "experiments"  # their faults count as a suite's; they call nothing of their own
_OF_EXPERIMENTS = (Part(EXPERIMENTS, CLOSED, ("endpoint-removed", "group-scaled", "instance-terminated")),)
SUITES = tuple(dict.fromkeys(part.suite for part in PARTS))
# What a run calls only where something is as it usually is not; allowed all the same, or the run would break there.
SOMETIMES: Mapping[str, str] = {
    "cloudwatch:DescribeAlarms": "a stop condition of the site is an alarm",
    "ec2:ModifyVpcPeeringConnectionOptions": "a peering connection that was deleted had options",
    "s3:GetBucketPolicy": "the account has a bucket",
}


def reading() -> frozenset[str]:
    """What a look at a site calls, by adoption, probes and diagnosis: nothing that changes anything."""
    return frozenset((*SITE, *STOPS, *DIAGNOSIS, *PROBES, *ADOPTION, *ADOPTION_OF_OUTPOSTS))


def of_faults(kinds: Iterable[str]) -> frozenset[str]:
    """What these faults call, with what the guardrails ask before and their stop conditions meanwhile."""
    needed = set(STOPS)
    for kind in kinds:
        if kind in FAULTS or kind in AT_NODES:
            needed |= {*GUARD, *FAULTS.get(kind, ())}
    return frozenset(needed)


def of_suite(name: str) -> frozenset[str]:
    """What a suite calls at all of its sites: its own calls, its faults, probes and diagnosis."""
    return reading() | _of([part for part in PARTS if part.suite == name])


def of_suites(site: str, suites: Iterable[str]) -> frozenset[str]:
    """What these suites, EXPERIMENTS among them, call at a site like this reference site, beside looking at it."""
    wanted = set(suites)
    return _of([part for part in (*PARTS, *_OF_EXPERIMENTS) if site in part.sites and part.suite in wanted])


def of_site(name: str) -> frozenset[str]:
    """What adopting a site like this reference site and all of its cases and experiments call."""
    elsewhere = (*PROBES_OF_OUTPOSTS, *ADOPTION_OF_OUTPOSTS) if name in CLOSED else PROBES_OF_CLOSED
    looks = reading() - frozenset(elsewhere)
    return looks | _of([part for part in (*PARTS, *_OF_EXPERIMENTS) if name in part.sites])


def _of(parts: Iterable[Part]) -> frozenset[str]:
    chosen = list(parts)
    kinds = {kind for part in chosen for kind in part.faults}
    return of_faults(kinds) | frozenset(one for part in chosen for one in part.own)
