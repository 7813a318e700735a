"""The facts that only an Outpost's site has, by its file and what AWS says of the account; pure."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

from islanding.accountconf import AccountConf
from islanding.outpostconf import PERIOD, THRESHOLD
from islanding.target.lack import Lack, one
from islanding.target.state import State


def outpost_arn(conf: AccountConf, state: State) -> str:
    """The ARN of the site's Outpost; empty when neither the file nor the cluster names one."""
    return conf.outpost_arn or next(iter((state.cluster.get("outpostConfig") or {}).get("outpostArns", ())), "")


def outpost_id(conf: AccountConf, state: State) -> str:
    """The id of the Outpost; raises Lack."""
    arn = outpost_arn(conf, state)
    if not arn:
        raise Lack("the cluster is not on an Outpost, so the file has to say `outpost_arn`")
    return arn.rsplit("/", 1)[-1]


def service_link_vif(conf: AccountConf, state: State) -> str:
    """The virtual interface of the service link, by the dimensions of CloudWatch's metrics; raises Lack.

    Those of the local gateway are in a group (Outposts user guide for racks, "CloudWatch metrics for Outposts racks").
    """
    name = outpost_id(conf, state)
    alone = {
        dimensions["VirtualInterfaceId"]
        for dimensions in state.vifs
        if dimensions.get("OutpostId") == name and set(dimensions) == {"OutpostId", "VirtualInterfaceId"}
    }
    return one(sorted(alone), f"virtual interface of {name} in CloudWatch that is in no group", str)


def region_resolver(_conf: AccountConf, state: State) -> str:
    """The VPC's own resolver: its range's second address (VPC user guide, "Amazon DNS"); raises Lack."""
    vpc = state.view.vpc(state.vpc)
    if vpc is None or not vpc.cidrs:
        raise Lack(f"the range of {state.vpc} could not be read")
    return str(ip_network(vpc.cidrs[0])[2])


def site_resolver(conf: AccountConf, _state: State) -> str:
    """The resolver of the file; raises Lack where it is silent."""
    if conf.resolver is None:
        raise Lack("the file names no `resolver`")
    return str(conf.resolver.address)


FINDERS: dict[str, Callable[[AccountConf, State], str]] = {
    "outpost_id": outpost_id,
    "service_link_vif": service_link_vif,
    "metric_period": lambda _conf, _state: PERIOD,
    "region_resolver": region_resolver,
    "site_resolver": site_resolver,
    "large_cluster_size_threshold": lambda _conf, _state: THRESHOLD,
}
