"""A cluster as moto keeps it, with what moto drops, and as DescribeCluster shows it."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from moto.eks.models import Cluster

from islanding.lab.region.errors import AwsError

LOCAL_ACCESS = (  # docs/facts.md 2, seen in eksctl's issue 7552
    "Local Amazon EKS cluster only supports bootstrapClusterCreatorAdminPermissions=true and "
    "authenticationMode=CONFIG_MAP"
)
DEFAULT_VERSION = "1.36"
MODES = ("CONFIG_MAP", "API_AND_CONFIG_MAP", "API")  # a change goes to the right only (docs/facts.md 1)


def document(cluster: Cluster) -> dict[str, Any]:
    """The cluster as DescribeCluster gives it."""
    state = vars(cluster)
    shown: dict[str, Any] = {
        "name": cluster.name,
        "arn": cluster.arn,
        "createdAt": cluster.created_at.replace(tzinfo=UTC).timestamp(),
        "version": cluster.version,
        "roleArn": cluster.role_arn,
        "resourcesVpcConfig": cluster.resources_vpc_config,
        "kubernetesNetworkConfig": cluster.kubernetes_network_config,
        "logging": cluster.logging,
        "identity": cluster.identity,
        "status": cluster.status,
        "certificateAuthority": cluster.certificate_authority,
        "platformVersion": cluster.platformVersion,
        "tags": cluster.tags,
        "accessConfig": state.get("access_config"),
        "upgradePolicy": {"supportType": "EXTENDED"},
        "endpoint": cluster.endpoint or None,
        "id": state.get("id"),
        "outpostConfig": state.get("outpost_config"),
        "encryptionConfig": cluster.encryption_config or None,
        "clientRequestToken": cluster.client_request_token,
        "health": {"issues": state.get("issues", [])},
    }
    return {key: value for key, value in shown.items() if value is not None}


def is_local(cluster: Cluster) -> bool:
    """Whether its control plane is on an Outpost."""
    return bool(vars(cluster).get("outpost_config"))


def invalid(message: str, name: str) -> AwsError:
    """What EKS answers to parameters that it does not take, for the cluster of that name."""
    return AwsError("InvalidParameterException", message, 400, clusterName=name)
