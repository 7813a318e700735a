"""A site whose nodes come and go, as it is now: its nodes by what the cluster says, each with the place to enter it."""

from __future__ import annotations

import json
from collections.abc import Collection
from ipaddress import IPv4Address
from typing import Any
from urllib.parse import urlsplit

from islanding.aws import calls, group
from islanding.errors import IslandingError
from islanding.kube.certificates import Operator
from islanding.kube.kubectl import argv
from islanding.model import Node, Place, Site
from islanding.process import Result

SECONDS = 60.0  # for one kubectl command, SSH through two jumps included


def kubectl(site: Site, *args: str, identity: str = "operator", stdin: str | None = None, check: bool = True) -> Result:
    """Run kubectl as an identity of the site, at the place where that identity is used; raises CommandFailed."""
    who = site.identity(identity)
    place = site.place(who.place) if who.place else next(p for p in site.places if p.role == "operator")
    return place.run(argv(args, who.kubeconfig), stdin=stdin, timeout=SECONDS, check=check)


def whole(site: Site) -> Site | None:
    """The site with the nodes that it has now; None unless each instance of its group serves and is a Ready node.

    Nor is it whole while the workload's Service leads to a pod of a node that is gone: some connections would be lost.
    Raises CommandFailed when the cluster cannot be asked.
    """
    there = group.read(site)
    items = of_instances(node_items(site), there.instances)
    complete = len(there.members) == len(there.instances) == there.desired and len(items) == there.desired
    if not complete or not all(map(is_ready, items)):
        return None
    led_to = serving(_slices(site))
    return with_nodes(site, items) if led_to and led_to <= {item["metadata"]["name"] for item in items} else None


def current(site: Site) -> Site:
    """The site with the nodes that it has now, Ready or not; raises CommandFailed when the cluster cannot be asked."""
    return with_nodes(site, of_instances(node_items(site), group.read(site).instances))


def refreshed(site: Site) -> Site:
    """The site with the nodes that it has now where it can be asked, else as it is described."""
    if "asg" not in site.facts:
        return site
    try:
        return current(site)
    except IslandingError:
        return site


def node_items(site: Site) -> list[dict[str, Any]]:
    """The nodes as the cluster lists them; raises CommandFailed when it cannot be asked."""
    items: list[dict[str, Any]] = json.loads(kubectl(site, "get", "nodes", "--output=json").stdout)["items"]
    return items


def of_instances(items: list[dict[str, Any]], instances: Collection[str]) -> list[dict[str, Any]]:
    """Those nodes of a NodeList that are these instances: a node outlives its instance for a while."""
    return [item for item in items if instance_of(item) in instances]


def instance_of(item: dict[str, Any]) -> str:
    """The id of the instance that a node of a NodeList is; empty for none."""
    return str(item.get("spec", {}).get("providerID", "")).rsplit("/", 1)[-1]


def serving(slices: list[dict[str, Any]]) -> set[str]:
    """The names of the nodes to whose pods the endpoint slices of a Service lead."""
    ends = [end for one in slices for end in one.get("endpoints") or ()]
    return {str(end.get("nodeName", "")) for end in ends if end.get("conditions", {}).get("ready", True)}


def _slices(site: Site) -> list[dict[str, Any]]:
    workload = site.workload
    of_service = f"--selector=kubernetes.io/service-name={workload.name}"
    answer = kubectl(site, "get", "endpointslices", f"--namespace={workload.namespace}", of_service, "--output=json")
    items: list[dict[str, Any]] = json.loads(answer.stdout)["items"]
    return items


def with_nodes(site: Site, items: list[dict[str, Any]]) -> Site:
    """The site with these nodes of a NodeList, and its workload's URL at one that is Ready, the former if it is."""
    nodes = tuple(sorted(map(_node, items), key=_by_address))
    ready = sorted((_node(item) for item in items if is_ready(item)), key=_by_address)
    known = {place.name for place in site.places}
    places = (*site.places, *(_place(site, node) for node in nodes if node.place not in known))
    former = urlsplit(site.workload.url)
    url = site.workload.url
    if ready and former.hostname not in {node.address for node in ready}:
        url = f"http://{ready[0].address}:{former.port}/"
    workload = site.workload.model_copy(update={"url": url})
    return site.model_copy(update={"nodes": nodes, "places": places, "workload": workload})


def kubeconfig_by_address(site: Site, place: Place, *, away_from: str = "") -> str:
    """Write, beside the operator's kubeconfig, one that asks the cluster at an address; its path at `place`.

    The address is that of one of the cluster's network interfaces, not in the subnet `away_from` where there is a
    choice; the certificate is still checked against the cluster's name. Raises CommandFailed.
    """
    name = urlsplit(site.cluster.endpoint).hostname or ""
    named = [{"Name": "description", "Values": [f"Amazon EKS {site.cluster.name}"]}]
    interfaces = calls.call(site, "ec2", "describe_network_interfaces", {"Filters": named})["NetworkInterfaces"]
    first = min(interfaces, key=lambda one: (one["SubnetId"] == away_from, one["PrivateIpAddress"]))
    source = site.identity("operator").kubeconfig
    target = f"{source}.{first['PrivateIpAddress']}"
    server = f"https://{first['PrivateIpAddress']}"
    there = f"k=$(kubectl --kubeconfig={target} config view -o 'jsonpath={{.clusters[0].name}}')"
    options = f"--server={server} --tls-server-name={name}"
    change = f'kubectl --kubeconfig={target} config set-cluster "$k" {options}'
    place.run(["sh", "-ec", f"cp {source} {target}; {there}; {change}"])
    return target


def is_ready(item: dict[str, Any]) -> bool:
    """Whether a node of a NodeList is Ready."""
    conditions = item.get("status", {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _node(item: dict[str, Any]) -> Node:
    address = next(a["address"] for a in item["status"]["addresses"] if a["type"] == "InternalIP")
    name = item["metadata"]["name"]
    return Node(name=name, instance_id=instance_of(item), address=address, role="worker", place=address)


def _place(site: Site, node: Node) -> Place:
    return site.machine(node.address).model_copy(update={"name": node.place})


def _by_address(node: Node) -> IPv4Address:
    return IPv4Address(node.address)


def forget(operator: Operator, instance: str) -> None:
    """Delete the node of an instance that is gone, as a cloud controller does in its own time; none is no mistake."""
    listed = operator.kubectl("get", "nodes", "--output=json", check=False)
    items = json.loads(listed.stdout)["items"] if listed.ok else []
    for item in of_instances(items, {instance}):
        operator.kubectl("delete", "node", item["metadata"]["name"], "--wait=false", "--ignore-not-found", check=False)
