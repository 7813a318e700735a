"""Probes of a site whose instances are reached by SSH: who samples where, and how each place is entered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from islanding.errors import SetupError
from islanding.model import Identity, Node, Place, Site
from islanding.probes.base import Probe
from islanding.probes.of_site import SiteProbes
from tests.unit.sites_for_tests import save_site


def place(name: str, role: Any) -> Place:
    """An instance that is entered by SSH."""
    return Place(name=name, role=role, address="10.0.2.9", enter=("ssh", "-F", "/c", name), by_ssh=True)


@pytest.fixture
def probes(tmp_path: Path) -> SiteProbes:
    """Probes of a site with a workstation, an operator instance and a worker."""
    site = Site.load(save_site(tmp_path, name="closed"))
    return SiteProbes(
        site.model_copy(
            update={
                "places": (
                    Place(name="desk", role="workstation", address="203.0.113.77", enter=("enter-desk",)),
                    place("operator", "operator"),
                    place("worker-1", "node"),
                ),
                "nodes": (
                    Node(name="ip-10-0-2-9", instance_id="i-1", address="10.0.2.9", role="worker", place="worker-1"),
                ),
                "identities": (
                    Identity(name="operator", kind="iam", kubeconfig="/k/operator"),
                    Identity(name="creator", kind="iam", kubeconfig="/k/creator", place="desk"),
                ),
                "facts": {"ssh_config": "/c"},
            }
        )
    )  # fmt: skip


def fields(probe: Probe, *names: str) -> tuple[Any, ...]:
    """These parameters of a probe."""
    return tuple(probe.to_json()[name] for name in names)


def test_kubectl_runs_where_its_identity_is_used(probes: SiteProbes) -> None:
    """By SSH it is entered from here; at a desk the sampler itself is there."""
    operator = probes.kubectl("get", "svc", identity="operator")
    creator = probes.kubectl("get", "svc", identity="creator")
    nodes = probes.nodes(identity="operator")

    assert fields(operator, "place", "at", "enter") == ("", "operator", ("ssh", "-F", "/c", "operator"))
    assert fields(creator, "place", "at", "enter") == ("desk", "", ())
    assert fields(nodes, "nodes", "enter") == (("ip-10-0-2-9",), ("ssh", "-F", "/c", "operator"))
    assert operator.command().startswith("operator$ kubectl ")


def test_a_place_is_named_as_place_or_as_node(probes: SiteProbes) -> None:
    """The node's name in the cluster leads to the place of its instance."""
    by_node = probes.make("egress", host="198.51.100.10", at="ip-10-0-2-9")
    by_place = probes.make("egress", host="198.51.100.10", at="worker-1")

    assert by_node == by_place
    with pytest.raises(SetupError, match="no place 'worker-9'; there are: desk, operator, worker-1"):
        probes.make("egress", host="198.51.100.10", at="worker-9")


def test_an_experiment_names_a_worker_without_its_name(probes: SiteProbes) -> None:
    """Nodes that come and go have no names that a file could hold: `worker` is one of those there are now."""
    by_role = probes.make("image-pull", image="r/app:v1", node="worker", identity="operator")
    by_name = probes.make("image-pull", image="r/app:v1", node="ip-10-0-2-9", identity="operator")

    assert by_role == by_name
    assert probes.make("egress", host="h", at="worker") == probes.make("egress", host="h", at="worker-1")


def test_hosts_of_the_sites_ssh_configuration_need_no_keys(probes: SiteProbes, tmp_path: Path) -> None:
    """User, address and key of each hop are those that ssh itself would take."""
    config = tmp_path / "config"
    config.write_text(
        "Host bastion\n  HostName 203.0.113.20\nHost operator\n  HostName 10.0.1.5\n"
        "Host *\n  User ec2-user\n  IdentityFile /key\n"
    )
    site = probes.site.model_copy(update={"facts": {"ssh_config": str(config)}})
    login = SiteProbes(site).make("ssh", hops=["bastion", "operator"])

    hops = ("ec2-user@203.0.113.20", "ec2-user@10.0.1.5")
    assert fields(login, "place", "hops", "keys") == ("desk", hops, ("/key",))


def test_a_pull_knows_its_node_and_where_its_log_is(probes: SiteProbes) -> None:
    """kubectl runs as the operator, the pod is pinned to the node, the log is read at the instance."""
    pull = probes.make("image-pull", image="r/app:v1", node="worker-1", identity="operator")

    assert fields(pull, "node", "at", "node_enter", "node_by_ssh") == (
        "ip-10-0-2-9",
        "operator",
        ("ssh", "-F", "/c", "worker-1"),
        True,
    )


def test_a_new_instance_is_entered_by_its_address(probes: SiteProbes) -> None:
    """It is no place of the site yet: the SSH configuration leads to any address of the network."""
    join = probes.make("node-join", instance_id="i-9", identity="operator")

    assert fields(join, "instance_id", "login") == ("i-9", ("ssh", "-F", "/c", "{address}", "sudo", "--"))


def test_logins_start_at_the_users_own_computer(probes: SiteProbes) -> None:
    """The workstation is where the sampler runs; a call of AWS runs at the instance."""
    login = probes.make("ssh", hops=("ec2-user@203.0.113.20",), keys=("/key",))
    call = probes.make("aws-call", args=("ec2", "describe-instances"), at="worker-1")
    name = probes.make("dns", hostname="api.ecr", at="worker-1")

    assert login.place == "desk"
    assert fields(call, "place", "at", "region") == ("", "worker-1", "eu-north-1")
    assert fields(name, "place", "at", "timeout") == ("", "worker-1", 45.0)


@pytest.mark.parametrize(
    ("kind", "parameters", "says"),
    [
        ("image-pull", {"image": "a"}, "image-pull probe: missing 1 required positional argument: 'node'"),
        ("egress", {"host": "a"}, "'at'"),
        ("aws-call", {"args": ("ec2", "x")}, "'at'"),
        ("ssh", {"hops": ("a@b",)}, "1 hops and 0 keys"),
    ],
)
def test_what_is_missing_is_named(probes: SiteProbes, kind: str, parameters: dict[str, Any], says: str) -> None:
    """An experiment that leaves something out is told what."""
    with pytest.raises(SetupError, match=says):
        probes.make(kind, **parameters)


def test_an_identity_has_its_kubeconfig_at_another_place(probes: SiteProbes) -> None:
    """Asked for a place by name, kubectl runs there: with the kubeconfig there, else with the same path."""
    region, who = place("region", "region"), probes.site.identities[0]
    site = probes.site.model_copy(
        update={
            "places": (*probes.site.places, region),
            "identities": (who.model_copy(update={"elsewhere": {"region": "/there"}}),),
        }
    )
    there = SiteProbes(site).nodes(identity="operator", place="region")
    shared = SiteProbes(site).kubectl("get", "svc", identity="operator", place="desk")

    assert ("", "region", "/there", region.enter) == fields(there, "place", "at", "kubeconfig", "enter")
    assert ("desk", "", "/k/operator", ()) == fields(shared, "place", "at", "kubeconfig", "enter")


@pytest.mark.parametrize(("period", "lag"), [("1", 0.0), ("60", 180.0), (None, 180.0)])
def test_slow_metrics_are_waited_for(probes: SiteProbes, period: str | None, lag: float) -> None:
    """CloudWatch may be three periods late on an account; a lab that has a value each second is not."""
    facts = {"metric_period": period} if period else {}

    assert lag == SiteProbes(probes.site.model_copy(update={"facts": facts})).metric_lag
