"""Updates of a cluster: what EKS lets be changed, and the record that DescribeUpdate shows."""

from __future__ import annotations

import uuid
from typing import Any

from moto.eks.models import Cluster

from islanding.lab.region.eks_cluster import DEFAULT_VERSION, LOCAL_ACCESS, MODES, invalid, is_local
from islanding.lab.region.errors import AwsError

_CHANGEABLE = {
    "resourcesVpcConfig": "EndpointAccessUpdate",
    "logging": "LoggingUpdate",
    "accessConfig": "AccessConfigUpdate",
}


def update_config(cluster: Cluster, wanted: dict[str, Any]) -> dict[str, Any]:
    """Change one thing of the configuration, at once; returns the update. Raises AwsError as EKS does."""
    _check_active(cluster)
    changed = [key for key in wanted if key in _CHANGEABLE]
    if len(changed) != 1:
        raise invalid(
            "Exactly one of resourcesVpcConfig, logging and accessConfig can be updated at a time", cluster.name
        )
    if access := wanted.get("accessConfig"):
        _change_mode(cluster, str(access.get("authenticationMode", "")))
    if network := wanted.get("resourcesVpcConfig"):
        if is_local(cluster) and network.get("endpointPublicAccess"):
            raise invalid("Local Amazon EKS cluster only supports private endpoint access", cluster.name)
        cluster.resources_vpc_config = {**cluster.resources_vpc_config, **network}
    if logging := wanted.get("logging"):
        cluster.logging = logging
    return _record(cluster, _CHANGEABLE[changed[0]], "Successful")


def update_version(cluster: Cluster, wanted: dict[str, Any]) -> dict[str, Any]:
    """Begin to go up by one minor version, never down (EKS user guide); returns the update, which is in progress.

    Raises AwsError as EKS does.
    """
    version = str(wanted.get("version", ""))
    _check_active(cluster)
    if version == cluster.version:
        raise invalid(f"Cluster is already at the desired configuration with version {version}", cluster.name)
    if version != _next_minor(str(cluster.version)) or version > DEFAULT_VERSION:
        step = f"from {cluster.version} to {version}"
        raise invalid(f"Unsupported Kubernetes minor version update {step}", cluster.name)
    cluster.version = version
    cluster.status = "UPDATING"
    return _record(cluster, "VersionUpdate", "InProgress", [{"type": "Version", "value": version}])


def ids(cluster: Cluster) -> list[str]:
    """The ids of all updates that there were, the first one first."""
    return list(_updates(cluster))


def known(cluster: Cluster, update: str) -> dict[str, Any]:
    """The update of that id; raises AwsError when there is none."""
    found = _updates(cluster).get(update)
    if found is None:
        raise AwsError("ResourceNotFoundException", f"No update found for ID: {update}", 404, clusterName=cluster.name)
    return found


def succeed(cluster: Cluster) -> None:
    """Say that what was in progress is done."""
    for update in _in_progress(cluster):
        update["status"] = "Successful"


def fail(cluster: Cluster, reason: str) -> None:
    """Say that what was in progress has failed, and why."""
    for update in _in_progress(cluster):
        update["status"] = "Failed"
        update["errors"] = [{"errorCode": "Unknown", "errorMessage": reason, "resourceIds": []}]


def _in_progress(cluster: Cluster) -> list[dict[str, Any]]:
    return [update for update in _updates(cluster).values() if update["status"] == "InProgress"]


def _updates(cluster: Cluster) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = vars(cluster).setdefault("updates", {})
    return found


def _record(cluster: Cluster, kind: str, status: str, params: list[dict[str, str]] | None = None) -> dict[str, Any]:
    update = {"id": str(uuid.uuid4()), "status": status, "type": kind, "params": params or [], "errors": []}
    _updates(cluster)[str(update["id"])] = update
    return update


def _check_active(cluster: Cluster) -> None:
    if cluster.status != "ACTIVE":
        raise AwsError("ResourceInUseException", f"Cluster {cluster.name} is not ACTIVE", 409, clusterName=cluster.name)


def _change_mode(cluster: Cluster, mode: str) -> None:
    if is_local(cluster):
        raise invalid(LOCAL_ACCESS, cluster.name)
    access = vars(cluster)["access_config"]
    if mode not in MODES or MODES.index(mode) < MODES.index(access["authenticationMode"]):
        raise invalid(
            f"Unsupported authentication mode update from {access['authenticationMode']} to {mode}", cluster.name
        )
    access["authenticationMode"] = mode


def _next_minor(version: str) -> str:
    major, minor = version.split(".")[:2]
    return f"{major}.{int(minor) + 1}"
