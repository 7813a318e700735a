"""A site whose nodes come and go: its description follows the cluster's list of nodes."""

from __future__ import annotations

from typing import Any

from islanding.aws import bucket, versions
from islanding.kube.current import instance_of, is_ready, of_instances, serving, with_nodes
from islanding.lab.node_lifecycle import NodeLifecycle, nodes_of
from islanding.model import AwsAccess, Cluster, Node, Place, Site, Timers, Workload
from islanding.process import Result


def _item(address: str, instance: str, *, ready: bool = True) -> dict[str, Any]:
    return {
        "metadata": {"name": f"node-{address}"},
        "spec": {"providerID": f"aws:///ap-northeast-1a/{instance}"},
        "status": {
            "addresses": [{"type": "Hostname", "address": "x"}, {"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def _site() -> Site:
    return Site(
        name="closed-vpc",
        target="lab",
        id="a1",
        folder="/nowhere",
        cluster=Cluster(
            name="c",
            arn="arn:c",
            version="1.35",
            endpoint="https://c.test",
            control_plane="region",
            control_plane_addresses=(),
            service_cidr="172.20.0.0/16",
            pod_cidr="10.20.0.0/16",
        ),
        workload=Workload(name="web", namespace="default", replicas=3, url="http://10.20.0.8:30080/", image="web:1"),
        aws=AwsAccess(region="ap-northeast-1", account="123456789012"),
        timers=Timers(bgp_hold=3, node_grace=16, eviction=10),
        places=(Place(name="10.20.0.8", role="node", address="10.20.0.8"),),
        nodes=(Node(name="gone", instance_id="i-0", address="10.20.0.9", role="worker", place="10.20.0.9"),),
        facts={"asg": "group", "ssh_config": "/nowhere/ssh_config"},
    )


def test_nodes_are_those_of_the_cluster_in_the_order_of_addresses() -> None:
    """Nodes that are gone go, new ones come with a place to enter them, known places stay as they are."""
    now = with_nodes(_site(), [_item("10.20.16.4", "i-2"), _item("10.20.0.8", "i-1")])
    assert [(node.address, node.instance_id) for node in now.workers] == [("10.20.0.8", "i-1"), ("10.20.16.4", "i-2")]
    assert now.place("10.20.0.8") is _site().place("10.20.0.8") or now.place("10.20.0.8").enter == ()
    assert now.place("10.20.16.4").enter == ("ssh", "-F", "/nowhere/ssh_config", "10.20.16.4", "sudo", "--")


def test_workload_is_asked_at_the_same_node_while_it_is_ready() -> None:
    """The URL moves to another node only when the former one is not Ready or not there."""
    both = [_item("10.20.0.4", "i-3"), _item("10.20.0.8", "i-1")]
    assert with_nodes(_site(), both).workload.url == "http://10.20.0.8:30080/"
    unwell = [_item("10.20.0.4", "i-3"), _item("10.20.0.8", "i-1", ready=False)]
    assert with_nodes(_site(), unwell).workload.url == "http://10.20.0.4:30080/"
    assert with_nodes(_site(), []).workload.url == "http://10.20.0.8:30080/"


def test_a_service_leads_to_the_nodes_of_its_ready_pods() -> None:
    """Slices without endpoints count for nothing; a pod that is not ready is led to no more."""
    ends = [
        {"nodeName": "a", "conditions": {"ready": True}},
        {"nodeName": "gone", "conditions": {"ready": False}},
        {"nodeName": "b", "conditions": {}},  # the API says: to be taken as ready
    ]
    assert serving([{"endpoints": ends}, {"endpoints": None}]) == {"a", "b"}


def test_nodes_are_told_by_their_instances() -> None:
    """A node belongs to the instance of its providerID; one that has none belongs to nobody."""
    items = [_item("10.20.0.4", "i-3"), _item("10.20.0.8", "i-1"), {"metadata": {"name": "odd"}}]
    assert [item["metadata"]["name"] for item in of_instances(items, {"i-1"})] == ["node-10.20.0.8"]
    assert instance_of(items[2]) == ""
    assert [is_ready(item) for item in items] == [True, True, False]
    assert nodes_of(items, {"i-3", "i-9"}) == ["node-10.20.0.4"]


def test_bucket_policy_names_the_endpoint_of_now() -> None:
    """Every endpoint's id in a policy becomes the one that there is, and nothing else changes."""
    assert bucket.named('{"aws:sourceVpce": "vpce-0a1b"}', "vpce-2") == '{"aws:sourceVpce": "vpce-2"}'
    assert bucket.named('{"Action": "s3:GetObject"}', "vpce-2") == '{"Action": "s3:GetObject"}'


def test_drift_is_what_was_known_and_is_another() -> None:
    """A version that changed or went is told; one that nobody knew before is not."""
    before = {"cluster version": "1.35", "platform version": "eks.1"}
    assert versions.drift(before, {"cluster version": "1.36", "platform version": "eks.1"}) == (
        "cluster version: 1.35, now 1.36",
    )
    assert versions.drift(before, {"cluster version": "1.35"}) == ("platform version: eks.1, now none",)
    assert versions.drift({}, before) == ()


class _State:
    def __init__(self, id: str, state: str) -> None:
        self.id, self.state = id, state


def test_nodes_of_terminated_instances_are_deleted_once() -> None:
    """The service deletes the node of an instance that is gone, tries again when it could not, and then never again."""
    asked: list[tuple[str, ...]] = []
    away = True
    states = [_State("i-1", "running"), _State("i-3", "terminated")]

    def admin(cluster: str, *args: str, timeout: float) -> Result:
        if away:
            raise TimeoutError(cluster)
        asked.append(args[:3])
        return Result((), 0, '{"items": [{"metadata": {"name": "n3"}, "spec": {"providerID": "aws:///z/i-3"}}]}', "")

    lifecycle = NodeLifecycle(instances=lambda: states, clusters=lambda: ["c"], admin=admin)  # type: ignore[arg-type,return-value]  # a stand-in with what is asked of it
    lifecycle.follow()
    assert asked == []
    away = False
    lifecycle.follow()
    lifecycle.follow()
    assert asked == [("get", "nodes", "-o"), ("delete", "node", "n3")]
