"""What the cluster itself says, by kubectl at the operator: its nodes, its workload, and who is let in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Literal

import yaml

from islanding.accountconf import AccountConf
from islanding.errors import SetupError
from islanding.kube.current import instance_of
from islanding.kube.kubectl import argv
from islanding.model import AwsAccess, Node, Place, Workload

SECONDS = 60.0
LABEL = "node-role.kubernetes.io/control-plane"
TAINT = "node-role.eks-local.amazonaws.com/control-plane"


@dataclass(frozen=True)
class Asking:
    """kubectl at a place with a kubeconfig there."""

    place: Place
    kubeconfig: str

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """The items of a list; raises CommandFailed."""
        done = self.place.run(argv([*arguments, "--output=json"], self.kubeconfig), timeout=SECONDS)
        items: list[dict[str, Any]] = json.loads(done.stdout)["items"]
        return items

    def is_administrator(self) -> str:
        """Empty when whoever asks may do anything; what was said otherwise."""
        asked = argv(["auth", "can-i", "*", "*", "--all-namespaces"], self.kubeconfig)
        done = self.place.run(asked, timeout=SECONDS, check=False)
        return "" if done.ok and done.stdout.strip() == "yes" else (done.stderr or done.stdout).strip()[-300:] or "no"


def nodes(items: list[dict[str, Any]], instances: Mapping[str, str] | None = None) -> tuple[Node, ...]:
    """The nodes of a NodeList, by their addresses; raises SetupError for a node that is no instance.

    `instances` are the VPC's, ids by address: nodes that no cloud controller has looked at do not say which they are.
    """
    found = []
    for item in items:
        name = item["metadata"]["name"]
        address = next((a["address"] for a in item["status"]["addresses"] if a["type"] == "InternalIP"), "")
        instance = instance_of(item) or (instances or {}).get(address, "")
        if not instance.startswith("i-") or not address:
            raise SetupError(f"node {name} is no instance of EC2 (its providerID: {instance or 'none'})")
        role: Literal["worker", "control-plane"] = "control-plane" if _is_control_plane(item) else "worker"
        found.append(Node(name=name, instance_id=instance, address=address, role=role, place=address))
    if not any(node.role == "worker" for node in found):
        raise SetupError("the cluster has no nodes", "a site is adopted with nodes in it")
    return tuple(sorted(found, key=lambda node: IPv4Address(node.address)))


def _is_control_plane(item: dict[str, Any]) -> bool:
    """Whether a node is of a local cluster's control plane, by its label or its taint (EKS user guide)."""
    labels = item["metadata"].get("labels") or {}
    taints = {taint["key"] for taint in item.get("spec", {}).get("taints") or ()}
    return LABEL in labels or TAINT in taints


def workload(
    conf: AccountConf, services: list[dict[str, Any]], deployments: list[dict[str, Any]], address: str
) -> Workload:
    """The workload to watch: a Deployment that a NodePort Service leads to, reached at a node's `address`.

    Raises SetupError when there is none, or several and the file names none.
    """
    space = conf.workload.namespace
    fit = {
        one["metadata"]["name"]: (one, service)
        for one in deployments
        for service in services
        if service["spec"].get("type") == "NodePort" and _selects(service, one)
    }
    wanted = conf.workload.name
    if wanted and wanted not in fit:
        raise SetupError(f"no NodePort Service leads to a Deployment {wanted} in {space}", _there(fit))
    if not wanted and len(fit) != 1:
        raise SetupError(f"which workload is to be watched in {space}? Say workload.name in the file", _there(fit))
    deployment, service = fit[wanted] if wanted else next(iter(fit.values()))
    port = next(port["nodePort"] for port in service["spec"]["ports"] if port.get("nodePort"))
    return Workload(
        name=deployment["metadata"]["name"],
        namespace=space,
        replicas=int(deployment["spec"]["replicas"]),
        url=f"http://{address}:{port}/",
        image=deployment["spec"]["template"]["spec"]["containers"][0]["image"],
    )


def _selects(service: dict[str, Any], deployment: dict[str, Any]) -> bool:
    wanted = (service["spec"].get("selector") or {}).items()
    labels = (deployment["spec"]["template"]["metadata"].get("labels") or {}).items()
    return bool(wanted) and wanted <= labels


def _there(fit: dict[str, Any]) -> str:
    names = ", ".join(sorted(fit))
    return f"there are: {names}" if names else "there is none: apply workload.yaml of a reference site, for example"


def kubeconfig(cluster: dict[str, Any], access: AwsAccess, *, proxy: str = "", profile: bool = True) -> str:
    """A kubeconfig as `aws eks update-kubeconfig` writes it, with a proxy on the way where one is named.

    `profile`: whether whoever uses it has the profile of the access; an instance has its role alone.
    """
    name, arn = cluster["name"], cluster["arn"]
    command = ["--region", access.region, "eks", "get-token", "--cluster-name", name, "--output", "json"]
    calling: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": command,
        "interactiveMode": "Never",
    }
    if profile and "AWS_PROFILE" in access.env:
        calling["env"] = [{"name": "AWS_PROFILE", "value": access.env["AWS_PROFILE"]}]
    server = {"server": cluster["endpoint"], "certificate-authority-data": cluster["certificateAuthority"]["data"]}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "preferences": {},
            "current-context": arn,
            "clusters": [{"name": arn, "cluster": {**server, **({"proxy-url": proxy} if proxy else {})}}],
            "contexts": [{"name": arn, "context": {"cluster": arn, "user": arn}}],
            "users": [{"name": arn, "user": {"exec": calling}}],
        },
        sort_keys=False,
    )
