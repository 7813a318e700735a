"""AWS calls that fail at an instance: no way there, refused by one of the policies, nothing to sign with."""

from __future__ import annotations

from islanding.diagnosis.catalogue.common import ACCESS_DENIED, ACL, DNS_OFF, GROUP, PRIVATE_DNS, text
from islanding.diagnosis.entries import Cause, Entry

_MISSING = Cause(
    "there is no endpoint of that service in the VPC",
    "the name leads to public addresses and describe-vpc-endpoints lists none of that service",
    "public address",
)
_CHECKS = (
    "at the instance: getent ahostsv4 HOST (a VPC address means that an endpoint answers for the name)",
    "aws ec2 describe-vpc-endpoints, from where it works: is the service there, available, with private DNS?",
    "aws ec2 describe-security-groups of the endpoint's groups: inbound TCP 443",
    "aws ec2 describe-network-acls of both subnets",
)

CALLS = (
    Entry(
        "AWS_TIMEOUT",
        "AWS call",
        "The address did not answer: AWS drops in silence what it does not let through.",
        (_MISSING, PRIVATE_DNS, GROUP, ACL),
        _CHECKS,
        outcomes=("AWS_TIMEOUT",),
        rank=5,
    ),
    Entry(
        "AWS_NOT_CONNECTED",
        "AWS call",
        "The connection failed at once: the aws command says so both when the name does not resolve and when it is "
        "refused.",
        (
            DNS_OFF,
            Cause("the service has no endpoint in this Region, or the Region is misspelt", "read the host in the text"),
            Cause("a proxy or a local service refuses", "HTTPS_PROXY or AWS_ENDPOINT_URL is set"),
        ),
        ("at the instance: getent ahostsv4 HOST", "env | grep -i -e proxy -e AWS_ENDPOINT", *_CHECKS[1:]),
        outcomes=("AWS_NOT_CONNECTED",),
        rank=5,
    ),
    Entry(
        "AWS_ACCESS_DENIED",
        "policy",
        "AWS was reached, knows who asks, and refuses.",
        (
            Cause("the endpoint's policy", "the text says 'no VPC endpoint policy allows'"),
            Cause("a resource policy (a bucket's, with aws:sourceVpce)", "the text says 'resource-based policy'"),
            Cause("the caller's own policies", "the text says 'identity-based policy', or names no policy"),
            Cause("a service control policy of the organization", "the text says 'service control policy'"),
        ),
        (
            "read what follows 'because' or 'with an explicit deny in' in the text: it names the kind of policy",
            "aws sts get-caller-identity: is it who you think?",
            "aws ec2 describe-vpc-endpoints: PolicyDocument; aws s3api get-bucket-policy",
        ),
        outcomes=("AWS_ACCESS_DENIED",),
        texts=(
            text(
                r"api error AccessDenied\w*|is not authorized to perform: [\w:*-]+|StatusCode: 403",
                "operation error S3: GetObject, https response error StatusCode: 403, api error AccessDenied: Access "
                "Denied",
                "AWS SDK for Go v2",
                ACCESS_DENIED,
            ),
        ),
        rank=6,
    ),
    Entry(
        "RESOURCE_POLICY_DENIED",
        "policy",
        "A policy on the resource itself refuses: a bucket that is only readable through a named endpoint, for "
        "instance.",
        (
            Cause("the request did not come through the endpoint that aws:sourceVpce names", "the bucket's policy"),
            Cause("the caller's account is not among those allowed", "aws:PrincipalAccount or Principal in the policy"),
        ),
        (
            "aws s3api get-bucket-policy, or the resource's policy",
            "by which way did the request go: getent ahostsv4 HOST",
        ),
        texts=(
            text(
                r"explicit deny in a resource-based policy|because no resource-based policy allows",
                "User: arn:aws:sts::111122223333:assumed-role/node/i-1 is not authorized to perform: s3:GetObject on "
                "resource: "
                '"arn:aws:s3:::data/x" with an explicit deny in a resource-based policy',
                "AWS",
                ACCESS_DENIED,
            ),
        ),
        rank=10,
    ),
    Entry(
        "AWS_BAD_CREDENTIALS",
        "AWS call",
        "AWS was reached and does not accept the signature: credentials expired, unknown, or a clock that is wrong.",
        (
            Cause("the session's credentials ran out", "the text says expired"),
            Cause(
                "the instance's clock is wrong", "the text says 'Signature not yet current' or 'expired': timedatectl"
            ),
        ),
        ("aws sts get-caller-identity", "timedatectl", "env | grep AWS_: keys that hide the instance's role?"),
        outcomes=("AWS_BAD_CREDENTIALS",),
        rank=7,
    ),
    Entry(
        "AWS_NO_CREDENTIALS",
        "AWS call",
        "There was nothing to sign the call with.",
        (
            Cause("the instance has no instance profile", "describe-instances: IamInstanceProfile"),
            Cause("a pod cannot reach the metadata service (hop limit 1)", "the call works on the node itself"),
        ),
        ("aws ec2 describe-instances: IamInstanceProfile and MetadataOptions", "aws configure list"),
        outcomes=("AWS_NO_CREDENTIALS",),
        rank=7,
    ),
)
