"""An Outpost's site on an account: what its file and AWS tell of it, as places, routers, sessions and facts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from islanding import accountconf, yamldoc
from islanding.accountconf import AccountConf
from islanding.aws.view import Subnet, View, Vpc
from islanding.errors import NotCoveredError, SetupError
from islanding.kube.certificates import Operator
from islanding.model import Identity, Site
from islanding.outpostmap import outpost as drawn
from islanding.probes.of_site import SiteProbes
from islanding.sshconf import Jumps
from islanding.target import discovery, inside, outpost
from islanding.target.state import State
from tests.unit.sites_for_tests import save_site

ARN = "arn:aws:outposts:eu-north-1:123456789012:outpost/op-0123456789abcdef0"
FILE: dict[str, Any] = {
    "name": "mine",
    "like": "outpost-local",
    "account": "123456789012",
    "region": "eu-north-1",
    "cluster": "on-site",
    "routers": [
        {"name": "cnd", "role": "customer-network-device", "asn": 65000, "address": "10.1.1.1", "user": "net"},
        {
            "name": "edge",
            "role": "region-edge",
            "asn": 64512,
            "address": "10.1.1.3",
            "user": "harness",
            "driver": "ios-xe",
            "password_variable": "EDGE",
            "known_hosts": "/etc/known",
        },
    ],
    "sessions": [
        {
            "name": "service-link",
            "router": "cnd",
            "neighbor": "169.254.10.1",
            "neighbor_router": "ond",
            "interface": "sl",
            "prefixes": ["10.20.0.0/26"],
        },
    ],
}
VIFS = (
    {"OutpostId": "op-0123456789abcdef0", "VirtualInterfaceId": "vif-1"},
    {"OutpostsId": "op-0123456789abcdef0", "VirtualInterfaceId": "vif-1"},
    {"OutpostId": "op-0123456789abcdef0", "VirtualInterfaceGroupId": "g", "VirtualInterfaceId": "vif-2"},
    {"OutpostId": "op-00000000000000000", "VirtualInterfaceId": "vif-3"},
)


@pytest.fixture
def key(tmp_path: Path) -> str:
    """The file of a key."""
    (tmp_path / "key").write_text("")
    return str(tmp_path / "key")


def conf_of(key: str, **more: Any) -> AccountConf:
    """A site's file with these keys changed."""
    data = {**FILE, "reach": {"kind": "direct", "key": key}, **more}
    return accountconf.check(yamldoc.parse(yaml.safe_dump(data), Path("mine.yaml")))


def state_of(outposts: tuple[str, ...] = (ARN,), vifs: tuple[dict[str, str], ...] = VIFS) -> State:
    """What AWS says of the account."""
    cluster = {"resourcesVpcConfig": {"vpcId": "vpc-1"}, "roleArn": "arn:aws:iam::123456789012:role/cluster"}
    if outposts:
        cluster["outpostConfig"] = {"outpostArns": list(outposts)}
    view = View(
        "eu-north-1", vpcs=(Vpc("vpc-1", cidrs=("10.2.0.0/16",)),), subnets=(Subnet("s", "vpc-1", "10.2.1.0/24"),)
    )
    return State(cluster, view, vifs=vifs)


def jumps_to(tmp_path: Path) -> Jumps:
    """A way in without a bastion; its sockets' folder has a short path, or ssh could not share connections."""
    return Jumps("", "", ("10.2.1.0/24",), "ec2-user", tmp_path / "key", tmp_path / "known", Path("/run/s"))


def test_routers_resolver_and_region_are_reached_by_ssh(key: str, tmp_path: Path) -> None:
    """As ssh itself reads it: address, port, user and key of each, a key that may not change, one shared connection."""
    conf = conf_of(
        key,
        resolver={"address": "10.1.1.53", "user": "root", "port": 2022},
        region_view={"address": "203.0.113.9", "user": "ec2-user", "key": "/other"},
    )
    config = tmp_path / "config"
    config.write_text(outpost.hosts(conf, jumps_to(tmp_path)) + jumps_to(tmp_path).text())
    read = {name: _settings(config, name) for name in ("cnd", "resolver", "region", "10.2.1.9")}

    wanted = {"cnd": ("10.1.1.1", "22", "net"), "resolver": ("10.1.1.53", "2022", "root")}
    wanted |= {"region": ("203.0.113.9", "22", "ec2-user"), "10.2.1.9": ("10.2.1.9", "22", "ec2-user")}
    assert wanted == {name: (one["hostname"], one["port"], one["user"]) for name, one in read.items()}
    assert "/other" == read["region"]["identityfile"]
    trusts = {name: (one["stricthostkeychecking"], one["controlmaster"]) for name, one in read.items()}
    machine = ("accept-new", "auto")
    assert {"cnd": machine, "resolver": machine, "region": machine, "10.2.1.9": ("false", "false")} == trusts


def _settings(config: Path, host: str) -> dict[str, str]:
    said = subprocess.run(["ssh", "-G", "-F", config, host], capture_output=True, text=True, check=True, timeout=10)
    settings: dict[str, str] = {}
    for line in said.stdout.splitlines():
        name, _, value = line.partition(" ")
        settings.setdefault(name, value)
    return settings


def test_machines_are_entered_as_root(key: str) -> None:
    """By sudo unless the user is root; who looks from the Region stays who they are."""
    conf = conf_of(
        key,
        resolver={"address": "10.1.1.53", "user": "root"},
        region_view={"address": "203.0.113.9", "user": "ec2-user"},
    )
    entered = {place.name: (place.role, place.enter[3:]) for place in outpost.places(conf, Path("/c"))}

    assert {
        "cnd": ("router", ("cnd", "sudo", "-n", "--")),
        "resolver": ("resolver", ("resolver",)),
        "region": ("region", ("region",)),
    } == entered


def test_each_router_has_its_driver(key: str) -> None:
    """FRR by its shell over SSH, the others by a login; no secret is in either."""
    frr, other = outpost.routers(conf_of(key), Path("/c d"))

    assert ("frr", None, ("sudo", "-n", "--", "vtysh")) == (frr.driver, frr.login, frr.vtysh[4:])
    assert "exec ssh -F '/c d' cnd" in frr.vtysh[2]
    assert other.login is not None
    assert ("ios-xe", (), "EDGE", "/etc/known") == (
        other.driver, other.vtysh, other.login.password_variable, other.login.known_hosts
    )  # fmt: skip


def test_what_the_file_does_not_name_is_lacking(key: str, tmp_path: Path) -> None:
    """Cases that ask for it are not covered, and told why; what no case of such a site asks for is not missed."""
    local = outpost.lacking(conf_of(key), in_region=False)
    extended = outpost.lacking(conf_of(key, like="outpost-extended"), in_region=True)
    site = Site.load(save_site(tmp_path, name="mine")).model_copy(update={"lacking": extended})

    assert {"resolver", "expired"} == set(local)
    assert {"region", "operator-by-proxy"} == set(extended)
    with pytest.raises(NotCoveredError, match="the file names nobody in the Region"):
        site.place("region")
    with pytest.raises(NotCoveredError, match="by the address of a proxy"):
        site.identity("operator-by-proxy")


def test_what_is_named_is_not_lacking(key: str) -> None:
    """A whole file lacks nothing."""
    whole = conf_of(
        key,
        resolver={"address": "10.1.1.53", "user": "root"},
        region_view={"address": "203.0.113.9", "user": "me"},
        identities=[{"name": "expired", "kind": "x509", "kubeconfig": "k"}],
    )

    assert {} == outpost.lacking(whole, in_region=True)


def test_a_router_without_frr_is_not_watched(key: str, tmp_path: Path) -> None:
    """Its cases are not covered; the word of its driver is in the reason."""
    conf = conf_of(key, sessions=[{**FILE["sessions"][0], "router": "edge"}])
    site = Site.load(save_site(tmp_path, name="mine")).model_copy(
        update={"routers": outpost.routers(conf, tmp_path), "sessions": outpost.sessions(conf)}
    )

    with pytest.raises(NotCoveredError, match="edge is driven as ios-xe"):
        SiteProbes(site).bgp("service-link")


def test_facts_are_found(key: str) -> None:
    """The Outpost by the cluster, the service link's interface by CloudWatch's dimensions, the resolver by the VPC."""
    found = discovery.discover(conf_of(key, resolver={"address": "10.1.1.53", "user": "root"}), state_of())

    wanted = {
        "vpc_id": "vpc-1",
        "outpost_id": "op-0123456789abcdef0",
        "service_link_vif": "vif-1",
        "metric_period": "60",
        "region_resolver": "10.2.0.2",
        "site_resolver": "10.1.1.53",
        "large_cluster_size_threshold": "100000",
    }
    assert wanted == found.facts
    assert "bucket" not in found.lacking  # no case of these sites asks for it


@pytest.mark.parametrize(
    ("fact", "state", "said"),
    [
        ("outpost_id", state_of(outposts=()), "the file has to say `outpost_arn`"),
        ("service_link_vif", state_of(vifs=()), "there is no virtual interface of op-0123456789abcdef0 in CloudWatch"),
        (
            "service_link_vif",
            state_of(vifs=(*VIFS, {**VIFS[0], "VirtualInterfaceId": "vif-9"})),
            "there are 2, not one",
        ),
        ("site_resolver", state_of(), "the file names no `resolver`"),
    ],
)
def test_what_is_not_found_has_a_reason(key: str, fact: str, state: State, said: str) -> None:
    """None, or several of which nobody guesses one."""
    found = discovery.discover(conf_of(key), state)

    assert said in found.lacking[fact]
    assert fact not in found.facts


@pytest.mark.parametrize(
    "mark",
    [
        {"metadata": {"labels": {inside.LABEL: ""}}},
        {"spec": {"taints": [{"key": inside.TAINT, "effect": "NoSchedule"}]}},
    ],
)
def test_a_local_control_planes_nodes_are_told_apart(mark: dict[str, Any]) -> None:
    """By label or taint; the workers are the others."""

    def item(name: str, address: str, **more: Any) -> dict[str, Any]:
        return {
            "metadata": {"name": name, **more.get("metadata", {})},
            "spec": {"providerID": f"aws:///eu-north-1a/i-{name}", **more.get("spec", {})},
            "status": {"addresses": [{"type": "InternalIP", "address": address}]},
        }

    found = inside.nodes([item("b", "10.2.1.9"), item("a", "10.2.1.5", **mark)])

    assert [("a", "control-plane"), ("b", "worker")] == [(node.name, node.role) for node in found]


def test_a_node_without_a_provider_is_known_by_its_address() -> None:
    """A local control plane's node names no instance; the VPC's instances tell, and none there is a mistake."""
    item = {
        "metadata": {"name": "n"},
        "spec": {},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.2.1.9"}]},
    }

    assert "i-9" == inside.nodes([item], {"10.2.1.9": "i-9"})[0].instance_id
    with pytest.raises(SetupError, match="n is no instance of EC2"):
        inside.nodes([item], {"10.2.1.8": "i-8"})


def test_the_drawing_has_each_end_of_each_wire(key: str) -> None:
    """Routers of the site, peers by the sessions' names, nodes; no wire leads to a figure that is not there."""
    conf = conf_of(key)
    nodes = inside.nodes(
        [
            {
                "metadata": {"name": "n"},
                "spec": {"providerID": "aws:///z/i-1"},
                "status": {"addresses": [{"type": "InternalIP", "address": "10.2.1.9"}]},
            }
        ]
    )
    shown = drawn("10.1.1.10", outpost.routers(conf, Path("/c")), outpost.sessions(conf), nodes, conf.region)
    names = {figure.name for figure in shown.figures}

    assert {"workstation", "cnd", "edge", "ond", "10.2.1.9", "aws"} == names
    assert set() == {end for wire in shown.wires for end in (wire.a, wire.b)} - names
    assert ["service-link"] == [wire.session for wire in shown.wires if wire.session]


def test_a_prepared_certificate_is_for_the_current_context(tmp_path: Path) -> None:
    """A kubeconfig as `aws eks update-kubeconfig` leaves it has many clusters, none of which is named `cluster`."""
    path = tmp_path / "config"
    contexts = [{"name": name, "context": {"cluster": f"arn-of-{name}", "user": "u"}} for name in ("one", "two")]
    clusters = [{"name": f"arn-of-{name}", "cluster": {"server": f"https://{name}"}} for name in ("one", "two")]
    path.write_text(
        yaml.safe_dump(
            {"apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": contexts, "current-context": "two"}
        )
    )
    site = Site.load(save_site(tmp_path / "site", name="mine"))
    who = Identity(name="operator", kind="iam", kubeconfig=str(path))
    made = Operator(site.model_copy(update={"identities": (who,)})).foreign("somebody")
    written = yaml.safe_load(Path(made.kubeconfig).read_text())

    assert "somebody" == written["current-context"]
    assert {"cluster": "arn-of-two", "user": "somebody"} == written["contexts"][0]["context"]
