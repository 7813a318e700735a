"""EKS clusters as AWS shows them, over moto's: created, then activated with the real endpoint and CA of a cluster.

moto drops accessConfig and outpostConfig, and makes up CA, endpoint and OIDC issuer. Node groups and Fargate profiles
stay moto's.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from moto.core.exceptions import AWSError as MotoError
from moto.eks.models import Cluster, EKSBackend, eks_backends

from islanding.lab.region import eks_updates as updates
from islanding.lab.region.eks_cluster import DEFAULT_VERSION, LOCAL_ACCESS, MODES, document, invalid, is_local
from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request, Response
from islanding.lab.region.principals import Principal

_NAME = re.compile(r"^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$")


class Eks:
    """The EKS API of one account and Region; `outpost_exists` tells whether an Outpost's ARN is known."""

    def __init__(self, account: str, region: str, outpost_exists: Callable[[str], bool]) -> None:
        self._account = account
        self._region = region
        self._outpost_exists = outpost_exists

    @property
    def _backend(self) -> EKSBackend:
        return eks_backends[self._account][self._region]

    def answer(self, request: Request, principal: Principal) -> Response | None:
        """Serve what moto gets wrong; None when the request is moto's to answer. Raises AwsError as EKS does."""
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        if parts == ["clusters"] and request.method == "POST":
            return _json({"cluster": document(self._create(_body(request), principal))})
        if parts[0] != "clusters" or len(parts) < 2:
            return None
        cluster = self._find(parts[1])
        if len(parts) == 2 and request.method == "GET":
            return _json({"cluster": document(cluster)})
        if parts[2:] == ["update-config"] and request.method == "POST":
            return _json({"update": updates.update_config(cluster, _body(request))})
        if parts[2:3] == ["updates"]:
            return _json(self._updates(cluster, request, parts[3:]))
        if len(parts) > 2 and request.method == "POST" and is_local(cluster):
            raise invalid(f"Operation is not supported for local Amazon EKS cluster {cluster.name}", cluster.name)
        return None

    def _updates(self, cluster: Cluster, request: Request, rest: list[str]) -> dict[str, Any]:
        if request.method == "POST":
            return {"update": updates.update_version(cluster, _body(request))}
        if rest:
            return {"update": updates.known(cluster, rest[0])}
        return {"updateIds": updates.ids(cluster)}

    def activate(self, name: str, endpoint: str, ca_pem: bytes, cluster_id: str = "") -> None:
        """Make a cluster ACTIVE with the endpoint and CA that it really has.

        `cluster_id` is the id of a local cluster, by which IAM tokens for it are bound (`aws eks get-token
        --cluster-id`); the made-up one stays when it is empty. Raises AwsError for an unknown cluster.
        """
        cluster = self._find(name)
        cluster.endpoint = endpoint
        cluster.certificate_authority = {"data": base64.b64encode(ca_pem).decode()}
        if cluster_id:
            vars(cluster)["id"] = cluster_id
        cluster.status = "ACTIVE"

    def creator(self, name: str) -> str:
        """ARN of the principal that created the cluster, who is always its administrator."""
        return str(vars(self._find(name))["creator_arn"])

    def describe(self, name: str) -> dict[str, Any]:
        """The cluster as DescribeCluster gives it; raises AwsError for an unknown one."""
        return document(self._find(name))

    def all(self) -> list[dict[str, Any]]:
        """Every cluster as DescribeCluster gives it."""
        return [document(cluster) for cluster in list(self._backend.clusters.values())]

    def set_cluster_group(self, name: str, group: str) -> None:
        """Record the security group that the service made for the cluster."""
        cluster = self._find(name)
        cluster.resources_vpc_config = {**cluster.resources_vpc_config, "clusterSecurityGroupId": group}

    def fail(self, name: str, reason: str) -> None:
        """Say that the cluster's control plane did not come up, and why."""
        cluster = self._find(name)
        cluster.status = "FAILED"
        vars(cluster)["issues"] = [{"code": "InternalFailure", "message": reason, "resourceIds": []}]
        updates.fail(cluster, reason)

    def updated(self, name: str) -> None:
        """Say that the cluster's control plane has been replaced by one of the wanted version."""
        cluster = self._find(name)
        cluster.status = "ACTIVE"
        updates.succeed(cluster)

    def _find(self, name: str) -> Cluster:
        cluster = self._backend.clusters.get(name)
        if cluster is None:
            raise AwsError("ResourceNotFoundException", f"No cluster found for name: {name}.", 404, clusterName=name)
        return cluster

    def _create(self, wanted: dict[str, Any], principal: Principal) -> Cluster:
        name = str(wanted.get("name", ""))
        if not _NAME.match(name):
            raise invalid("The cluster name doesn't match the pattern ^[0-9A-Za-z][A-Za-z0-9\\-_]*", name)
        if name in self._backend.clusters:
            raise AwsError("ResourceInUseException", f"Cluster already exists with name: {name}", 409, clusterName=name)
        outpost = wanted.get("outpostConfig")
        access = {
            "bootstrapClusterCreatorAdminPermissions": True,
            "authenticationMode": "CONFIG_MAP",
            **(wanted.get("accessConfig") or {}),
        }
        if outpost:
            self._check_local(name, outpost, access, wanted)
        elif access["authenticationMode"] not in MODES:
            raise invalid(f"Unknown authenticationMode {access['authenticationMode']}", name)
        network = self._network(name, wanted.get("resourcesVpcConfig") or {}, local=bool(outpost))
        service = {
            "serviceIpv4Cidr": "10.100.0.0/16",
            "ipFamily": "ipv4",
            **(wanted.get("kubernetesNetworkConfig") or {}),
        }
        try:
            cluster = self._backend.create_cluster(
                name=name,
                role_arn=str(wanted.get("roleArn", "")),
                resources_vpc_config=network,
                version=str(wanted.get("version") or DEFAULT_VERSION),
                kubernetes_network_config=service,
                logging=wanted.get("logging"),
                client_request_token=wanted.get("clientRequestToken"),
                tags=dict(wanted.get("tags") or {}),
                encryption_config=wanted.get("encryptionConfig"),
                remote_network_config=wanted.get("remoteNetworkConfig"),
            )
        except MotoError as error:
            said = json.loads(getattr(error, "description", "{}"))
            raise invalid(str(said.get("message", error)), name) from error
        issuer = f"https://oidc.eks.{self._region}.amazonaws.com/id/{secrets.token_hex(16).upper()}"
        cluster.status = "CREATING"
        cluster.endpoint = ""
        cluster.certificate_authority = {}
        cluster.identity = {"oidc": {"issuer": issuer}}
        cluster.platformVersion = "eks-local-outposts.1" if outpost else "eks.1"
        extra: dict[str, Any] = {"access_config": access, "creator_arn": principal.role_arn or principal.arn}
        if outpost:
            extra |= {"outpost_config": outpost, "id": str(uuid.uuid4())}
        vars(cluster).update(extra)
        return cluster

    def _check_local(self, name: str, outpost: dict[str, Any], access: dict[str, Any], wanted: dict[str, Any]) -> None:
        if (
            access["authenticationMode"] != "CONFIG_MAP"
            or access["bootstrapClusterCreatorAdminPermissions"] is not True
        ):
            raise invalid(LOCAL_ACCESS, name)
        arns = outpost.get("outpostArns") or []
        if len(arns) != 1 or not outpost.get("controlPlaneInstanceType"):
            raise invalid("outpostConfig needs exactly one Outpost ARN and a controlPlaneInstanceType", name)
        if not self._outpost_exists(arns[0]):
            raise invalid(f"Outpost {arns[0]} does not exist", name)
        # what a local cluster cannot have: docs/facts.md 2; the wording of these two was not seen in a source
        if (wanted.get("resourcesVpcConfig") or {}).get("endpointPublicAccess"):
            raise invalid("Local Amazon EKS cluster only supports private endpoint access", name)
        if wanted.get("encryptionConfig"):
            raise invalid("Local Amazon EKS cluster does not support encryptionConfig", name)

    def _network(self, name: str, wanted: dict[str, Any], *, local: bool) -> dict[str, Any]:
        from moto.ec2.models import ec2_backends  # 0.7 s to import: not at start

        subnets = list(wanted.get("subnetIds") or [])
        if not subnets:
            raise invalid("resourcesVpcConfig needs subnetIds", name)
        known = {subnet.id: subnet for subnet in ec2_backends[self._account][self._region].describe_subnets()}
        for subnet in subnets:
            if subnet not in known:
                raise invalid(f"The subnet ID '{subnet}' does not exist", name)
        public = bool(wanted.get("endpointPublicAccess", not local))
        return {
            "subnetIds": subnets,
            "securityGroupIds": list(wanted.get("securityGroupIds") or []),
            "vpcId": known[subnets[0]].vpc_id,
            "endpointPublicAccess": public,
            "endpointPrivateAccess": bool(wanted.get("endpointPrivateAccess", local)),
            "publicAccessCidrs": list(wanted.get("publicAccessCidrs") or ["0.0.0.0/0"]) if public else [],
        }


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        raise AwsError("InvalidParameterException", "The request's body is not JSON") from None
    if not isinstance(body, dict):
        raise AwsError("InvalidParameterException", "The request's body is not a JSON object")
    return body


def _json(body: dict[str, Any]) -> Response:
    return Response(
        200, (("Content-Type", "application/json"), ("x-amzn-RequestId", str(uuid.uuid4()))), json.dumps(body).encode()
    )
