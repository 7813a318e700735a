"""C-01: how the site came to be: three stacks, the cluster between them, and the way in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from islanding.aws.calls import call
from islanding.kube.certificates import Operator
from islanding.model import Site

STACKS = ("infrastructure", "control-plane", "workers")
DONE = ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def _stack(site: Site, name: str) -> dict[str, Any]:
    found: dict[str, Any] = call(site, "cloudformation", "describe_stacks", {"StackName": f"{site.name}-{name}"})
    return dict(found["Stacks"][0])


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-01")
def test_three_stacks_with_the_cluster_between(site: Site, evidence: Callable[[str, str], None]) -> None:
    """The stacks are complete with all of their resources; the cluster came after the second, before the third."""
    made = {}
    for name in STACKS:
        stack = _stack(site, name)
        assert stack["StackStatus"] in DONE, stack["StackStatus"]
        resources = call(site, "cloudformation", "describe_stack_resources", {"StackName": stack["StackName"]})
        rows = [
            (r["LogicalResourceId"], r["ResourceType"], r.get("PhysicalResourceId", ""), r["ResourceStatus"])
            for r in resources["StackResources"]
        ]
        evidence(f"stack {stack['StackName']}", "\n".join("  ".join(row) for row in rows))
        assert rows
        assert all(status in DONE and physical for _, _, physical, status in rows), rows
        made[name] = stack["CreationTime"]
    cluster = call(site, "eks", "describe_cluster", {"name": site.cluster.name})["cluster"]
    assert cluster["status"] == "ACTIVE"
    assert made["infrastructure"] <= made["control-plane"] <= cluster["createdAt"] <= made["workers"], (
        made,
        cluster["createdAt"],
    )


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-01")
def test_what_the_stacks_say_is_there(site: Site, evidence: Callable[[str, str], None]) -> None:
    """What CloudFormation calls complete exists: four endpoints, DNS attributes, routes, the bastion's address."""
    facts = site.facts
    there = call(site, "ec2", "describe_vpc_endpoints", {"Filters": _by("vpc-id", facts["vpc_id"])})["VpcEndpoints"]
    kinds = sorted((one["ServiceName"].split(".", 3)[3], one["VpcEndpointType"], one["State"]) for one in there)
    evidence("endpoints", "\n".join("  ".join(kind) for kind in kinds))
    assert kinds == [
        ("ec2", "Interface", "available"),
        ("ecr.api", "Interface", "available"),
        ("ecr.dkr", "Interface", "available"),
        ("s3", "Gateway", "available"),
    ]
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        said = call(site, "ec2", "describe_vpc_attribute", {"VpcId": facts["vpc_id"], "Attribute": attribute})
        assert said[attribute[0].upper() + attribute[1:]]["Value"] is True, attribute
    assert not call(site, "ec2", "describe_internet_gateways", {"Filters": _by("attachment.vpc-id", facts["vpc_id"])})[
        "InternetGateways"
    ]
    for subnet in facts["worker_subnet_ids"].split(","):
        tables = call(site, "ec2", "describe_route_tables", {"Filters": _by("association.subnet-id", subnet)})
        assert [table["RouteTableId"] for table in tables["RouteTables"]] == [facts["worker_route_table_id"]]
    address = call(site, "ec2", "describe_addresses", {"PublicIps": [facts["bastion_public_ip"]]})["Addresses"][0]
    assert address["InstanceId"] == facts["bastion_instance_id"]


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-01")
def test_kubeconfig_and_mappings_let_in(site: Site, operator: Operator, evidence: Callable[[str, str], None]) -> None:
    """The operator's kubeconfig is update-kubeconfig's, aws-auth maps nodes and operator, and nodes have joined."""
    config = operator.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}").stdout
    assert config == site.cluster.endpoint
    mapped = operator.kubectl("get", "configmap", "aws-auth", "-n", "kube-system", "-o", "jsonpath={.data.mapRoles}")
    evidence("aws-auth", mapped.stdout)
    assert site.facts["node_role_arn"] in mapped.stdout
    assert site.facts["operator_role_arn"] in mapped.stdout
    evidence("kubectl get nodes -o wide", operator.kubectl("get", "nodes", "-o", "wide").stdout)
    pods = operator.kubectl("get", "pods", "-n", "kube-system", "-o", "wide").stdout
    evidence("kubectl get pods -n kube-system", pods)
    for system in ("aws-node", "kube-proxy", "coredns"):
        lines = [line for line in pods.splitlines() if line.startswith(system)]
        assert lines, f"no {system}: {pods}"
        assert any(" Running " in line for line in lines), pods


def _by(name: str, value: str) -> list[dict[str, Any]]:
    return [{"Name": name, "Values": [value]}]
