"""What AWS says of an account's cluster and of what is around it, read once; only calls that read are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from islanding.accountconf import AccountConf
from islanding.aws.look import Client, read_view
from islanding.aws.view import Instance, View
from islanding.errors import SetupError


@dataclass(frozen=True)
class ScalingGroup:
    """An Auto Scaling group: its subnets in its own order, and the ids of its instances."""

    name: str
    subnets: tuple[str, ...]
    instances: tuple[str, ...]


@dataclass(frozen=True)
class State:
    """The cluster as EKS describes it, the network of its Region, the Auto Scaling groups, the tagged instances."""

    cluster: dict[str, Any] = field(repr=False)
    view: View = field(repr=False)
    groups: tuple[ScalingGroup, ...] = ()
    tagged: tuple[str, ...] = ()  # instances that say by their tag that they are of the cluster
    vifs: tuple[dict[str, str], ...] = ()  # dimensions of the virtual interfaces' metrics, at an Outpost's site
    gaps: tuple[str, ...] = ()  # what was refused, each with AWS's words

    @property
    def vpc(self) -> str:
        return str(self.cluster["resourcesVpcConfig"].get("vpcId", ""))

    @property
    def addresses(self) -> dict[str, str]:
        """The instances of the cluster's VPC that there still are: ids by address."""
        return {one.address: one.id for one in self.view.instances if one.vpc == self.vpc and one.state not in _GONE}

    def instances(self, ids: tuple[str, ...]) -> tuple[Instance, ...]:
        """Those of these instances that there still are, in order of their ids."""
        found = (one for one in self.view.instances if one.id in ids)
        return tuple(sorted((one for one in found if one.state not in _GONE), key=lambda one: one.id))

    def groups_of(self, instance: str) -> tuple[str, ...]:
        """The security groups of an instance's first interface that has any."""
        cards = [card for card in self.view.interfaces if card.instance == instance and card.groups]
        primary = next((one.address for one in self.view.instances if one.id == instance), "")
        cards.sort(key=lambda card: card.addresses[:1] != (primary,))
        return cards[0].groups if cards else ()


_GONE = ("terminated", "shutting-down")


def read(conf: AccountConf, client: Client) -> State:
    """Read the state; raises SetupError for another account than the file says, no such cluster, or one without tags.

    `client` gives a botocore client of a service. What else is refused is named in `gaps`.
    """
    account = client("sts").get_caller_identity()["Account"]
    if account != conf.account:
        raise SetupError(
            f"these credentials are of account {account}, not {conf.account}", "choose `profile` or `role` in the file"
        )
    cluster = _cluster(conf, client("eks"))
    gaps: list[str] = []
    view = read_view(client, conf.region, conf.account)
    groups, tagged = list[ScalingGroup](), list[str]()
    try:
        groups += _groups(client("autoscaling"))
    except Exception as error:  # any refusal is a gap, told with AWS's words
        gaps.append(f"autoscaling.describe_auto_scaling_groups: {error}")
    try:
        tagged += _tagged(client("ec2"), conf.cluster)
    except Exception as error:  # the same
        gaps.append(f"ec2.describe_instances: {error}")
    vifs = list[dict[str, str]]()
    if conf.has_routers:
        try:
            vifs += _vifs(client("cloudwatch"))
        except Exception as error:  # the same
            gaps.append(f"cloudwatch.list_metrics: {error}")
    return State(cluster, view, tuple(groups), tuple(tagged), tuple(vifs), (*view.gaps, *gaps))


def _cluster(conf: AccountConf, eks: Any) -> dict[str, Any]:
    try:
        cluster: dict[str, Any] = eks.describe_cluster(name=conf.cluster)["cluster"]
    except eks.exceptions.ResourceNotFoundException:
        names = [name for page in eks.get_paginator("list_clusters").paginate() for name in page["clusters"]]
        there = f"there are: {', '.join(sorted(names))}" if names else "there are none"
        raise SetupError(f"account {conf.account} has no cluster {conf.cluster} in {conf.region}", there) from None
    if cluster["status"] != "ACTIVE":
        raise SetupError(f"cluster {conf.cluster} is {cluster['status']}", "a site is adopted once it is ACTIVE")
    tags = cluster.get("tags") or {}
    wrong = [f"{key}={value}" for key, value in conf.tags.items() if tags.get(key) != value]
    if wrong:
        carries = ", ".join(f"{key}={value}" for key, value in sorted(tags.items())) or "no tags"
        raise SetupError(f"cluster {conf.cluster} does not carry {', '.join(wrong)}", f"it carries {carries}")
    return cluster


def _groups(client: Any) -> list[ScalingGroup]:
    pages = client.get_paginator("describe_auto_scaling_groups").paginate()
    return [
        ScalingGroup(
            raw["AutoScalingGroupName"],
            tuple(one.strip() for one in (raw.get("VPCZoneIdentifier") or "").split(",") if one.strip()),
            tuple(one["InstanceId"] for one in raw.get("Instances") or ()),
        )
        for page in pages
        for raw in page["AutoScalingGroups"]
    ]


def _tagged(client: Any, cluster: str) -> list[str]:
    wanted = [{"Name": "tag-key", "Values": [f"kubernetes.io/cluster/{cluster}"]}]
    pages = client.get_paginator("describe_instances").paginate(Filters=wanted)
    return [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]


def _vifs(client: Any) -> list[dict[str, str]]:
    wanted = {"Namespace": "AWS/Outposts", "MetricName": "VifBgpSessionState"}
    pages = client.get_paginator("list_metrics").paginate(**wanted)
    return [{one["Name"]: one["Value"] for one in m["Dimensions"]} for page in pages for m in page["Metrics"]]
