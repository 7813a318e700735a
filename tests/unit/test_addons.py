"""Add-ons: upstream's manifests become what EKS installs, and a manifest of another form is refused."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from islanding.errors import SetupError
from islanding.lab import addons

REGISTRY = "602401143452.dkr.ecr.ap-northeast-1.amazonaws.com"

AWS_NODE = """\
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: aws-node, namespace: kube-system}
---
kind: DaemonSet
apiVersion: apps/v1
metadata: {name: aws-node, namespace: kube-system}
spec:
  template:
    spec:
      initContainers:
      - {name: aws-vpc-cni-init, image: "other/amazon-k8s-cni-init:v1", imagePullPolicy: Always}
      containers:
      - name: aws-node
        image: other/amazon-k8s-cni:v1
        env:
        - {name: ENABLE_IPv4, value: "true"}
        - {name: NETWORK_POLICY_ENFORCING_MODE, value: standard}
        - {name: CLUSTER_NAME, value: old}
        volumeMounts: [{name: run-dir, mountPath: /var/run/aws-node}]
      - {name: aws-eks-nodeagent, image: other/agent}
      volumes:
      - {name: run-dir, hostPath: {path: /var/run/aws-node}}
      - {name: bpf-pin-path, hostPath: {path: /sys/fs/bpf}}
"""

KUBE_PROXY = """\
const (
	KubeProxyConfigMap19 = `
kind: ConfigMap
apiVersion: v1
metadata:
  name: {{ .ProxyConfigMap }}
data:
  kubeconfig.conf: |-
    server: {{ .ControlPlaneEndpoint }}
  {{ .ProxyConfigMapKey }}: |-
{{ .ProxyConfig}}
`
	KubeProxyDaemonSet19 = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-proxy}
spec:
  template:
    spec:
      containers:
      - name: kube-proxy
        image: {{ .Image }}
        command: ["--config=/var/lib/kube-proxy/{{ .ProxyConfigMapKey }}"]
`
)
"""

COREDNS = """\
kind: ConfigMap
metadata: {name: coredns}
data: {Corefile: "kubernetes __DNS__DOMAIN__ in-addr.arpa"}
---
kind: Deployment
metadata: {name: coredns}
spec:
  template:
    spec:
      containers: [{name: coredns, image: other, resources: {limits: {memory: __DNS__MEMORY__LIMIT__}}}]
---
kind: Service
metadata: {name: kube-dns}
spec: {clusterIP: __DNS__SERVER__}
"""


def aws_node() -> list[addons.Object]:
    """The VPC CNI's objects as patched for a cluster."""
    return addons.aws_node(
        AWS_NODE, region="ap-northeast-1", endpoint="https://k.example", cluster="closed", vpc="vpc-1"
    )


def of(objects: list[addons.Object], kind: str) -> Any:
    """The only object of a kind."""
    (found,) = (o for o in objects if o["kind"] == kind)
    return found


def test_aws_node_runs_without_the_policy_agent() -> None:
    """One container is left, without the agent's volume, and without the mode that makes the plugin wait for it."""
    pod = of(aws_node(), "DaemonSet")["spec"]["template"]["spec"]
    assert [container["name"] for container in pod["containers"]] == ["aws-node"]
    assert [volume["name"] for volume in pod["volumes"]] == ["run-dir", "ca-bundle"]
    assert "NETWORK_POLICY_ENFORCING_MODE" not in {v["name"] for v in pod["containers"][0]["env"]}


def test_aws_node_knows_its_cluster_and_trusts_the_nodes_certificates() -> None:
    """Each variable is set once, and the file that AWS_CA_BUNDLE names is the node's, mounted."""
    pod = of(aws_node(), "DaemonSet")["spec"]["template"]["spec"]
    env = [(v["name"], v["value"]) for v in pod["containers"][0]["env"]]
    expected = [
        ("ENABLE_IPv4", "true"),
        ("AWS_CA_BUNDLE", addons.CA_BUNDLE),
        ("CLUSTER_ENDPOINT", "https://k.example"),
        ("CLUSTER_NAME", "closed"),
        ("VPC_ID", "vpc-1"),
    ]
    assert expected == env
    assert pod["volumes"][-1]["hostPath"] == {"path": addons.CA_BUNDLE, "type": "File"}
    assert pod["containers"][0]["volumeMounts"][-1]["mountPath"] == addons.CA_BUNDLE


def test_images_come_from_awss_own_registry_of_the_region() -> None:
    """All four images are pulled from there, and only when the node has none."""
    pods = [of(aws_node(), "DaemonSet")["spec"]["template"]["spec"]]
    pods.append(of(addons.kube_proxy(KUBE_PROXY, region="ap-northeast-1", endpoint="e"), "DaemonSet"))
    pods.append(of(addons.coredns(COREDNS, region="ap-northeast-1", cluster_ip="172.20.0.10"), "Deployment"))
    found = [c for pod in pods for c in _containers(pod)]
    expected = [
        f"{REGISTRY}/amazon-k8s-cni-init:v1.23.2",
        f"{REGISTRY}/amazon-k8s-cni:v1.23.2",
        f"{REGISTRY}/eks/kube-proxy:v1.36.3",
        f"{REGISTRY}/eks/coredns:v1.15.0",
    ]
    assert expected == [container["image"] for container in found]
    assert {container["imagePullPolicy"] for container in found} == {"IfNotPresent"}


def _containers(value: Any) -> list[Any]:
    pod = value.get("spec", {}).get("template", {}).get("spec", value)
    return [*pod.get("initContainers", ()), *pod["containers"]]


def test_kube_proxy_is_configured_out_of_kubeadms_source() -> None:
    """The template's fields are filled in: endpoint, mode, and limits that a machine may not set left alone."""
    objects = addons.kube_proxy(KUBE_PROXY, region="r", endpoint="https://k.example", mode="nftables")
    data = of(objects, "ConfigMap")["data"]
    config = yaml.safe_load(data["config.conf"])
    assert (data["kubeconfig.conf"], config["mode"]) == ("server: https://k.example", "nftables")
    assert (config["conntrack"]["maxPerCore"], config["kind"]) == (0, "KubeProxyConfiguration")
    assert of(objects, "ClusterRoleBinding")["subjects"][0]["name"] == of(objects, "ServiceAccount")["metadata"]["name"]


def test_coredns_has_the_clusters_address_and_domain() -> None:
    """Every placeholder is filled in, and there are as many replicas as EKS installs."""
    objects = addons.coredns(COREDNS, region="r", cluster_ip="172.20.0.10")
    deployment = of(objects, "Deployment")["spec"]
    assert of(objects, "Service")["spec"] == {"clusterIP": "172.20.0.10"}
    assert of(objects, "ConfigMap")["data"]["Corefile"] == "kubernetes cluster.local in-addr.arpa"
    assert deployment["replicas"] == 2
    assert deployment["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] == "170Mi"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (KUBE_PROXY.replace("KubeProxyDaemonSet19", "Other"), "no constant KubeProxyDaemonSet19"),
        (KUBE_PROXY.replace(".ControlPlaneEndpoint", ".Unknown"), "a field that is not known: Unknown"),
    ],
)
def test_another_form_of_kubeadms_source_is_refused(source: str, message: str) -> None:
    """A constant that is gone or a field that is new is named: half a manifest would be worse."""
    with pytest.raises(SetupError, match=message):
        addons.kube_proxy(source, region="r", endpoint="e")


def test_another_form_of_the_manifests_is_refused() -> None:
    """A manifest without its workload, or with a placeholder that is new, is named."""
    with pytest.raises(SetupError, match="no DaemonSet aws-node"):
        addons.aws_node("kind: Other\nmetadata: {name: x}\n", region="r", endpoint="e", cluster="c", vpc="v")
    with pytest.raises(SetupError, match="__DNS__NEW__"):
        addons.coredns(COREDNS + "# __DNS__NEW__\n", region="r", cluster_ip="i")


def test_objects_are_written_for_kubectl() -> None:
    """The text holds the same objects, in their order: definitions come before what uses them."""
    assert list(yaml.safe_load_all(addons.to_yaml(aws_node()))) == aws_node()
