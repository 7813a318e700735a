"""What the file of a site on a real AWS account may say: its schema, each mistake named with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from islanding import guardconf, outpostconf, siteconf, yamldoc
from islanding.confmodel import Conf as _Conf
from islanding.confmodel import pattern as _pattern
from islanding.outpostconf import IdentityConf, MachineConf, RouterConf, SessionConf, ViewConf
from islanding.siteconf import Address, Network, Seconds, SiteName, Text
from islanding.stackconf import AccountId, RegionName
from islanding.yamldoc import Document, Mistake

# The facts that cases, faults and probes know a site's parts by, and where each is found when the file is silent.
FACTS = {
    "vpc_id": "the cluster's VPC",
    "bastion_vpc_id": "the VPC of the bastion's instance",
    "peering_id": "the active peering of these two VPCs",
    "worker_subnet_ids": "the subnets of the nodes' Auto Scaling group, else of the nodes",
    "operator_subnet_id": "the subnet of the operator's instance",
    "worker_route_table_id": "the one route table of the worker subnets",
    "operator_route_table_id": "the route table of the operator's subnet",
    "bastion_group_id": "the one security group of the bastion's instance",
    "operator_group_id": "the one security group of the operator's instance",
    "endpoint_group_id": "the one security group that all interface endpoints of the VPC have",
    "control_plane_group_id": "the one security group that the cluster was made with, else the one that EKS made",
    "worker_group_id": "the one security group that all nodes have, besides the one that EKS made",
    "s3_endpoint_id": "the endpoint of S3 in the VPC",
    "operator_role_arn": "the role of the operator's instance",
    "node_role_arn": "the one role of the nodes' instances",
    "operator_instance_id": "the one instance in the VPC that is no node and lets SSH in from the bastion",
    "bastion_instance_id": "the instance with the bastion's address",
    "bastion_public_ip": "the bastion's public address",
    "operator_address": "the private address of the operator's instance",
    "bucket": "the one bucket whose policy names the endpoint of S3",
    "repository": "the repository of the workload's image in the account's registry",
    "repository_uri": "the same as an image's name",
    "asg": "the one Auto Scaling group of the nodes",
    "workstation_address": "this computer's address as the bastion sees it",
    "foreign_profile": "a profile with keys of another account; only the file can name one",
    "elsewhere_address": "a host on the internet to be refused; 1.1.1.1 without one",
    "public_resolver": "a public resolver to be refused; 8.8.8.8 without one",
}
OPTIONAL = frozenset({"elsewhere_address", *outpostconf.OPTIONAL})  # the cases have a default of their own


class Reach(_Conf):
    """The way in: through a bastion by SSH, by Session Manager's port forward, or directly from this computer."""

    kind: Literal["ssh", "ssm", "direct"] = "ssh"
    bastion: Address | None = None
    user: Text = "ec2-user"
    bastion_user: str = ""
    key: str = ""  # none: nothing is entered by SSH, which only `direct` can do without
    nodes: Annotated[tuple[Network, ...], Field(strict=False)] = ()  # discovered: ranges of the worker subnets


class OperatorConf(_Conf):
    """Who the operator is: an instance in the VPC, and the kubeconfig there."""

    instance: Annotated[str, _pattern(r"i-[0-9a-f]{8,17}|", "an instance's id such as i-0123456789abcdef0")] = ""
    kubeconfig: Text = ".kube/config"  # below the home folder of the user who logs in


class WorkloadConf(_Conf):
    """The Deployment to watch, with a NodePort Service; found when it is the only one of its namespace."""

    name: str = ""
    namespace: SiteName = "default"


class TimersConf(_Conf):
    """What the cluster's control plane is set to, in seconds, which EKS lets nobody change or read; and BGP's hold."""

    bgp_hold: Seconds = 90.0  # that AWS's side proposes (Direct Connect user guide, virtual interfaces)
    node_grace: Seconds = 40.0
    eviction: Annotated[float, Field(ge=0, le=3600)] = 300.0


class AccountConf(_Conf):
    """A site that exists already on an AWS account."""

    name: SiteName
    like: SiteName = "closed-vpc"  # the reference site whose cases are run
    account: AccountId
    region: RegionName
    cluster: Annotated[str, _pattern(r"[0-9A-Za-z][-_0-9A-Za-z]{0,99}", "a cluster's name")]
    tags: Annotated[dict[str, str], Field(default_factory=dict)]  # that the cluster must carry
    profile: str = ""
    role: Annotated[str, _pattern(r"arn:aws[-a-z]*:iam::\d{12}:role/[\w+=,.@/-]+|", "the ARN of a role")] = ""
    external_id: str = ""
    reach: Reach
    operator: OperatorConf = OperatorConf()
    workload: WorkloadConf = WorkloadConf()
    timers: TimersConf = TimersConf()
    outpost_arn: Annotated[str, _pattern(r"arn:aws[-a-z]*:outposts:.+:outpost/op-[0-9a-f]+|", "an Outpost's ARN")] = ""
    routers: Annotated[tuple[RouterConf, ...], Field(strict=False)] = ()
    sessions: Annotated[tuple[SessionConf, ...], Field(strict=False)] = ()
    region_view: ViewConf | None = None
    resolver: MachineConf | None = None
    identities: Annotated[tuple[IdentityConf, ...], Field(strict=False)] = ()
    fault_seconds: Seconds = 600.0  # after which a fault is undone although its run still holds it
    guardrails: guardconf.Guardrails = guardconf.Guardrails()
    facts: Annotated[dict[str, str], Field(default_factory=dict)]

    @property
    def has_routers(self) -> bool:
        """Whether this is an Outpost's site, with routers of its own, and no network of AWS's alone."""
        return bool(self.routers)

    @property
    def known_facts(self) -> dict[str, str]:
        """The facts that cases of such a site ask for, each with where it is found."""
        return outpostconf.FACTS if self.has_routers else FACTS


def load(path: Path) -> AccountConf:
    """Read the file of a site; raises SetupError that names every mistake with file, line and what is allowed."""
    return check(yamldoc.read(path))


def check(document: Document) -> AccountConf:
    """The site that a document describes; raises SetupError that names every mistake."""
    found = [*document.mistakes]
    conf = None
    try:
        conf = AccountConf.model_validate(document.data)
    except ValidationError as error:
        found += yamldoc.explain(error, document, AccountConf)
    found += [*_together(document), *guardconf.mistakes(document)]
    if found or conf is None:
        raise document.reject(found)
    return conf


def _together(document: Document) -> list[Mistake]:
    """Mistakes that concern several values."""
    at, mistake, found = document.at, document.mistake, list[Mistake]()
    kind = at("reach", "kind") or "ssh"
    if isinstance(at("reach"), dict):
        if kind == "ssh" and at("reach", "bastion") is None:
            found.append(mistake(("reach", "bastion"), "missing; `kind: ssh` needs the bastion's public address"))
        if kind in ("ssm", "direct") and at("reach", "bastion") is not None:
            found.append(mistake(("reach", "bastion"), f"`kind: {kind}` goes through no bastion"))
        key = at("reach", "key")
        if not key and (kind != "direct" or at("operator", "instance")):
            found.append(mistake(("reach", "key"), "missing; it is required where anything is entered by SSH"))
        if isinstance(key, str) and key and not Path(key).expanduser().is_file():
            found.append(mistake(("reach", "key"), f"there is no file {key}"))
    if at("like") is not None and at("like") not in siteconf.names():
        found.append(
            mistake(("like",), f"{at('like')!r} is no reference site; there are: {', '.join(siteconf.names())}")
        )
    if at("external_id") and not at("role"):
        found.append(mistake(("external_id",), "is of use with `role` alone"))
    facts, known = at("facts"), outpostconf.FACTS if at("routers") else FACTS
    for name in facts if isinstance(facts, dict) else ():
        if name not in known:
            found.append(mistake(("facts", name), f"is no fact that a case asks for; there are: {', '.join(known)}"))
    return [*found, *outpostconf.mistakes(document)]
