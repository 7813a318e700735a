"""What is laid on the machines' disks: certificates that fit, units that start, user data that a shell understands."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from islanding import siteconf
from islanding.lab import node, proxy
from islanding.lab.control_plane import TAINT, ControlPlane, private_dns_name
from islanding.lab.dns import ResolverConfig
from islanding.lab.machine import MachineFile, enabled
from islanding.lab.pki import Authority
from islanding.siteconf import SiteConf


@pytest.fixture(scope="module")
def conf() -> SiteConf:
    """The reference site with its control plane on the Outpost."""
    return siteconf.load(siteconf.find("outpost-local"))


def plane(conf: SiteConf, *, local: bool = True, machines: int = 3) -> ControlPlane:
    """A control plane of that many machines."""
    addresses = [str(i.address) for i in conf.instances if i.role == "control-plane"][:machines]
    return ControlPlane(
        cluster=conf.cluster,
        ca=Authority.create("cluster"),
        endpoint_name="ABC.gr7.ap-northeast-1.eks.amazonaws.com",
        machines={f"cp-{n}": address for n, address in enumerate(addresses, start=1)},
        local=local,
        token_id="the-id",  # noqa: S106 - an id, not a secret
        region=conf.region.name,
        creator_arn="arn:aws:iam::111122223333:role/SiteOperator",
    )


def flags(unit: MachineFile) -> dict[str, str]:
    """The flags of a unit's command."""
    command = next(line for line in unit.content.decode().splitlines() if line.startswith("ExecStart="))
    words = shlex.split(command.removeprefix("ExecStart="))[1:]
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def certificate(pem: bytes) -> x509.Certificate:
    """A certificate from PEM."""
    return x509.load_pem_x509_certificate(pem)


def test_a_leaf_is_signed_by_its_authority_and_says_who_it_is() -> None:
    """Subject, groups, names, usages and key belong together; another authority's signature does not fit."""
    authority = Authority.create("one")
    leaf = authority.issue("admin", ["system:masters"], dns=["a.example"], ips=["10.0.0.1"], server=False, client=True)
    seen, ca = certificate(leaf.certificate_pem), certificate(authority.certificate_pem)
    seen.verify_directly_issued_by(ca)
    assert "admin" == seen.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    assert "system:masters" == seen.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value
    names = seen.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ["a.example"] == names.get_values_for_type(x509.DNSName)
    assert ["10.0.0.1"] == [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    usages = seen.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [ExtendedKeyUsageOID.CLIENT_AUTH] == list(usages)
    key = load_pem_private_key(leaf.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == seen.public_key()
    with pytest.raises((InvalidSignature, ValueError)):
        seen.verify_directly_issued_by(certificate(Authority.create("two").certificate_pem))


def test_an_expired_certificate_can_be_had() -> None:
    """Negative days give one that was valid once and is no more."""
    seen = certificate(Authority.create("one").issue("late", days=-1).certificate_pem)
    now = certificate(Authority.create("now").certificate_pem).not_valid_before_utc
    assert seen.not_valid_before_utc < seen.not_valid_after_utc < now


def test_each_api_server_answers_to_every_name_and_address_of_the_cluster(conf: SiteConf) -> None:
    """The endpoint, the Service, each machine and 127.0.0.1 are in each certificate."""
    made = plane(conf)
    for files in made.disks().values():
        names = certificate(files["/etc/kubernetes/pki/apiserver.crt"].content).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        assert {made.endpoint_name, "kubernetes.default.svc"} <= set(names.value.get_values_for_type(x509.DNSName))
        addresses = {str(address) for address in names.value.get_values_for_type(x509.IPAddress)}
        assert {*made.machines.values(), made.service_address, "127.0.0.1"} == addresses


def test_etcds_members_name_each_other(conf: SiteConf) -> None:
    """Three members with one view of the cluster, each with its own name and address."""
    made = plane(conf)
    seen = {name: flags(files["/etc/systemd/system/etcd.service"]) for name, files in made.disks().items()}
    assert 1 == len({unit["--initial-cluster"] for unit in seen.values()})
    assert {name: f"https://{address}:2380" for name, address in made.machines.items()} == {
        unit["--name"]: unit["--listen-peer-urls"] for unit in seen.values()
    }


def test_the_sites_timers_reach_the_control_plane(conf: SiteConf) -> None:
    """Grace, eviction and threshold are flags of the real components."""
    files = plane(conf).disks()["cp-1"]
    manager = flags(files["/etc/systemd/system/kube-controller-manager.service"])
    server = flags(files["/etc/systemd/system/kube-apiserver.service"])
    assert f"{conf.cluster.node_grace:g}s" == manager["--node-monitor-grace-period"]
    assert str(conf.cluster.large_cluster_size_threshold) == manager["--large-cluster-size-threshold"]
    assert str(conf.cluster.eviction) == server["--default-unreachable-toleration-seconds"]


def test_one_machine_needs_no_leader_election_and_three_do(conf: SiteConf) -> None:
    """With one there is nobody to agree with."""
    for machines, expected in ((1, "false"), (3, None)):
        unit = plane(conf, machines=machines).disks()["cp-1"]["/etc/systemd/system/kube-scheduler.service"]
        assert expected == flags(unit).get("--leader-elect")


def test_only_a_local_clusters_control_plane_is_shown_as_nodes(conf: SiteConf) -> None:
    """A kubelet with the taint on the Outpost, none in the Region; a CNI configuration on neither."""
    local, region = (plane(conf, local=local).disks()["cp-1"] for local in (True, False))
    assert TAINT.encode() in local["/etc/eks/kubelet.env"].content
    assert "/etc/eks/kubelet.env" not in region
    assert not [path for path in {**local, **region} if path.startswith("/etc/cni")]


def test_private_keys_are_for_root_only(conf: SiteConf) -> None:
    """Every file with a private key on it has mode 0600."""
    for path, file in plane(conf).disks()["cp-1"].items():
        if b"PRIVATE KEY" in file.content or b"client-key-data" in file.content:
            assert 0o600 == file.mode, path


def test_the_iam_authenticator_knows_the_cluster_by_its_token_id(conf: SiteConf) -> None:
    """And the creator as an administrator."""
    config = yaml.safe_load(plane(conf).disks()["cp-1"]["/etc/aws-iam-authenticator/config.yaml"].content)
    assert "the-id" == config["clusterID"]
    assert "kubernetes-admin" == config["server"]["mapRoles"][0]["username"]


def test_a_nodes_name_is_ec2s() -> None:
    """ip-A-B-C-D.REGION.compute.internal."""
    assert "ip-10-2-1-15.ap-northeast-1.compute.internal" == private_dns_name("10.2.1.15", "ap-northeast-1")


@pytest.mark.parametrize("local", [True, False])
def test_the_workers_user_data_is_what_bootstrap_sh_takes(local: bool) -> None:
    """A shell parses it; endpoint and CA arrive whole, and the local cluster's arguments only where they belong."""
    join = node.JoinInfo(
        "c", "https://api.example", b"-----CA-----\n", "id-1", ("10.0.0.1", "10.0.0.2") if local else ()
    )
    text = node.user_data(join)
    script = text.replace("/etc/eks/bootstrap.sh", "printf '%s\\n'")
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split("\n")
    assert ["c", "--apiserver-endpoint", "https://api.example", "--b64-cluster-ca"] == said[:4]
    assert b"-----CA-----\n" == base64.b64decode(said[4])
    rest = ["--enable-local-outpost", "true", "--cluster-id", "id-1", "--ip-of-endpoint", "10.0.0.1,10.0.0.2"]
    assert (rest if local else []) == said[5:-1]


def test_each_worker_has_a_pod_range_of_its_own_and_routes_to_the_others(conf: SiteConf) -> None:
    """Ranges are distinct and inside the cluster's; a node routes to every other's and not to its own."""
    workers = [str(i.address) for i in conf.instances if i.role == "worker"]
    ranges = node.pod_ranges(conf.cluster, workers)
    assert len(workers) == len(set(ranges.values()))
    files = node.worker_files(conf.cluster, workers[0], ranges)
    routes = dict(line.split() for line in files["/etc/eks/pod-routes"].content.decode().splitlines())
    assert {ranges[other]: other for other in workers[1:]} == routes
    network = json.loads(files["/etc/cni/net.d/10-pods.conflist"].content)
    assert ranges[workers[0]] == network["plugins"][0]["ipam"]["ranges"][0][0]["subnet"]


def test_a_pod_range_too_small_for_the_nodes_is_refused(conf: SiteConf) -> None:
    """Before anything is powered on."""
    with pytest.raises(ValueError, match="too small for 300 nodes"):
        node.pod_ranges(conf.cluster, [str(n) for n in range(300)])


def test_units_are_enabled_by_links_that_systemd_follows() -> None:
    """multi-user.target wants them."""
    assert {
        "/etc/systemd/system/multi-user.target.wants/kubelet.service": MachineFile(
            target="/etc/systemd/system/kubelet.service"
        )
    } == enabled("kubelet")


def test_the_proxy_holds_a_client_for_longer_than_its_tls_handshake() -> None:
    """Three connects of 10 s to each API server in TCP mode: the client gives up first, after 10 s."""
    lines = [line.strip() for line in proxy.haproxy_config("10.2.1.9", ["10.2.0.11", "10.2.0.12"]).splitlines()]
    assert {"mode tcp", "timeout connect 10s", "retries 3", "bind 10.2.1.9:443"} <= set(lines)
    assert ["server api-1 10.2.0.11:443", "server api-2 10.2.0.12:443"] == [x for x in lines if x.startswith("server ")]


def test_a_resolver_is_authoritative_for_its_zones_and_knows_its_names(tmp_path: Path) -> None:
    """A record a line; without an upstream any other name does not exist, with one it is asked there."""
    alone = ResolverConfig("region", "10.2.0.2", {"b": ["10.0.0.2"], "a": ["10.0.0.1", "10.0.0.3"]}, ("zone",)).text(
        tmp_path
    )
    lines = alone.splitlines()
    assert ["host-record=a,10.0.0.1", "host-record=a,10.0.0.3", "host-record=b,10.0.0.2"] == [
        line for line in lines if line.startswith("host-record")
    ]
    assert {"local=/zone/", "local=/#/", "listen-address=10.2.0.2"} <= set(lines)
    asked = ResolverConfig("lan", "192.168.10.53", upstream="198.51.100.53").text(tmp_path).splitlines()
    assert "server=198.51.100.53" in asked
    assert "local=/#/" not in asked
