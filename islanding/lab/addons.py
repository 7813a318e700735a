"""The objects of an EKS cluster's VPC CNI, kube-proxy and CoreDNS: upstream's manifests, changed as EKS installs them.

All functions are pure; what they return is for `kubectl apply`. The manifests' places: islanding.lab.parts.upstream.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from islanding.errors import SetupError
from islanding.lab import system_images
from islanding.lab.parts import upstream

Object = dict[str, Any]

# Debian's place for all trusted certificates, the lab's among them.
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_NAMESPACE = "kube-system"
_PROXY_KEY = "config.conf"


def image(name: str, region: str) -> str:
    """The full name of an image of AWS's own registry in `region`."""
    return f"{system_images.registry(region)}/{name}"


def all_objects(
    manifests: Path, *, region: str, endpoint: str, cluster: str, vpc: str, cluster_ip: str, ca_bundle: str = CA_BUNDLE
) -> list[Object]:
    """The objects of all three, from the folder of manifests (`Parts.manifests`); parameters as below."""
    text = {name: (manifests / name).read_text() for name in (upstream.AWS_NODE, upstream.CNINODE)}
    return [
        *aws_node(
            text[upstream.AWS_NODE] + "\n---\n" + text[upstream.CNINODE],
            region=region,
            endpoint=endpoint,
            cluster=cluster,
            vpc=vpc,
            ca_bundle=ca_bundle,
        ),
        *kube_proxy((manifests / upstream.KUBE_PROXY).read_text(), region=region, endpoint=endpoint),
        *coredns((manifests / upstream.COREDNS).read_text(), region=region, cluster_ip=cluster_ip),
    ]


def aws_node(
    manifest: str, *, region: str, endpoint: str, cluster: str, vpc: str, ca_bundle: str = CA_BUNDLE
) -> list[Object]:
    """The VPC CNI's objects from its `aws-k8s-cni.yaml`, any definitions appended.

    `endpoint` is the cluster's URL: with it the agent starts before kube-proxy. `cluster` and `vpc` are name and id, as
    the agent's tags and EKS's own DaemonSet have them. `ca_bundle` is the node's file of trusted certificates. The
    network policy agent is left out, and NETWORK_POLICY_ENFORCING_MODE with it: set without the agent, it makes the
    plugin wait for one. Raises SetupError when the manifest has no such DaemonSet.
    """
    objects = _documents(manifest)
    pod = _pod(objects, "DaemonSet", "aws-node")
    pod["containers"] = [container for container in pod["containers"] if container["name"] == "aws-node"]
    pod["volumes"] = [volume for volume in pod["volumes"] if volume["name"] != "bpf-pin-path"]
    (agent,), (init,) = pod["containers"], pod["initContainers"]
    _set_image(agent, system_images.VPC_CNI, region)
    _set_image(init, system_images.VPC_CNI_INIT, region)
    ours = {"AWS_CA_BUNDLE": ca_bundle, "CLUSTER_ENDPOINT": endpoint, "CLUSTER_NAME": cluster, "VPC_ID": vpc}
    replaced = {"NETWORK_POLICY_ENFORCING_MODE", *ours}
    agent["env"] = [variable for variable in agent["env"] if variable["name"] not in replaced]
    agent["env"] += [{"name": name, "value": value} for name, value in ours.items()]
    agent["volumeMounts"].append({"name": "ca-bundle", "mountPath": ca_bundle, "readOnly": True})
    pod["volumes"].append({"name": "ca-bundle", "hostPath": {"path": ca_bundle, "type": "File"}})
    return objects


def kube_proxy(source: str, *, region: str, endpoint: str, mode: str = "iptables") -> list[Object]:
    """kube-proxy's objects from kubeadm's `manifests.go`, where upstream keeps them as text for Go's templates.

    `endpoint` is the cluster's URL, `mode` kube-proxy's own (`iptables` is EKS's default). Account and binding are
    those that kubeadm makes beside them. Raises SetupError when the source has another form than the known one.
    """
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"},
        "mode": mode,
        # The machines share one kernel: none may set its conntrack limits.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    values = {
        "ProxyConfigMap": "kube-proxy",
        "ProxyConfigMapKey": _PROXY_KEY,
        "ControlPlaneEndpoint": endpoint,
        "ProxyConfig": _indent(yaml.safe_dump(config), 4),
        "Image": image(system_images.KUBE_PROXY, region),
    }
    objects = [*_documents(_filled(source, "KubeProxyConfigMap19", values))]
    objects += _documents(_filled(source, "KubeProxyDaemonSet19", values))
    _set_image(_pod(objects, "DaemonSet", "kube-proxy")["containers"][0], system_images.KUBE_PROXY, region)
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "kube-proxy", "namespace": _NAMESPACE},
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "kubeadm:node-proxier"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "system:node-proxier",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "kube-proxy", "namespace": _NAMESPACE}],
        },
        *objects,
    ]


def coredns(
    base: str,
    *,
    region: str,
    cluster_ip: str,
    domain: str = "cluster.local",
    replicas: int = 2,
    memory: str = "170Mi",
) -> list[Object]:
    """CoreDNS's objects from Kubernetes' `coredns.yaml.base`.

    `cluster_ip` is the service's address, which the kubelets give to pods; two replicas and a limit of 170 MiB are what
    EKS installs. Raises SetupError when a placeholder is left over or the manifest has no such Deployment.
    """
    values = {"DNS__DOMAIN": domain, "DNS__SERVER": cluster_ip, "DNS__MEMORY__LIMIT": memory}
    for name, value in values.items():
        base = base.replace(f"__{name}__", value)
    left = re.search(r"__DNS__\w+__", base)
    if left:
        raise SetupError(f"CoreDNS's manifest has a placeholder that is not known: {left[0]}")
    objects = _documents(base)
    _set_image(_pod(objects, "Deployment", "coredns")["containers"][0], system_images.COREDNS, region)
    deployment = next(o for o in objects if o["kind"] == "Deployment")
    deployment["spec"]["replicas"] = replicas
    return objects


def to_yaml(objects: list[Object]) -> str:
    """The objects as one text for `kubectl apply -f -`."""
    return yaml.safe_dump_all(objects, sort_keys=False)


def _documents(text: str) -> list[Object]:
    return [document for document in yaml.safe_load_all(text) if document]


def _pod(objects: list[Object], kind: str, name: str) -> Object:
    for found in objects:
        if found["kind"] == kind and found["metadata"]["name"] == name:
            pod: Object = found["spec"]["template"]["spec"]
            return pod
    raise SetupError(f"the upstream manifest has no {kind} {name}")


def _set_image(container: Object, name: str, region: str) -> None:
    container["image"] = image(name, region)
    container["imagePullPolicy"] = "IfNotPresent"


def _filled(source: str, constant: str, values: dict[str, str]) -> str:
    """The text of a Go string constant with its template's fields filled in."""
    found = re.search(rf"\b{constant}\s*=\s*`([^`]*)`", source)
    if not found:
        raise SetupError(f"kubeadm's source has no constant {constant}")

    def fill(field: re.Match[str]) -> str:
        if field[1] not in values:
            raise SetupError(f"kubeadm's template has a field that is not known: {field[1]}")
        return values[field[1]]

    return re.sub(r"\{\{\s*\.(\w+)\s*\}\}", fill, found[1])


def _indent(text: str, columns: int) -> str:
    return "".join(" " * columns + line for line in text.splitlines(keepends=True))
