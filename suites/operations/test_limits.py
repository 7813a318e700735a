"""C-15: where pods end: at the addresses that an instance type's network interfaces hold, and at those of a subnet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from ipaddress import IPv4Network
from typing import Any

import pytest

from islanding.aws import group, subnets
from islanding.aws.calls import call
from islanding.errors import IslandingError
from islanding.kube.certificates import Operator
from islanding.kube.current import forget, instance_of, node_items
from islanding.kube.pods import parse_events
from islanding.model import Sample, Site
from islanding.outcomes import READY, recognise
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.wait import wait_until
from islanding.watching import eventually

# Seconds until a node has all the addresses that it gets. Where a call for a new interface fails, the network plugin
# may look for it in vain for three minutes before it goes on (docs/measurements.md 10).
FULL = 600.0
Physics = Callable[[str], AbstractContextManager[None]]
Evidence = Callable[[str, str], None]


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-15")
def test_pods_end_at_the_instance_types_addresses(
    site: Site,
    operator: Operator,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    physics: Physics,
    evidence: Evidence,
    measure: Callable[..., None],
) -> None:
    """A node gives as many pods an address as its type's interfaces have; the next one says that there is none.

    Its kubelet is started with a higher limit of pods, or the scheduler would end before the addresses do.
    """
    type_ = group.template(site)["InstanceType"]
    limit = address_limit(site, type_)
    evidence("limit by the instance type", f"{type_}: {limit} pods with an address of their own")
    with (
        group.beside(site, user_data=_many_pods) as instance,
        _node(site, operator, probe, observe, instance) as name,
        filler(operator, site, name, limit + 3),
        physics("the network plugin's interfaces"),
    ):
        seen = _event(operator, name, lambda: _addressed(operator, name) >= limit)
        evidence("what a user sees", seen)
        addressed = _addressed(operator, name)
        evidence("pods", operator.kubectl("get", "pods", "-o", "wide").stdout)
    measure("pods with an address", addressed, "pods")
    assert recognise("pod-start", 1, seen).name == "NO_ADDRESS", seen
    assert addressed == limit


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-15")
def test_usual_node_ends_at_its_limit_of_pods(
    site: Site, operator: Operator, physics: Physics, evidence: Evidence
) -> None:
    """A node as bootstrap.sh sets it up takes as many pods as its type has addresses, and two; then: Too many pods."""
    node = site.workers[-1]
    shown = operator.kubectl("get", "node", node.name, "-o", "jsonpath={.status.capacity.pods}").stdout
    assert int(shown) == address_limit(site, group.template(site)["InstanceType"]) + 2
    with filler(operator, site, node.name, int(shown)), physics("the scheduler's tries"):
        seen = _event(operator, node.name, _always, reason="FailedScheduling")
    evidence("what a user sees", seen)
    assert recognise("pod-start", 1, seen).name == "TOO_MANY_PODS", seen


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-15")
def test_subnet_runs_out_of_addresses(
    site: Site,
    operator: Operator,
    probe: SiteProbes,
    observe: Callable[[Probe], Sample],
    physics: Physics,
    evidence: Evidence,
) -> None:
    """In a subnet that is too small pods end before the type's limit, and ipamd and EC2 say why; no instance fits."""
    with small_subnet(site) as subnet, group.beside(site, subnet=subnet, user_data=_many_pods) as instance:
        with _node(site, operator, probe, observe, instance) as name:
            limit = address_limit(site, group.template(site)["InstanceType"])
            with filler(operator, site, name, limit), physics("the network plugin's tries"):
                seen = _event(operator, name, _always)
                evidence("what a user sees", seen)
                said = eventually(
                    "ipamd to say that the subnet is full",
                    lambda: _ipamd(operator, name, "InsufficientFreeAddresses", "InsufficientCidrBlocks"),
                    timeout=90,
                    interval=3,
                )
                evidence("ipamd's log", said)
                addressed = _addressed(operator, name)
        free = call(site, "ec2", "describe_subnets", {"SubnetIds": [subnet]})["Subnets"][0]["AvailableIpAddressCount"]
        if free:
            _fill(site, subnet, free)
        try:
            with group.beside(site, subnet=subnet):
                refused = "it was started"
        except IslandingError as error:
            refused = str(error)
        evidence("one more instance", refused)
        _empty(site, subnet)
    assert recognise("pod-start", 1, seen).name in ("NO_ADDRESS", "SUBNET_FULL"), seen
    assert addressed < limit, f"{addressed} of {limit} pods had an address"
    assert "InsufficientFreeAddressesInSubnet" in refused, refused


# -- helpers -----------------------------------------------------------------------------------------------------------


def address_limit(site: Site, type_: str) -> int:
    """Addresses for pods: each interface's but its own (Amazon VPC CNI, eni-max-pods without prefix delegation)."""
    info = call(site, "ec2", "describe_instance_types", {"InstanceTypes": [type_]})["InstanceTypes"][0]["NetworkInfo"]
    return int(info["MaximumNetworkInterfaces"]) * (int(info["Ipv4AddressesPerInterface"]) - 1)


def _many_pods(user_data: str) -> str:
    return user_data.rstrip() + " --use-max-pods false --kubelet-extra-args --max-pods=60\n"


@contextmanager
def _node(
    site: Site, operator: Operator, probe: SiteProbes, observe: Callable[[Probe], Sample], instance: str
) -> Iterator[str]:
    """Waits until an instance is a Ready node; its name. The cluster forgets it at the end."""
    try:
        eventually(
            f"{instance} to join",
            lambda: observe(probe.node_join(instance)),
            timeout=180,
            interval=2,
            done=lambda sample: sample.outcome == READY.name,
        )
        yield next(item["metadata"]["name"] for item in node_items(site) if instance_of(item) == instance)
    finally:
        forget(operator, instance)


@contextmanager
def filler(operator: Operator, site: Site, node: str, replicas: int) -> Iterator[None]:
    """So many small pods for one node, by way of the scheduler; gone at the end."""
    labels = {"app": "filler"}
    deployment: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "filler", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"kubernetes.io/hostname": node},
                    "terminationGracePeriodSeconds": 0,
                    "automountServiceAccountToken": False,
                    "containers": [
                        {
                            "name": "filler",
                            "image": site.workload.image,
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["sleep", "3600"],
                        }
                    ],
                },
            },
        },
    }
    operator.kubectl("apply", "-f", "-", stdin=json.dumps(deployment))
    try:
        yield
    finally:
        operator.kubectl("delete", "deployment", "filler", "--cascade=foreground", "--timeout=60s", check=False)
        wait_until(
            "the filling pods to be gone",
            lambda: _names_of_filler(operator),
            timeout=90,
            interval=2,
            done=lambda left: not left,
        )


def _names_of_filler(operator: Operator) -> str:
    """The filling pods that are still there, a line each."""
    return operator.kubectl("get", "pods", "--selector=app=filler", "-o", "name").stdout.strip()


def _always() -> bool:
    return True


def _addressed(operator: Operator, node: str) -> int:
    """How many pods on a node run with an address of their own."""
    where = f"--field-selector=spec.nodeName={node},status.phase=Running"
    items = json.loads(operator.kubectl("get", "pods", "-A", where, "-o", "json").stdout)["items"]
    return sum(not item["spec"].get("hostNetwork") and bool(item["status"].get("podIP")) for item in items)


def _event(operator: Operator, node: str, ready: Callable[[], bool], *, reason: str = "FailedCreatePodSandBox") -> str:
    """Wait for an event of that reason on a filling pod, while `ready`; its message."""

    def look() -> str:
        listed = operator.kubectl("get", "events", f"--field-selector=reason={reason}", "-o", "json").stdout
        items = json.loads(listed)["items"]
        own = [item for item in items if item["involvedObject"]["name"].startswith("filler-")]
        messages = [event.message for event in parse_events(json.dumps({"items": own}))]
        return messages[-1] if messages and ready() else ""

    return eventually(f"a {reason} event of a pod for {node}", look, timeout=FULL, interval=2)


def _ipamd(operator: Operator, node: str, *words: str) -> str:
    """The last line with one of these words of ipamd's log at a node, by way of its pod; empty for none."""
    where = f"--field-selector=spec.nodeName={node}"
    select = ("-n", "kube-system", "--selector=k8s-app=aws-node", where, "-o", "jsonpath={.items[0].metadata.name}")
    pod = operator.kubectl("get", "pods", *select).stdout
    log = ("cat", "/host/var/log/aws-routed-eni/ipamd.log")
    told = operator.kubectl("exec", "-n", "kube-system", pod, "-c", "aws-node", "--", *log, check=False).stdout
    return next((line for line in reversed(told.splitlines()) if any(word in line for word in words)), "")


@contextmanager
def small_subnet(site: Site) -> Iterator[str]:
    """A subnet of 11 addresses in the workers' first zone, routed as theirs; its id."""
    vpc = call(site, "ec2", "describe_vpcs", {"VpcIds": [site.facts["vpc_id"]]})["Vpcs"][0]
    there = call(site, "ec2", "describe_subnets", {"Filters": [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]})[
        "Subnets"
    ]
    first = next(s for s in there if s["SubnetId"] == site.facts["worker_subnet_ids"].split(",")[0])
    taken = [IPv4Network(s["CidrBlock"]) for s in there]
    blocks = IPv4Network(vpc["CidrBlock"]).subnets(new_prefix=28)
    block = next(b for b in blocks if not any(b.overlaps(other) for other in taken))
    made = subnets.made(site, vpc["VpcId"], str(block), first["AvailabilityZone"])
    table = {"RouteTableId": site.facts["worker_route_table_id"], "SubnetId": made}
    association = call(site, "ec2", "associate_route_table", table)["AssociationId"]
    try:
        yield made
    finally:
        wait_until("the small subnet to be deleted", lambda: _delete(site, made, association), timeout=120, interval=2)


def _delete(site: Site, subnet: str, association: str) -> bool:
    _empty(site, subnet)
    call(site, "ec2", "delete_subnet", {"SubnetId": subnet})
    return True


def _fill(site: Site, subnet: str, free: int) -> None:
    """Take the addresses that are left."""
    arguments: dict[str, Any] = {"SubnetId": subnet, "Description": "islanding: fills the subnet"}
    if free > 1:
        arguments["SecondaryPrivateIpAddressCount"] = free - 1
    call(site, "ec2", "create_network_interface", arguments)


def _empty(site: Site, subnet: str) -> None:
    """Delete the network interfaces that nothing uses any more: the plugin's own stay behind for a while."""
    reply = call(site, "ec2", "describe_network_interfaces", {"Filters": [{"Name": "subnet-id", "Values": [subnet]}]})
    for one in reply["NetworkInterfaces"]:
        if one["Status"] == "available":
            call(site, "ec2", "delete_network_interface", {"NetworkInterfaceId": one["NetworkInterfaceId"]})
