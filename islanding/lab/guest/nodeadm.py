"""On an instance: joins it to an EKS cluster by the NodeConfig of its user data, as Amazon Linux 2023 for EKS does.

Source of the schema (node.eks.aws/v1alpha1) and of what is logged: awslabs/amazon-eks-ami, nodeadm.
"""

from __future__ import annotations

import argparse
import email
import gzip
import http.client
import ipaddress
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import yaml

METADATA = "169.254.169.254"
KIND = ("node.eks.aws/v1alpha1", "NodeConfig")
MIME = "application/node.eks.aws"
# What the SDK for Go tries again (its retryer's throttle codes, and answers of 500 to 504, by the services' words).
TRANSIENT = re.compile(
    r"An error occurred \((RequestLimitExceeded|Throttling\w*|TooManyRequestsException|InternalError|InternalFailure|"
    r"ServerException|Unavailable|ServiceUnavailable\w*)\)"
)
DEADLINE = 600.0  # seconds that the EC2 and EKS APIs may take to answer
TRY = 20  # seconds that one connection may take
PAUSE = 5.0  # seconds between tries
JOIN = "/etc/eks/join.sh"
MAX_PODS = Path("/etc/eks/eni-max-pods.txt")


class Failed(Exception):
    """What makes nodeadm end, in words."""


def log(level: str, message: str, **more: object) -> None:
    """One line of the log."""
    sys.stdout.write(json.dumps({"level": level, "ts": round(time.time(), 3), "msg": message, **more}) + "\n")
    sys.stdout.flush()


def metadata(path: str) -> bytes | None:
    """What the metadata service has at a path; None when there is no such thing."""
    try:
        _, token = exchange("PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
        status, body = exchange("GET", f"/latest/{path}", {"X-aws-ec2-metadata-token": token.decode()})
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"metadata service: {error}") from error
    if status not in (200, 404):
        raise Failed(f"metadata service: {path}: {status}")
    return body if status == 200 else None


def exchange(method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """One request to the metadata service: status and body."""
    connection = http.client.HTTPConnection(METADATA, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def text_of(path: str) -> str:
    """The text that the metadata service must have at a path."""
    found = metadata(path)
    if found is None:
        raise Failed(f"metadata service has no {path}")
    return found.decode()


def node_configs(data: bytes) -> list[dict[str, Any]]:
    """The NodeConfig documents of user data: plain, or parts of a MIME multi-part document; others are left alone."""
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    message = email.message_from_bytes(data)
    if message.is_multipart():
        raw = [part.get_payload(decode=True) for part in message.walk() if part.get_content_type() == MIME]
        texts = [part for part in raw if isinstance(part, bytes)]
    elif message.get_content_type() == MIME:
        payload = message.get_payload(decode=True)
        texts = [payload] if isinstance(payload, bytes) else []
    else:
        texts = [] if data.startswith(b"#") and b"apiVersion: node.eks.aws" not in data else [data]
    found = []
    for text in texts:
        try:
            documents = list(yaml.safe_load_all(text))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            if b"node.eks.aws" in text:
                raise Failed(f"could not parse NodeConfig: {error}") from error
            continue  # some other kind of user data
        found += [d for d in documents if isinstance(d, dict) and (d.get("apiVersion"), d.get("kind")) == KIND]
    return found


def merged(configs: list[dict[str, Any]]) -> dict[str, Any]:
    """Several NodeConfigs as one: mappings are merged, lists joined, later values win."""
    result: dict[str, Any] = {}
    for config in configs:
        _merge(result, config)
    return result


def _merge(into: dict[str, Any], what: dict[str, Any]) -> None:
    for key, value in what.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            into[key] = [*old, *value]
        else:
            into[key] = value


def section(parent: Any, name: str) -> dict[str, Any]:
    """A mapping inside another one; empty when it is not there."""
    found = parent.get(name) if isinstance(parent, dict) else None
    return found if isinstance(found, dict) else {}


def call(operation: str, *arguments: str) -> Any:
    """Call AWS until it answers or the deadline has passed; raises Failed in the words of AWS's SDK for Go."""
    service = {"describe-instances": "EC2", "describe-cluster": "EKS"}[operation]
    title = "".join(word.title() for word in operation.split("-"))
    command = ["aws", service.lower(), operation, "--output", "json", "--cli-connect-timeout", str(TRY), *arguments]
    end = time.monotonic() + DEADLINE
    while True:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, "AWS_MAX_ATTEMPTS": "1"}
        )
        if done.returncode == 0:
            return json.loads(done.stdout)
        said = done.stderr.strip()
        if "An error occurred (" in said and not TRANSIENT.search(said):
            raise Failed(f"operation error {service}: {title}, https response error: {said}")
        log("warn", f"{title} did not succeed, will try again", error=said)
        if time.monotonic() + PAUSE > end:
            raise Failed(
                f"operation error {service}: {title}, https response error StatusCode: 0, RequestID: , canceled, "
                "context deadline exceeded"
            )
        threading.Event().wait(PAUSE)


def instance_details(region: str) -> str:
    """The instance's private DNS name, which is the node's name; EC2 is asked for it."""
    log("info", "Fetching instance details..")
    instance = text_of("meta-data/instance-id")
    found = call("describe-instances", "--region", region, "--instance-ids", instance)
    try:
        name = found["Reservations"][0]["Instances"][0]["PrivateDnsName"]
    except (KeyError, IndexError) as error:
        raise Failed(f"EC2 does not know {instance}") from error
    log("info", "Instance details populated", details={"id": instance, "region": region, "privateDnsName": name})
    return str(name)


def cluster_details(cluster: dict[str, Any], region: str) -> None:
    """Fill in endpoint, certificate authority and service range from the EKS API."""
    log("info", "Fetching cluster details..")
    found = call("describe-cluster", "--region", region, "--name", str(cluster["name"]))["cluster"]
    cluster.setdefault("apiServerEndpoint", found.get("endpoint"))
    cluster.setdefault("certificateAuthority", section(found, "certificateAuthority").get("data"))
    cluster.setdefault("cidr", section(found, "kubernetesNetworkConfig").get("serviceIpv4Cidr"))


def validate(cluster: dict[str, Any]) -> None:
    """Raise Failed for what a cluster's section must have."""
    for key, words in (
        ("name", "Name"),
        ("apiServerEndpoint", "Apiserver endpoint"),
        ("certificateAuthority", "Certificate authority"),
        ("cidr", "CIDR"),
    ):
        if not cluster.get(key):
            raise Failed(f"{words} is missing in cluster configuration")


def dns_address(cidr: str) -> str:
    """The cluster's DNS service: the tenth address of the service range."""
    try:
        return str(ipaddress.ip_network(cidr, strict=False)[10])
    except (ValueError, IndexError) as error:
        raise Failed(f"CIDR in cluster configuration: {error}") from error


def max_pods() -> str:
    """The limit of pods by the instance's type; empty when it is not known."""
    kind = text_of("meta-data/instance-type")
    lines = MAX_PODS.read_text().splitlines() if MAX_PODS.exists() else []
    limits = dict(line.split()[:2] for line in lines if len(line.split()) >= 2 and not line.startswith("#"))
    return limits.get(kind, "")


def join(config: dict[str, Any], name: str) -> None:
    """Write the node's files and start its units."""
    spec = section(config, "spec")
    cluster, kubelet = section(spec, "cluster"), section(spec, "kubelet")
    environment = {
        "CLUSTER": str(cluster["name"]),
        "ENDPOINT": str(cluster["apiServerEndpoint"]),
        "CA": str(cluster["certificateAuthority"]),
        "DNS_IP": dns_address(str(cluster["cidr"])),
        "MAX_PODS": max_pods(),
        "EXTRA": " ".join(str(flag) for flag in kubelet.get("flags") or []),
        "NODE": name,
        "LOCAL": "true" if cluster.get("enableOutpost") else "false",
        "ID": str(cluster.get("id") or ""),
    }
    if own := section(kubelet, "config"):
        head = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
        environment["KUBELET_CONFIG"] = json.dumps({**head, **own})
    log("info", "Configuring daemons...")
    done = subprocess.run([JOIN], env={**os.environ, **environment}, check=False)
    if done.returncode != 0:
        raise Failed(f"{JOIN} ended with exit code {done.returncode}")
    log("info", "Daemons are running")


def load(source: str) -> dict[str, Any]:
    """The NodeConfig of a source, `imds://user-data` or `file://PATH`; empty when it holds none."""
    if source.startswith("file://"):
        data = Path(source.removeprefix("file://")).read_bytes()
    else:
        data = metadata("user-data") or b""
    return merged(node_configs(data))


def init(source: str) -> None:
    """Join the cluster of the NodeConfig; raises Failed."""
    log("info", "Loading configuration..", configSource=source)
    config = load(source)
    if not config:
        raise Failed("no NodeConfig in user data")
    log("info", "Loaded configuration")
    log("info", "Enriching configuration..")
    region = text_of("meta-data/placement/region")
    name = instance_details(region)
    cluster = section(section(config, "spec"), "cluster")
    if cluster.get("name") and not (cluster.get("apiServerEndpoint") and cluster.get("certificateAuthority")):
        cluster_details(cluster, region)
    log("info", "Validating configuration..")
    validate(cluster)
    join(config, name)


def main() -> int:
    """The command: `init` joins, `has-config` says by its exit code whether there is anything to join by."""
    parser = argparse.ArgumentParser(prog="nodeadm")
    parser.add_argument("command", choices=("init", "has-config"))
    parser.add_argument("-c", "--config-source", default="imds://user-data")
    arguments = parser.parse_args()
    try:
        if arguments.command == "has-config":
            return 0 if load(arguments.config_source) else 1
        init(arguments.config_source)
    except (Failed, OSError) as error:
        log("fatal", "Command failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
