"""Causes and checks that several entries share."""

from __future__ import annotations

from islanding.diagnosis.entries import Cause, Text

USER_GUIDE = "EKS user guide, Troubleshooting"
ACCESS_DENIED = 'IAM user guide, "Troubleshoot access denied error messages"'

GROUP = Cause(
    "the endpoint's security group does not allow TCP 443 from the node's subnet",
    "the text has a VPC address; describe-security-groups of the endpoint's groups shows no inbound 443 from the node",
    "private address",
)
ACL = Cause(
    "a network ACL of the endpoint's or the node's subnet denies 443 or the replies to ports 1024-65535",
    "the text has a VPC address and the security group is right; nothing in the same subnet is affected",
    "private address",
)
PRIVATE_DNS = Cause(
    "private DNS of the endpoint is off, or enableDnsHostnames of the VPC is false",
    "the text has a public address although describe-vpc-endpoints lists the endpoint as available",
    "public address",
)
DNS_OFF = Cause(
    "enableDnsSupport of the VPC is false",
    "every name fails at once, also names outside AWS; describe-vpc-attribute says so",
)
DHCP = Cause(
    "the VPC's DHCP options name a resolver that does not answer or does not know the name",
    "the address after 'on' in the text is not the VPC's .2 address; only names of private zones or endpoints fail",
)
RESOLVER_CUT = Cause(
    "nothing lets DNS through to a resolver of your own: its group, network ACL or route",
    "the resolver is outside the subnet's VPC; security groups do not filter the VPC's own .2 address",
)
ENI_LIMIT = Cause(
    "the instance type's limit of interfaces and addresses is reached",
    "ipamd.log has 'Skipping ENI allocation as the max ENI limit is already reached'",
)
EC2_CUT = Cause(
    "there is no way to the EC2 API (the ec2 interface endpoint, its group, network ACL or private DNS)",
    "ipamd.log has 'Post \"https://ec2.REGION.amazonaws.com/\"' with a timeout; running pods are not affected",
)


def missing(service: str, kind: str = "interface") -> Cause:
    """The endpoint of a service is not there."""
    return Cause(
        f"the {kind} endpoint com.amazonaws.REGION.{service} is missing",
        f"the text has a public address and describe-vpc-endpoints lists no endpoint of {service}",
        "public address",
    )


def endpoint_checks(service: str) -> tuple[str, ...]:
    """Where to look, in the order of the hops, when an interface endpoint does not answer."""
    return (
        "at the node: getent ahostsv4 HOST (a VPC address means that an endpoint answers for the name)",
        (
            f"aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.{service}"
            " (there? available? PrivateDnsEnabled? in which subnets and groups?)"
        ),
        "aws ec2 describe-vpc-attribute --attribute enableDnsHostnames, and enableDnsSupport, of the VPC",
        "aws ec2 describe-security-groups of the endpoint's groups: inbound TCP 443 from the node's subnet",
        "aws ec2 describe-network-acls of both subnets: 443 one way, ephemeral ports the other",
    )


def text(regex: str, example: str, component: str, source: str) -> Text:
    """A text of an entry."""
    return Text(regex, example, component, source)
