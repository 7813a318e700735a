"""What the file of an Outpost's site on a real account says beside the account: routers, and who looks from where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from islanding import siteconf
from islanding.confmodel import Conf as _Conf
from islanding.siteconf import Address, Asn, Network, Text
from islanding.yamldoc import Document, Mistake

# The facts that cases and faults at an Outpost's site ask for, and where each is found when the file is silent.
FACTS = {
    "vpc_id": "the cluster's VPC",
    "worker_subnet_ids": "the subnets of the workers",
    "worker_route_table_id": "the one route table of these subnets",
    "worker_group_id": "the one security group that all workers have, besides the one that EKS made",
    "control_plane_group_id": "the one security group that the cluster was made with, else the one that EKS made",
    "node_role_arn": "the one role of the workers' instances",
    "outpost_id": "the Outpost of `outpost_arn`, else that of the local cluster",
    "service_link_vif": "the one virtual interface of the Outpost in CloudWatch that is in no group",
    "metric_period": "seconds between two values of the Outpost's metrics; 60 without one",
    "region_resolver": "the VPC's own resolver, the second address of its range",
    "site_resolver": "the resolver of the file, else the first one that this computer asks",
    "large_cluster_size_threshold": "up to so many nodes the control plane's eviction stops in a large outage; EKS's",
    "public_resolver": "a public resolver; nobody asks for one without",
}
OPTIONAL = frozenset({"public_resolver"})
IDENTITIES = {  # that cases ask for, whom only the site's owner can have made
    "expired": "an administrator whose client certificate has expired",
    "operator-by-proxy": "the operator, by the address of a proxy at the Outpost's edge",
}
PERIOD = "60"  # seconds; Outposts user guide for racks, "CloudWatch metrics for Outposts racks"
THRESHOLD = "100000"  # EKS's own (docs/facts.md 3)
TAKEN = ("bastion", "operator", "tunnel", "workstation", "client", "region", "resolver")  # names of places and hosts
Port = Annotated[int, Field(ge=1, le=65535)]


class MachineConf(_Conf):
    """A Linux machine that is reached by SSH from this computer; a user who is not root gets there by sudo."""

    address: Address
    user: Text
    port: Port = 22
    key: str = ""  # the file of a private key; without it the one of `reach`


class ViewConf(MachineConf):
    """Somebody's machine in the Region, from which the control plane is seen while the Outpost is away."""

    kubeconfig: Text = ".kube/config"  # below the home folder of the user who logs in


class RouterConf(MachineConf):
    """A router of an Outpost's site: FRR by its shell on a Linux machine, IOS-XE and Junos by their command line."""

    name: siteconf.Name
    role: Literal["outpost-network-device", "customer-network-device", "region-edge"]
    asn: Asn
    driver: Literal["frr", "ios-xe", "junos"] = "frr"
    vtysh: str = ""  # FRR's shell there; without it `vtysh`, by sudo for a user who is not root
    password_variable: str = ""  # of the others: the environment variable that holds the password
    known_hosts: str = ""  # of the others: the file with the device's key; without it the user's own


class SessionConf(_Conf):
    """An eBGP session as one of those routers sees it."""

    name: Literal["service-link", "local-gateway", "wan"]
    router: siteconf.Name
    neighbor: Address
    neighbor_router: siteconf.Name
    interface: Text
    prefixes: Annotated[tuple[Network, ...], Field(strict=False)] = ()


class IdentityConf(_Conf):
    """Somebody else than the operator who uses kubectl at the operator's place."""

    name: siteconf.SiteName
    kind: Literal["iam", "x509"]
    kubeconfig: Text  # as for the operator
    note: str = ""


def mistakes(document: Document) -> Iterator[Mistake]:
    """Mistakes that concern several values of these."""
    at, mistake = document.at, document.mistake
    routers = _listed(at("routers"))
    for index, router in routers:
        loc = ("routers", index)
        frr = router.get("driver", "frr") == "frr"
        for key in ("password_variable", "known_hosts") if frr else ("vtysh",):
            if router.get(key):
                yield mistake((*loc, key), f"is of no use with `driver: {router.get('driver', 'frr')}`")
        if router.get("name") in TAKEN:
            yield mistake((*loc, "name"), f"{router['name']!r} names something else already")
    names = {router.get("name") for _, router in routers}
    for index, session in _listed(at("sessions")):
        if session.get("router") not in names:
            yield mistake(
                ("sessions", index, "router"), f"{session.get('router')!r} is none of the routers of this file"
            )
    for index, who in _listed(at("identities")):
        if who.get("name") in ("operator", "creator"):
            yield mistake(("identities", index, "name"), f"{who['name']!r} is named by adoption itself")
    if routers and (at("reach", "kind") or "ssh") != "direct":
        yield mistake(("reach", "kind"), "an Outpost's site is adopted from its own network: `kind: direct`")


def _listed(value: object) -> list[tuple[int, dict[str, Any]]]:
    return [(n, one) for n, one in enumerate(value if isinstance(value, list) else ()) if isinstance(one, dict)]
