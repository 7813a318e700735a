"""Image layers: S3 is silent, or refuses."""

from __future__ import annotations

from islanding.diagnosis.catalogue.common import (
    GROUP,
    missing,
    text,
)
from islanding.diagnosis.entries import Cause, Entry

_GATEWAY_CHECKS = (
    (
        "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.s3"
        " (there? available? do RouteTableIds hold the table of the node's subnet?)"
    ),
    "aws ec2 describe-route-tables: a route to the S3 prefix list (pl-...) by the endpoint (vpce-...)",
    "aws ec2 describe-security-groups of the node: outbound TCP 443 to the prefix list or anywhere",
    "aws ec2 describe-network-acls of the node's subnet: 443 out to public addresses, ephemeral ports back in",
)

LAYER = (
    Entry(
        "PULL_LAYER_TIMEOUT",
        "layer",
        "The registry answered and sent the node to S3's layer bucket, and S3 did not answer.",
        (
            missing("s3", "gateway"),
            Cause(
                "the S3 gateway endpoint is not associated with the route table of the node's subnet",
                "describe-vpc-endpoints lists the endpoint, its RouteTableIds lack the table; S3 works in other "
                "subnets",
                "public address",
            ),
            Cause(
                "the node's security group or network ACL does not let 443 out to S3's public addresses",
                "route and endpoint are there; a gateway endpoint keeps S3's public addresses",
                "public address",
            ),
            GROUP,
        ),
        _GATEWAY_CHECKS,
        outcomes=("PULL_LAYER_TIMEOUT",),
        texts=(
            text(
                r"starport-layer-bucket\S{0,4000} dial tcp:? (?:\S{1,60} )?i/o timeout",
                "error pulling image configuration: Get "
                "https://prod-us-east-1-starport-layer-bucket.s3.amazonaws.com/4f: "
                "dial tcp: i/o timeout",
                "Docker engine",
                "aws-quickstart/quickstart-amazon-eks, thread 52",
            ),
        ),
        rank=8,
    ),
    Entry(
        "PULL_LAYER_FORBIDDEN",
        "layer",
        "S3 was reached and refused the layer; the registry's redirect itself was good.",
        (
            Cause(
                "the S3 endpoint's policy does not allow s3:GetObject on the registry's layer bucket, for ECR "
                "arn:aws:s3:::prod-REGION-starport-layer-bucket/*",
                "every image of that registry fails, at once and not after a timeout; other buckets may work",
            ),
            Cause(
                "the presigned address ran out: the node's clock is wrong",
                "S3's body says 'Request has expired'; compare the node's clock",
            ),
        ),
        (
            "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.s3: PolicyDocument",
            "it must hold s3:GetObject on arn:aws:s3:::prod-REGION-starport-layer-bucket/*",
            "at the node: timedatectl",
        ),
        outcomes=("PULL_LAYER_FORBIDDEN",),
        texts=(
            text(
                r"starport-layer-bucket\S{0,4000}:? 403 Forbidden",
                "unexpected status code https://prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com/4f: "
                "403 "
                "Forbidden",
                "containerd 1.x",
                'Amazon ECR user guide, "Amazon ECR interface VPC endpoints" (minimum S3 bucket permissions)',
            ),
            text(
                r"error pulling image configuration: error parsing HTTP 403 response body",
                "Failed create pod sandbox: rpc error: code = Unknown desc = error pulling image configuration: error "
                "parsing HTTP 403 response body: invalid character '<' looking for beginning of value: \"<Error><Code>"
                'AccessDenied</Code>"',
                "Docker engine, through kubelet",
                "aws/amazon-vpc-cni-k8s, thread 917; moby/moby, thread 34185 (S3 endpoints)",
            ),
            text(
                r"https://[\w.-]{1,100}\.s3[.-][\w.-]{0,60}amazonaws\.com\S{0,4000}:? 403 Forbidden",
                "failed to copy: httpReadSeeker: failed open: unexpected status code "
                "https://prod-registry-k8s-io-us-east-2"
                ".s3.dualstack.us-east-2.amazonaws.com/containers/images/sha256:4f: 403 Forbidden",
                "containerd 1.x; other registries keep their layers in S3 too",
                "prometheus-community/helm-charts, thread 2421; kubernetes/registry.k8s.io, thread 245",
            ),
        ),
        rank=8,
    ),
)
