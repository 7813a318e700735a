"""What the EKS service and its first user do to a fresh cluster: base objects, kubeconfigs, the workload."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from islanding.lab.control_plane import kubeconfig, private_dns_name
from islanding.lab.machine import Machine
from islanding.process import Result, run
from islanding.wait import wait_until

if TYPE_CHECKING:
    from islanding.lab.bringup import Lab

KUBECTL = "/opt/islanding/bin/kubectl"
OPERATOR = "operator"
PATIENCE = 300.0  # seconds for a step of a bring-up: a machine with full cores takes minutes, as EKS itself does


def wait_for_api(machine: Machine, timeout: float = PATIENCE) -> None:
    """Wait until the API server of a control-plane machine says that it is ready."""
    probe = ["curl", "--silent", "--insecure", "--max-time", "5", "https://127.0.0.1/readyz"]
    wait_until(
        f"the API server of {machine.name} to be ready",
        lambda: machine.run(probe, check=False).stdout,
        timeout=timeout,
        interval=0.2,
        done=lambda answer: answer == "ok",
    )


def admin(lab: Lab, *arguments: str, stdin: str = "", timeout: float = 60.0) -> Result:
    """Run kubectl as the service itself, on the first control-plane machine."""
    return lab.world.eks.admin(lab.conf.cluster.name, *arguments, stdin=stdin, timeout=timeout)


def _binding(name: str, role: str, group: str = "", user: str = "") -> dict[str, Any]:
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group" if group else "User", "name": group or user}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def service_objects() -> list[dict[str, Any]]:
    """What must be there before a node can join: the service makes these, not the user."""
    csr = "system:certificates.k8s.io:certificatesigningrequests"
    reader = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "eks:authenticator"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}],
    }
    return [
        reader,
        _binding("eks:authenticator", "eks:authenticator", user="aws-iam-authenticator"),
        _binding("eks:node-bootstrapper", "system:node-bootstrapper", group="system:bootstrappers"),
        _binding("eks:approve-node-client", f"{csr}:nodeclient", group="system:bootstrappers"),
        _binding("eks:approve-node-renewal", f"{csr}:selfnodeclient", group="system:nodes"),
        _binding("eks:kube-proxy", "system:node-proxier", group="system:nodes"),
    ]


def iam_kubeconfig(lab: Lab, profile: str, server: str = "", tls_server_name: str = "") -> dict[str, Any]:
    """A kubeconfig whose user is an AWS profile, by the IAM authenticator's own token command."""
    cluster: dict[str, Any] = {
        "server": server or f"https://{lab.endpoint_name}",
        "certificate-authority-data": base64.b64encode(lab.hosted.ca.certificate_pem).decode(),
    }
    if tls_server_name:
        cluster["tls-server-name"] = tls_server_name
    execute = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": str(lab.parts.bin_dir / "aws-iam-authenticator"),
        "args": ["token", "-i", lab.token_id, "--region", lab.conf.region.name],
        "env": [{"name": "AWS_PROFILE", "value": profile}, {"name": "AWS_STS_REGIONAL_ENDPOINTS", "value": "regional"}],
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": profile, "user": {"exec": execute}}],
        "contexts": [{"name": profile, "context": {"cluster": "cluster", "user": profile}}],
        "current-context": profile,
    }


def kubeconfig_path(lab: Lab, identity: str) -> Path:
    """Where an identity's kubeconfig lies on the operator's desk."""
    return lab.folder / "desks" / OPERATOR / f"{identity}.kubeconfig"


def write_kubeconfigs(lab: Lab) -> None:
    """Give the operator's desk its kubeconfigs: the cluster's creator and a stranger, both by IAM."""
    from islanding.lab import underlay

    for profile in ("operator", "stranger"):
        kubeconfig_path(lab, profile).write_text(yaml.safe_dump(iam_kubeconfig(lab, profile)))
    # Somebody's certificate of before, which nobody renewed: only the cluster's own authority can have made it.
    old = lab.hosted.ca.issue("admin-of-before", ["system:masters"], server=False, client=True, days=-1)
    expired = kubeconfig(f"https://{lab.endpoint_name}", lab.hosted.ca.certificate_pem, old)
    kubeconfig_path(lab, "expired").write_bytes(expired)
    proxy = underlay.gateway_instance(lab.conf)
    if proxy:
        by_proxy = iam_kubeconfig(lab, "operator", f"https://{proxy}", lab.endpoint_name)
        kubeconfig_path(lab, "operator-by-proxy").write_text(yaml.safe_dump(by_proxy))


def desk_environment(lab: Lab, desk: str) -> dict[str, str]:
    """The environment of somebody who sits at a desk."""
    return lab.world.access.desk_environment(OPERATOR, lab.folder / "desks" / desk)


def at_desk(lab: Lab, desk: str, command: list[str], *, stdin: str | None = None, timeout: float = 60.0) -> Result:
    """Run a command at a desk, from inside the lab, as its user would."""
    environment = [f"{k}={v}" for k, v in desk_environment(lab, desk).items()]
    whole = [*lab.desks[desk].enter(), "env", *environment, *command]
    return run(whole, stdin=stdin, timeout=timeout, host=desk)


def node_name(lab: Lab, address: str) -> str:
    """The name in the cluster of the machine with this address: its private DNS name, as on EKS."""
    return private_dns_name(address, lab.conf.region.name)


def wait_for_nodes(lab: Lab, timeout: float = PATIENCE) -> None:
    """Wait until every worker is Ready and, on a local cluster, every control-plane node is registered."""
    present = [node_name(lab, a) for a in lab.control_plane_addresses] if lab.local else []
    workers = [node_name(lab, str(w.address)) for w in lab.workers]
    wanted = {f"node/{n}" for n in (*workers, *present)}
    wait_until(
        f"{len(wanted)} nodes to register",
        lambda: set(admin(lab, "get", "nodes", "-o", "name").stdout.split()),
        timeout=timeout,
        interval=0.3,
        done=lambda registered: wanted <= registered,
    )
    for name in present:
        roles = [f"node-role.kubernetes.io/{role}=" for role in ("control-plane", "master")]
        admin(lab, "label", "--overwrite", "node", name, *roles)
    ready = [f"node/{n}" for n in workers]
    admin(lab, "wait", "--for=condition=Ready", *ready, f"--timeout={timeout:g}s", timeout=timeout + 10)


def deploy_workload(lab: Lab, timeout: float = PATIENCE) -> None:
    """Apply the site's manifest as the operator and wait until the workload answers at every worker's node port."""
    workload = lab.conf.workload
    manifest = (lab.site_folder / workload.manifest).read_text()
    kubectl = [str(lab.parts.bin_dir / "kubectl"), f"--kubeconfig={kubeconfig_path(lab, 'operator')}"]
    wait_until(  # the default service account is made by a controller that may still be starting
        "the default service account",
        lambda: admin(lab, "get", "serviceaccount", "default", "--ignore-not-found", "-o", "name").stdout,
        timeout=timeout,
    )
    wait_until(  # who reaches the cluster through the instance at the edge has to wait for that
        "the operator to reach the cluster",
        lambda: at_desk(lab, OPERATOR, [*kubectl, "apply", "-f", "-"], stdin=manifest).ok,
        timeout=timeout,
        interval=0.5,
    )
    admin(lab, "rollout", "status", f"deployment/{workload.name}", f"--timeout={timeout:g}s", timeout=timeout + 10)
    for worker in lab.workers:
        url = f"http://{worker.address}:{workload.node_port}/"
        wait_until(
            f"the workload at {url}",
            lambda url=url: at_desk(lab, _client(lab), ["curl", "-sf", "-m", "2", url]).ok,  # type: ignore[misc]  # a default in a lambda
            timeout=timeout,
            interval=0.1,
        )


def _client(lab: Lab) -> str:
    return next(d.name for d in lab.conf.desks if d.role == "client")
