"""What can be asked for: AWS services by the name of their endpoint, the cluster, or any host; and chains of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from islanding.aws.view import View

# What a user of each service asks, for judging policies. ECR: user guide, "Amazon ECR interface VPC endpoints",
# which also names the layer bucket.
_ACTIONS = {
    "ecr.api": ("ecr:GetAuthorizationToken",),
    "ecr.dkr": ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    "s3": ("s3:GetObject",),
    "ec2": ("ec2:DescribeInstances", "ec2:DescribeNetworkInterfaces"),
    "eks": ("eks:DescribeCluster",),
    "sts": ("sts:GetCallerIdentity",),
    "logs": ("logs:PutLogEvents",),
    "autoscaling": ("autoscaling:DescribeAutoScalingGroups",),
    "cloudformation": ("cloudformation:DescribeStacks",),
    "elasticloadbalancing": ("elasticloadbalancing:DescribeLoadBalancers",),
}
STEPS = {"ecr.api": "token", "ecr.dkr": "manifest", "s3": "layer", "cluster": "registration", "ec2": "network plugin"}
CHAINS = {
    "image-pull": ("ecr.api", "ecr.dkr", "s3"),
    "node-join": ("cluster", "ecr.api", "ecr.dkr", "s3", "ec2"),
}
_ECR_HOST = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[\w-]+)\.amazonaws\.com(\.cn)?")
_SERVICE_HOST = re.compile(r"(?P<service>[\w.-]+?)\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d)\.amazonaws\.com(\.cn)?")
_S3_HOST = re.compile(r"(?P<bucket>[\w.-]+)\.s3[.-](?P<region>[\w-]+)\.amazonaws\.com(\.cn)?")


@dataclass(frozen=True)
class Target:
    """Where a path ends: host and port; `service` as in com.amazonaws.REGION.NAME, empty for other hosts."""

    label: str
    host: str
    port: int = 443
    service: str = ""
    actions: tuple[str, ...] = ()
    resource: str = "*"
    bucket: str = ""
    cluster: str = ""
    step: str = ""

    @property
    def is_aws(self) -> bool:
        return bool(self.service)


def target_of(view: View, asked: str, *, account: str = "") -> Target:
    """The target that `asked` names: a service (`ecr.api`), `cluster`, a URL, an image, or `host[:port]`."""
    host, port = _host_and_port(asked)
    cluster = _cluster(view, asked, host)
    if cluster is not None:
        return cluster
    if registry := _ECR_HOST.fullmatch(host):
        return _registry(view, registry["account"], registry["region"], host)
    if bucket := _S3_HOST.fullmatch(host):
        return _bucket(bucket["bucket"], host)
    if "." not in asked or asked in _ACTIONS:
        return _service(view, asked, account)
    if named := _SERVICE_HOST.fullmatch(host):
        return _service(view, "ecr.api" if named["service"] == "api.ecr" else named["service"], account, host)
    return Target(asked, host, port)


def _cluster(view: View, asked: str, host: str) -> Target | None:
    """The cluster that `asked` or `host` names, with its endpoint's host and port; None for anything else."""
    word, _, wanted = asked.partition("/")
    for cluster in view.clusters:
        name, port = _host_and_port(cluster.endpoint) if cluster.endpoint else ("", 443)
        if (word == "cluster" and wanted in {"", cluster.name}) or (name and name == host):
            step = STEPS["cluster"]
            return Target(f"cluster {cluster.name}", name, port, cluster=cluster.name, step=step)
    return Target(f"cluster {wanted}".strip(), "", cluster=wanted or "?") if word == "cluster" else None


def _host_and_port(asked: str) -> tuple[str, int]:
    try:
        parts = urlsplit(asked if "//" in asked else f"//{asked}")
        return parts.hostname or asked, parts.port or 443
    except ValueError:  # a port that is no number: an image's tag, for instance
        return re.split(r"[/:]", asked.partition("//")[2] or asked)[0], 443


def _registry(view: View, account: str, region: str, host: str) -> Target:
    resource = f"arn:aws:ecr:{region or view.region}:{account}:repository/any"
    return Target(host, host, service="ecr.dkr", actions=_ACTIONS["ecr.dkr"], resource=resource, step=STEPS["ecr.dkr"])


def _bucket(bucket: str, host: str) -> Target:
    step = STEPS["s3"] if "starport-layer-bucket" in bucket else ""
    arn = f"arn:aws:s3:::{bucket}/any"
    return Target(host, host, service="s3", actions=_ACTIONS["s3"], resource=arn, bucket=bucket, step=step)


def _service(view: View, service: str, account: str, host: str = "") -> Target:
    if service == "ecr.dkr":
        account = account or view.account
        return _registry(view, account, view.region, f"{account}.dkr.ecr.{view.region}.amazonaws.com")
    if service == "s3":
        bucket = f"prod-{view.region}-starport-layer-bucket"
        return _bucket(bucket, f"{bucket}.s3.{view.region}.amazonaws.com")
    first = "api.ecr" if service == "ecr.api" else service
    name = host or f"{first}.{view.region}.amazonaws.com"
    return Target(name, name, service=service, actions=_ACTIONS.get(service, ()), step=STEPS.get(service, ""))
