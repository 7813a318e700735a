"""The Region as people at the site see it: the ordinary AWS CLI at the operator's desk, metadata on a machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from islanding.model import Site

At = Callable[..., str]


def test_the_operator_is_who_the_credentials_say(site: Site, at: At) -> None:
    """`aws sts get-caller-identity` answers with the role that the operator took."""
    seen = json.loads(at("operator", "aws", "sts", "get-caller-identity"))
    assert site.aws.account == seen["Account"]
    assert ":assumed-role/SiteOperator/operator" in seen["Arn"]


def test_the_cluster_is_described_as_one_on_an_outpost(site: Site, at: At) -> None:
    """`aws eks describe-cluster` gives endpoint, CA and Outpost of the cluster that runs."""
    seen = json.loads(at("operator", "aws", "eks", "describe-cluster", "--name", site.cluster.name))["cluster"]
    assert ("ACTIVE", site.cluster.endpoint) == (seen["status"], seen["endpoint"])
    assert [site.outpost_arn] == seen["outpostConfig"]["outpostArns"]
    assert seen["certificateAuthority"]["data"]


def test_a_kubeconfig_by_the_aws_cli_works(site: Site, at: At) -> None:
    """`aws eks update-kubeconfig` writes one whose token, by `aws eks get-token`, kubectl is let in with."""
    at("operator", "aws", "eks", "update-kubeconfig", "--name", site.cluster.name, "--kubeconfig", "by-aws-cli")
    nodes = at("operator", "kubectl", "--kubeconfig", "by-aws-cli", "get", "nodes", "-o", "name").split()
    assert sorted(f"node/{node.name}" for node in site.nodes) == sorted(nodes)
    at("operator", "rm", "by-aws-cli")


def test_cloudwatch_has_the_outposts_state(site: Site, at: At) -> None:
    """`aws cloudwatch get-metric-statistics` has ConnectedStatus 1 and the sessions Established (6)."""
    now = datetime.now(UTC)
    span = [
        "--start-time",
        (now - timedelta(minutes=5)).isoformat(),
        "--end-time",
        (now + timedelta(minutes=1)).isoformat(),
    ]
    outpost = f"Name=OutpostId,Value={site.facts['outpost_id']}"
    command = ["aws", "cloudwatch", "get-metric-statistics", "--namespace", "AWS/Outposts", *span]
    common = ["--period", "60", "--statistics", "Maximum", "--dimensions", outpost]
    connected = json.loads(at("operator", *command, "--metric-name", "ConnectedStatus", *common))
    assert 1.0 == connected["Datapoints"][-1]["Maximum"]


def test_a_machines_role_is_accepted_by_sts(site: Site, at: At) -> None:
    """Credentials from a worker's metadata service are those of its node role, and STS takes them."""
    script = """
        base=http://169.254.169.254/latest
        token=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' $base/api/token)
        get() { curl -sf -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/iam/security-credentials/$1"; }
        get "$(get '')"
    """
    given = json.loads(at("worker-1", "sh", "-c", script))
    environment = [
        f"AWS_ACCESS_KEY_ID={given['AccessKeyId']}",
        f"AWS_SECRET_ACCESS_KEY={given['SecretAccessKey']}",
        f"AWS_SESSION_TOKEN={given['Token']}",
    ]
    command = ["env", "-u", "AWS_PROFILE", *environment, "aws", "sts", "get-caller-identity", "--output", "json"]
    seen = json.loads(site.place("operator").run(command).stdout)
    instance = next(node.instance_id for node in site.nodes if node.place == "worker-1")
    found = json.loads(at("operator", "aws", "ec2", "describe-instances", "--instance-ids", instance))
    profile = found["Reservations"][0]["Instances"][0]["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    told = json.loads(at("operator", "aws", "iam", "get-instance-profile", "--instance-profile-name", profile))
    role = told["InstanceProfile"]["Roles"][0]["RoleName"]
    assert seen["Arn"].endswith(f":assumed-role/{role}/{instance}")
