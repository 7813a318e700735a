"""What a `site.yaml` may say: the schema of a reference site, and where the sites are found."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from islanding import guardconf, siterules, yamldoc
from islanding.confmodel import Conf as _Conf
from islanding.confmodel import pattern as _pattern
from islanding.errors import SetupError
from islanding.paths import content_dir

FILE = "site.yaml"


def _address(value: Any) -> IPv4Address:
    if isinstance(value, IPv4Address):
        return value
    try:
        return IPv4Address(value if isinstance(value, str) else "")
    except ValueError as error:
        raise PydanticCustomError(
            "address", "{given} is not an IPv4 address such as 10.2.1.11", {"given": yamldoc.shown(value)}
        ) from error


def _network(value: Any) -> IPv4Network:
    if isinstance(value, IPv4Network):
        return value
    text = value if isinstance(value, str) and re.fullmatch(r"[\d.]+/\d+", value) else ""
    try:
        return IPv4Network(text)
    except ValueError as error:
        given = {"given": yamldoc.shown(value)}
        if "host bits" in str(error):
            raise PydanticCustomError(
                "network", "{given} has host bits set; the range is {range}", {**given, "range": _masked(text)}
            ) from error
        raise PydanticCustomError("network", "{given} is not an IPv4 range such as 10.2.1.0/24", given) from error


def _masked(text: str) -> str:
    return str(IPv4Network(text, strict=False))


Address: TypeAlias = Annotated[IPv4Address, BeforeValidator(_address)]
Network: TypeAlias = Annotated[IPv4Network, BeforeValidator(_network)]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
# A label of a DNS name (RFC 1123), short enough that a network interface can be named after it (15 with a suffix).
Name: TypeAlias = Annotated[
    str, _pattern(r"[a-z]([-a-z0-9]{0,11}[a-z0-9])?|[a-z]", "a name of up to 13 lower-case letters, digits and hyphens")
]
SiteName: TypeAlias = Annotated[
    str, _pattern(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", "a name of up to 40 lower-case letters, digits and hyphens")
]
Seconds: TypeAlias = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
# RFC 6793: 32 bits; 0 (RFC 7607), 65535 and 4294967295 (RFC 7300) and AS_TRANS 23456 are reserved: see siterules.
Asn: TypeAlias = Annotated[int, Field(ge=1, le=4294967294)]


class Region(_Conf):
    """The AWS Region that the Outpost belongs to."""

    name: Annotated[str, _pattern(r"[a-z]{2}(-[a-z]+)+-\d", "a Region's name such as ap-northeast-1")]
    zone: Annotated[str, _pattern(r"[a-z]{2}(-[a-z]+)+-\d[a-z]", "a zone's name such as ap-northeast-1a")]
    account: Annotated[str, _pattern(r"\d{12}", "an account id: 12 digits in quotes")]
    vpc_cidr: Network
    region_subnet: Network
    services: Network  # where the AWS API's addresses are


class Outpost(_Conf):
    """The Outpost: its subnet of the VPC and the range that its service link is made from."""

    id: Annotated[str, _pattern(r"op-[0-9a-f]{17}", "an Outpost id: op- and 17 hexadecimal digits")]
    name: SiteName
    subnet: Network
    service_link_cidr: Network


class Lan(_Conf):
    """The site's own network, which the Outpost reaches by its local gateway."""

    cidr: Network
    gateway: Address


class RouterConf(_Conf):
    """A BGP router: its autonomous system."""

    asn: Asn


class Routers(_Conf):
    """The three routers between the Outpost and the Region."""

    outpost_network_device: Annotated[RouterConf, Field(alias="outpost-network-device")]
    customer_network_device: Annotated[RouterConf, Field(alias="customer-network-device")]
    region_edge: Annotated[RouterConf, Field(alias="region-edge")]


class Bgp(_Conf):
    """Timers of every session, in whole seconds; hold is 3 or more (RFC 4271, section 4.2)."""

    keepalive: Annotated[int, Field(ge=1, le=21845)] = 1
    hold: Annotated[int, Field(ge=3, le=65535)] = 3


class ClusterConf(_Conf):
    """The Kubernetes cluster: where its control plane is and its timers, in seconds."""

    name: SiteName
    version: Annotated[str, _pattern(r"1\.\d{1,2}", 'a version in quotes such as "1.36"')]
    control_plane: Literal["outpost", "region"]
    service_cidr: Network
    pod_cidr: Network
    node_status: Seconds = 10.0  # kubelet's nodeStatusUpdateFrequency
    node_lease: Annotated[int, Field(ge=1, le=3600)] = 40  # kubelet's nodeLeaseDurationSeconds
    node_grace: Seconds = 50.0  # controller manager's node-monitor-grace-period
    eviction: Annotated[int, Field(ge=0, le=3600)] = 300  # default toleration of an unreachable node
    large_cluster_size_threshold: Annotated[int, Field(ge=0)] = 50  # upstream 50, EKS 100000


class Instance(_Conf):
    """A machine on the Outpost or in the Region's subnet."""

    name: Name
    role: Literal["control-plane", "worker", "proxy"]
    address: Address
    where: Literal["outpost", "region"] = "outpost"


class Desk(_Conf):
    """A place on the site's LAN where somebody sits."""

    name: Name
    role: Literal["operator", "client"]
    address: Address


class Resolver(_Conf):
    """The site's own DNS resolver on the LAN."""

    address: Address


class WorkloadConf(_Conf):
    """What runs on the cluster; `manifest` is a file beside site.yaml, `node_port` as Kubernetes assigns by default."""

    name: SiteName
    replicas: Annotated[int, Field(ge=1, le=100)]
    node_port: Annotated[int, Field(ge=30000, le=32767)]
    manifest: Text


class Templates(_Conf):
    """CloudFormation templates of what the site has in AWS, as paths from site.yaml: the network, then the machines."""

    network: Text = "1-network.yaml"
    machines: Text = "2-machines.yaml"


Manner = Literal["iam", "consistency", "throttling", "pages", "failures"]
MANNERS: tuple[Manner, ...] = ("iam", "consistency", "throttling", "pages", "failures")


class MannersConf(_Conf):
    """How the lab's AWS treats its callers as a real account is treated: which manners are on, and how they are set.

    `delay`: seconds for which a change may be unseen; `page`: things in one reply; `rate`: share of calls that fail;
    `buckets`: throttling's buckets, as a factor of AWS's.
    """

    on: Annotated[tuple[Manner, ...], Field(strict=False)] = ()
    seed: int = 1
    delay: Annotated[float, Field(ge=0, le=60)] = 2.0
    page: Annotated[int, Field(ge=1, le=1000)] = 5
    rate: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    buckets: Annotated[float, Field(gt=0, le=100)] = 1.0

    @property
    def settle(self) -> float:
        """Seconds after which a change is seen by every read, with a second to spare."""
        return self.delay + 1 if "consistency" in self.on else 0.0


class SiteLab(_Conf):
    """What only the lab needs to know."""

    manners: MannersConf = MannersConf()


class SiteConf(_Conf):
    """A reference site, as its `site.yaml` says it."""

    name: SiteName
    description: Text
    region: Region
    outpost: Outpost
    lan: Lan
    routers: Routers
    bgp: Bgp = Bgp()
    cluster: ClusterConf
    instances: Annotated[tuple[Instance, ...], Field(min_length=1, strict=False)]
    desks: Annotated[tuple[Desk, ...], Field(min_length=1, strict=False)]
    resolver: Resolver
    workload: WorkloadConf
    fault_seconds: Seconds = 600.0  # after which a fault is undone although its run still holds it
    templates: Templates = Templates()
    guardrails: guardconf.Guardrails = guardconf.Guardrails()
    lab: SiteLab = SiteLab()


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> SiteConf:
    """Read an Outpost's site.yaml. Raises SetupError that names every mistake in it with file, line, what is allowed.

    `overrides` maps dotted keys (`cluster.eviction`) to values that take the place of the file's; they are checked too.
    """
    document = yamldoc.read(path)
    for key, value in (overrides or {}).items():
        document.put(tuple(key.split(".")), value)
    return check(document)


def check(document: yamldoc.Document) -> SiteConf:
    """The site that a document describes; raises SetupError that names every mistake."""
    mistakes = [*document.mistakes]
    conf = None
    if not isinstance(document.data, dict):
        keys = ", ".join(SiteConf.model_fields)
        raise document.reject([document.mistake((), f"{yamldoc.shown(document.data)} is not a site; keys: {keys}")])
    try:
        conf = SiteConf.model_validate(document.data)
    except ValidationError as error:
        mistakes += yamldoc.explain(error, document, SiteConf)
    mistakes += [*siterules.mistakes(document), *guardconf.mistakes(document)]
    if mistakes or conf is None:
        raise document.reject(mistakes)
    return conf


def names() -> tuple[str, ...]:
    """The names of the sites below fixtures/, in order."""
    return tuple(sorted(path.parent.name for path in content_dir("fixtures").glob(f"*/{FILE}")))


def find(name: str) -> Path:
    """The site.yaml of the site `name`. Raises SetupError that lists the known sites."""
    known = names()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise SetupError(f"no site '{name}'", f"{hint}The sites are: {', '.join(known) or '(none)'}.")
    return content_dir("fixtures") / name / FILE
