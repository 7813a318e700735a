"""The facts of a site, by what AWS says of its account: each found, or the reason why not; pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from islanding.accountconf import OPTIONAL, AccountConf
from islanding.aws.view import Endpoint, GroupRule, Instance
from islanding.target import outpostfacts
from islanding.target.lack import Lack
from islanding.target.lack import one as _one
from islanding.target.state import State


@dataclass(frozen=True)
class Discovered:
    """What is known of a site by name, and of what is not: why."""

    facts: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)


def discover(conf: AccountConf, state: State, nodes: Sequence[str] = (), image: str = "") -> Discovered:
    """The facts of a site; `nodes` are the instances that its nodes are (none: those with the cluster's tag).

    `image` is the workload's, where it is known. What the file says goes before what is found.
    """
    look = Look(conf, state, tuple(nodes) or state.tagged, image)
    facts, lacking = dict(conf.facts), dict[str, str]()
    for name in conf.known_facts:
        if name in facts or name in OPTIONAL:
            continue
        try:
            facts[name] = look.find(name)
        except Lack as reason:
            lacking[name] = str(reason)
    return Discovered(facts, lacking)


@dataclass(frozen=True)
class Look:
    """Looks for one fact at a time; raises Lack with the reason when it is not there, or there are several."""

    conf: AccountConf
    state: State
    nodes: tuple[str, ...]
    image: str = ""

    def find(self, name: str) -> str:
        """The fact of that name: what the file says, else what is found."""
        if name in self.conf.facts:
            return self.conf.facts[name]
        if name in _FINDERS:
            return _FINDERS[name](self)
        if name in outpostfacts.FINDERS:
            return outpostfacts.FINDERS[name](self.conf, self.state)
        raise Lack(f"nobody but the file can say it (facts: {name}: ...)")

    # -- people's machines -------------------------------------------------------------------------------------------

    def bastion(self) -> Instance:
        """The bastion's instance."""
        if self.conf.reach.bastion is None:
            raise Lack(f"`reach: {self.conf.reach.kind}` has no bastion")
        public = str(self.conf.reach.bastion)
        ids = {card.instance for card in self.state.view.interfaces if card.public == public and card.instance}
        found = self.state.instances(tuple(ids))
        return _one(found, f"instance with the address {public} in this account and Region", lambda i: i.id)

    def operator(self) -> Instance:
        """The operator's instance."""
        if self.conf.operator.instance:
            named = self.state.instances((self.conf.operator.instance,))
            return _one(named, f"instance {self.conf.operator.instance}", lambda i: i.id)
        if self.conf.reach.kind == "direct":
            raise Lack("`reach: direct` has no operator's instance but the one that operator.instance names")
        grouped = {one for group in self.state.groups for one in group.instances}
        others = [
            one
            for one in self.state.view.instances
            if one.vpc == self.state.vpc and one.state == "running" and one.id not in {*self.nodes, *grouped}
        ]
        try:
            bastion: Instance | None = self.bastion()
        except Lack:
            bastion = None
        fit = [one for one in others if bastion is None or (one.id != bastion.id and self._lets_in(one, bastion))]
        what = "instance in the VPC that is no node and lets SSH in from the bastion"
        return _one(fit, what, lambda i: i.id, "operator.instance")

    def _lets_in(self, there: Instance, bastion: Instance) -> bool:
        sources = (bastion.address, *self.state.groups_of(bastion.id))
        groups = [self.state.view.group(id_) for id_ in self.state.groups_of(there.id)]
        return any(_admits(rule, sources) for group in groups if group for rule in group.ingress)

    def group_of(self, instance: Instance) -> str:
        """The one security group of an instance."""
        return _one(self.state.groups_of(instance.id), f"security group of {instance.id}", str)

    def role_of(self, instance: Instance) -> str:
        """The role that an instance acts as."""
        if not instance.role:
            raise Lack(f"the instance {instance.id} has no role that could be read")
        return instance.role

    def public(self) -> str:
        """The bastion's public address."""
        if self.conf.reach.bastion is None:
            raise Lack(f"`reach: {self.conf.reach.kind}` has no bastion")
        return str(self.conf.reach.bastion)

    # -- nodes -------------------------------------------------------------------------------------------------------

    def workers(self) -> tuple[Instance, ...]:
        """The instances that the nodes are; not those of a local control plane, which have the cluster's own role."""
        own = self.state.cluster.get("roleArn")
        found = tuple(one for one in self.state.instances(self.nodes) if not one.role or one.role != own)
        if not found:
            raise Lack(f"no instance carries the tag kubernetes.io/cluster/{self.conf.cluster}, and no node was seen")
        return found

    def group(self) -> str:
        """The name of the nodes' Auto Scaling group."""
        nodes = {one.id for one in self.workers()}
        names = [group.name for group in self.state.groups if nodes & set(group.instances)]
        return _one(names, "Auto Scaling group with nodes of the cluster", str, "facts: asg")

    def worker_subnets(self) -> tuple[str, ...]:
        """The ids of the nodes' subnets, in the order of their group where they have one."""
        try:
            name = self.conf.facts.get("asg") or self.group()
        except Lack:
            return tuple(sorted({one.subnet for one in self.workers()}))
        return next(group.subnets for group in self.state.groups if group.name == name)

    def worker_ranges(self) -> tuple[str, ...]:
        """The ranges of these subnets."""
        if self.conf.reach.nodes:
            return tuple(map(str, self.conf.reach.nodes))
        found = map(self.state.view.subnet, self.find("worker_subnet_ids").split(","))
        return tuple(subnet.cidr for subnet in found if subnet)

    def worker_group(self) -> str:
        own = self.state.cluster["resourcesVpcConfig"].get("clusterSecurityGroupId", "")
        sets = [set(self.state.groups_of(one.id)) for one in self.workers()]
        common = sorted(set.intersection(*sets))
        return _one([g for g in common if g != own] or common, "security group that all nodes have", str)

    def node_role(self) -> str:
        roles = {one.role for one in self.workers() if one.role}
        return _one(sorted(roles), "role of the nodes' instances", str)

    # -- the network -------------------------------------------------------------------------------------------------

    def table(self, subnets: Iterable[str]) -> str:
        """The one route table of some subnets."""
        found = (self.state.view.subnet(id_) for id_ in subnets)
        tables = {table.id for subnet in found if subnet and (table := self.state.view.table_of(subnet))}
        return _one(sorted(tables), "route table of these subnets", str)

    def peering(self) -> str:
        ends = {self.state.vpc, self.find("bastion_vpc_id")}
        active = [p for p in self.state.view.peerings if p.status == "active" and {p.requester, p.accepter} == ends]
        return _one(active, f"active peering of {' and '.join(sorted(ends))}", lambda p: p.id).id

    def endpoints(self) -> list[Endpoint]:
        """The endpoints of the cluster's VPC."""
        return [one for one in self.state.view.endpoints if one.vpc == self.state.vpc]

    def endpoint_group(self) -> str:
        sets = [set(one.groups) for one in self.endpoints() if one.kind == "Interface"]
        common = sorted(set.intersection(*sets)) if sets else []
        return _one(common, "security group that all interface endpoints of the VPC have", str)

    def s3_endpoint(self) -> str:
        ours = [one for one in self.endpoints() if one.service == f"com.amazonaws.{self.conf.region}.s3"]
        gateways = [one for one in ours if one.kind == "Gateway"]
        return _one(gateways or ours, "endpoint of S3 in the VPC", lambda e: e.id).id

    def control_plane_group(self) -> str:
        network = self.state.cluster["resourcesVpcConfig"]
        given = [str(one) for one in network.get("securityGroupIds") or ()]
        made = network.get("clusterSecurityGroupId")
        return _one(given or [str(made)] if made else given, "security group of the control plane", str)

    # -- what is kept ------------------------------------------------------------------------------------------------

    def bucket(self) -> str:
        endpoint = self.find("s3_endpoint_id")
        named = [bucket for bucket, policy in self.state.view.bucket_policies if _names(policy, endpoint)]
        return _one(named, f"bucket whose policy names {endpoint}", str)

    def registry(self) -> str:
        """The host name of the account's registry."""
        return f"{self.conf.account}.dkr.ecr.{self.conf.region}.amazonaws.com"

    def repository(self) -> str:
        host, _, rest = self.image.partition("/")
        if not self.image:
            raise Lack("the workload's image is not known")
        if host != self.registry() or not rest:
            raise Lack(f"the workload's image {self.image} is not in the account's registry {self.registry()}")
        return rest.partition("@")[0].partition(":")[0]


def _admits(rule: GroupRule, sources: Sequence[str]) -> bool:
    """Whether a rule lets SSH in from one of these (addresses or group ids)."""
    if rule.protocol not in ("-1", "tcp", "6") or not (rule.low or 0) <= 22 <= (
        65535 if rule.high is None else rule.high
    ):
        return False
    return any(_covers(peer, source) for peer in rule.peers for source in sources)


def _covers(peer: str, source: str) -> bool:
    if "/" not in peer or source.startswith("sg-"):
        return peer == source
    return bool(source) and ip_address(source) in ip_network(peer, strict=False)


def _names(policy: str, endpoint: str) -> bool:
    """Whether a bucket's policy names an endpoint as the source of requests (aws:sourceVpce)."""
    statements = json.loads(policy).get("Statement") or []
    for statement in statements if isinstance(statements, list) else [statements]:
        for keys in (statement.get("Condition") or {}).values():
            for key, value in keys.items():
                if key.lower() == "aws:sourcevpce" and endpoint in ([value] if isinstance(value, str) else value):
                    return True
    return False


_FINDERS: dict[str, Callable[[Look], str]] = {
    "vpc_id": lambda look: look.state.vpc,
    "bastion_vpc_id": lambda look: look.bastion().vpc,
    "peering_id": Look.peering,
    "worker_subnet_ids": lambda look: ",".join(look.worker_subnets()),
    "operator_subnet_id": lambda look: look.operator().subnet,
    "worker_route_table_id": lambda look: look.table(look.find("worker_subnet_ids").split(",")),
    "operator_route_table_id": lambda look: look.table([look.find("operator_subnet_id")]),
    "bastion_group_id": lambda look: look.group_of(look.bastion()),
    "operator_group_id": lambda look: look.group_of(look.operator()),
    "endpoint_group_id": Look.endpoint_group,
    "control_plane_group_id": Look.control_plane_group,
    "worker_group_id": Look.worker_group,
    "s3_endpoint_id": Look.s3_endpoint,
    "operator_role_arn": lambda look: look.role_of(look.operator()),
    "node_role_arn": Look.node_role,
    "operator_instance_id": lambda look: look.operator().id,
    "bastion_instance_id": lambda look: look.bastion().id,
    "bastion_public_ip": lambda look: look.public(),
    "operator_address": lambda look: look.operator().address,
    "bucket": Look.bucket,
    "repository": Look.repository,
    "repository_uri": lambda look: look.registry() + "/" + look.find("repository"),
    "asg": Look.group,
}
