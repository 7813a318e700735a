"""An instance's first boot: user data by the real cloud-init from the metadata service, in a VPC without a way out."""

from __future__ import annotations

import base64
import gzip
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from islanding.lab import cgroups, namespaces, node
from islanding.lab.fleet import Fleet
from islanding.lab.machine import Machine, MachineFile
from islanding.lab.parts import found
from islanding.lab.pki import Authority
from islanding.lab.region.instances import InstanceState
from islanding.lab.vpc import names
from islanding.lab.vpc.metadata import VpcMetadata
from islanding.lab.vpc.outside import METADATA, Outside
from islanding.lab.vpc.resolvers import Resolvers
from islanding.lab.vpc.state import Ec2State
from islanding.wait import wait_until
from tests.lab import packets
from tests.lab.packets import IMAGE, World
from tests.unit.region_support import REGION

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)
LAB = "guest-boot"
ENDPOINT = f"https://0123456789ABCDEF.gr7.{REGION}.eks.amazonaws.com"
LOG = "/var/log/cloud-init-output.log"


@dataclass
class Closed:
    """A VPC without any way out, and the machines of its instances."""

    world: World
    fleet: Fleet
    vpc: str
    subnet: str
    group: str
    ca: Authority
    folder: Path

    def endpoint(self, service: str) -> None:
        """An interface endpoint at which the Region answers for a service."""
        self.world.allow(self.group, "10.0.0.0/16", port=443)
        made = self.world.ec2.create_vpc_endpoint(
            VpcId=self.vpc, ServiceName=f"com.amazonaws.{REGION}.{service}", VpcEndpointType="Interface",
            SubnetIds=[self.subnet], SecurityGroupIds=[self.group], PrivateDnsEnabled=True,
        )["VpcEndpoint"]  # fmt: skip
        (card,) = made["NetworkInterfaceIds"]
        found = self.world.ec2.describe_network_interfaces(NetworkInterfaceIds=[card])["NetworkInterfaces"][0]
        leaf = self.ca.issue(service, dns=[f"{service}.{REGION}.amazonaws.com"])
        (self.folder / "leaf.pem").write_bytes(leaf.certificate_pem + leaf.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "leaf.pem")
        self.world.region.serve(namespaces.listener_in(card, found["PrivateIpAddress"], 443), context)

    def boot(self, user_data: bytes, **more: Any) -> Machine:
        """An instance with that user data, powered on; it may still be booting."""
        made = self.world.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, InstanceType="t3.small", SubnetId=self.subnet,
            SecurityGroupIds=[self.group], IamInstanceProfile={"Name": "Node"}, UserData=user_data,
            **{"MetadataOptions": {"HttpTokens": "required"}, **more},
        )["Instances"][0]["InstanceId"]  # fmt: skip
        self.fleet.follow()
        machine: Machine = wait_until("a machine", lambda: self.fleet.machine(made), timeout=180)
        machine.wait_booted()
        return machine


@pytest.fixture
def resolvers(world: World, tmp_path: Path) -> Iterator[Resolvers]:
    """Resolvers that end with the test."""
    made = Resolvers(tmp_path / "dns", tmp_path)
    yield made
    made.close()


@pytest.fixture
def closed(world: World, resolvers: Resolvers, tmp_path: Path) -> Iterator[Closed]:
    """The VPC, with metadata and names as in a lab."""
    region, outside = world.region, Outside()
    region.seed.create_role("Node")
    region.seed.create_instance_profile("Node", "Node")
    public = names.public_names(REGION, outside.api, outside.s3[0])
    everybody = ("aws", outside.resolver)
    known: dict[str, Ec2State] = {}
    metadata = VpcMetadata(
        lambda listener, vpc: region.serve_metadata(listener, lambda address: region.identity(address, vpc))
    )

    def follow(state: Ec2State) -> None:
        known["now"] = state
        metadata.follow(state)
        resolvers.follow(names.resolvers(state, REGION, public, everybody=everybody))

    world.plane.on_plan(follow)
    vpc = world.vpc("10.0.0.0/16")
    world.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = world.subnet(vpc, "10.0.1.0/24", AvailabilityZone=f"{REGION}a")
    group = world.group(vpc)
    ca = Authority.create("AWS CA")

    def files(state: InstanceState) -> dict[str, MachineFile]:
        (mine,) = [v for v in known["now"].vpcs if v.id == state.vpc]
        own = node.instance_files(state.private_dns_name, state.private_address, names.resolv_conf(mine, REGION))
        return {**node.ami_files(REGION, ca.certificate_pem, b"t3.small 11\n"), **own}

    parts = found.find()
    logs = tmp_path / "logs"
    logs.mkdir()
    fleet = Fleet(
        lab_id=LAB, folder=tmp_path / "machines", logs=logs, image=parts.image,
        binds={str(parts.bin_dir): "/opt/islanding/bin"}, plane=world.plane, instances=region.instances, files=files,
        halted=lambda _: None, errors=region.errors.append,
    )  # fmt: skip
    try:
        yield Closed(world, fleet, vpc, subnet, group, ca, tmp_path)
    finally:
        for state in region.instances():
            world.ec2.terminate_instances(InstanceIds=[state.id])
        fleet.follow()
        wait_until("the machines to be off", fleet.settled, timeout=180)
        cgroups.remove(LAB)
        metadata.close()


def cloud_init(machine: Machine, timeout: float = 180.0) -> dict[str, Any]:
    """cloud-init's status when it has ended."""

    def status() -> dict[str, Any]:
        said = machine.run(["cloud-init", "status", "--format", "json"], check=False).stdout
        read: dict[str, Any] = json.loads(said[said.index("{") :])
        return read

    return wait_until(
        "cloud-init to end", status, timeout=timeout, interval=0.2, done=lambda s: s["status"] in ("done", "error")
    )


def file(machine: Machine, path: str) -> str:
    """A file's text, empty while there is none."""
    return machine.run(["cat", path], check=False).stdout


MULTI_PART = b"""\
Content-Type: multipart/mixed; boundary="==B=="
MIME-Version: 1.0

--==B==
Content-Type: text/cloud-config; charset="us-ascii"

#cloud-config
write_files:
- {path: /var/written, content: "by cloud-config"}
runcmd:
- [sh, -c, "echo ran > /var/ran"]

--==B==
Content-Type: text/x-shellscript; charset="us-ascii"

#!/bin/bash
echo "a script" > /var/script
--==B==--
"""


def test_user_data_of_several_parts_gzipped(closed: Closed) -> None:
    """cloud-config and a script from one document; the instance takes a token for it, which it must have."""
    machine = closed.boot(gzip.compress(MULTI_PART))
    assert "done" == cloud_init(machine)["status"]
    assert ["by cloud-config", "ran\n", "a script\n"] == [
        file(machine, path) for path in ("/var/written", "/var/ran", "/var/script")
    ]
    (state,) = closed.world.region.instances()
    assert f"{state.private_dns_name}" == machine.run(["hostname", "-f"]).stdout.strip()


def test_a_script_with_windows_line_endings(closed: Closed) -> None:
    """cloud-init takes them away before it runs the script."""
    machine = closed.boot(b"#!/bin/bash\r\necho fine > /var/script\r\n")
    assert "done" == cloud_init(machine)["status"]
    assert "fine\n" == file(machine, "/var/script")


def test_a_script_that_fails(closed: Closed) -> None:
    """cloud-init's status is an error, its log names the script, and what the script said is in the output log."""
    machine = closed.boot(b"#!/bin/bash\necho before the end\nexit 3\n")
    assert "error" == cloud_init(machine)["status"]
    assert "Failed to run module scripts-user" in file(machine, "/var/log/cloud-init.log")
    assert "before the end" in file(machine, LOG)


def test_a_script_that_hangs_leaves_the_instance_reachable(closed: Closed) -> None:
    """sshd answers, with the key pair's key in place, while the script goes on."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJmyxyo8rVLxX4OcLf6gH3AtoxQjPcbyfT1U4sf1qPz lab"
    closed.world.ec2.import_key_pair(KeyName="lab", PublicKeyMaterial=key.encode())
    machine = closed.boot(b"#!/bin/bash\ntouch /var/begun\nexec sleep 1000\n", KeyName="lab")
    wait_until("the script to begin", lambda: machine.run(["test", "-e", "/var/begun"], check=False).ok, timeout=180)
    assert "status: running" in machine.run(["cloud-init", "status"], check=False).stdout
    assert key.split()[1] in machine.run(["sh", "-c", "cat ~ec2-user/.ssh/authorized_keys"]).stdout
    machine.wait_booted()


def bootstrap(*arguments: str) -> bytes:
    """The user data of a worker as the EKS guide gives it."""
    return f"#!/bin/bash\nset -o xtrace\n/etc/eks/bootstrap.sh lab {' '.join(arguments)}\n".encode()


CA = base64.b64encode(Authority.create("Kubernetes CA").certificate_pem).decode()


def test_bootstrap_with_endpoint_and_ca_starts_a_kubelet(closed: Closed) -> None:
    """No call to the EKS API: the kubelet runs with the limit of pods, provider id and name that AWS would give it."""
    given = bootstrap(
        f"--apiserver-endpoint {ENDPOINT}", f"--b64-cluster-ca {CA}", "--kubelet-extra-args '--node-labels=a=b,c=d'"
    )
    machine = closed.boot(given)
    assert "done" == cloud_init(machine)["status"]
    (state,) = closed.world.region.instances()
    config = yaml.safe_load(file(machine, "/etc/kubernetes/kubelet/config.d/10-eks.conf"))
    assert (11, ["172.20.0.10"], f"aws:///{REGION}a/{state.id}") == (
        config["maxPods"], config["clusterDNS"], config["providerID"],
    )  # fmt: skip

    def said() -> str:
        return machine.run(["journalctl", "-u", "kubelet", "--no-pager"], check=False).stdout

    journal = wait_until("the kubelet to try", said, timeout=180, done=lambda t: "Unable to register node" in t)
    assert state.private_dns_name in journal
    assert "a=b" in machine.run(["sh", "-c", "tr '\\0' ' ' < /proc/$(pidof kubelet)/cmdline"]).stdout
    assert "active" == machine.run(["systemctl", "is-active", "containerd"]).stdout.strip()


def test_bootstrap_without_them_asks_the_eks_api_in_vain(closed: Closed) -> None:
    """There is no endpoint for it: the CLI's timeout is in the log, and no kubelet was started.

    Nor does CloudFormation hear of it, which ends too.
    """
    signal = b"/opt/aws/bin/cfn-signal --exit-code $? --stack workers --resource NodeGroup\n"
    machine = closed.boot(bootstrap("--aws-api-retry-attempts 0") + signal)
    assert "error" == cloud_init(machine, timeout=240)["status"]
    log = file(machine, LOG)
    assert "CloudFormation was not told of FAILURE for NodeGroup of workers" in log
    assert f'Connect timeout on endpoint URL: "https://eks.{REGION}.amazonaws.com/clusters/lab"' in log
    assert "Exhausted retries while describing cluster!" in log
    assert "" == machine.run(["pidof", "kubelet"], check=False).stdout


NODE_CONFIG = f"""\
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster: {{name: lab, apiServerEndpoint: "{ENDPOINT}", certificateAuthority: {CA}, cidr: 10.100.0.0/16}}
  kubelet:
    config: {{maxPods: 17}}
    flags: ["--node-labels=a=b"]
"""


def test_nodeadm_stops_where_it_asks_ec2(closed: Closed) -> None:
    """Plain NodeConfig as user data; without a way to EC2 it goes no further, and says so."""
    machine = closed.boot(NODE_CONFIG.encode())

    def said() -> str:
        return machine.run(["journalctl", "-u", "nodeadm", "-o", "cat", "--no-pager"], check=False).stdout

    journal = wait_until("nodeadm to ask", said, timeout=180, interval=0.5, done=lambda t: "will try again" in t)
    assert "Fetching instance details.." in journal
    assert f"https://ec2.{REGION}.amazonaws.com" in journal
    assert "Instance details populated" not in journal


def test_nodeadm_joins_by_a_part_of_the_user_data(closed: Closed) -> None:
    """With a way to EC2 it makes the node's files, with the kubelet's own settings from NodeConfig laid over them."""
    closed.endpoint("ec2")
    head = 'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="B"\n\n--B\n'
    machine = closed.boot(f"{head}Content-Type: application/node.eks.aws\n\n{NODE_CONFIG}\n--B--\n".encode())

    def said() -> str:
        return machine.run(["journalctl", "-u", "nodeadm", "-o", "cat", "--no-pager"], check=False).stdout

    wait_until("nodeadm to end", said, timeout=180, interval=0.3, done=lambda t: "Daemons are running" in t)
    (state,) = closed.world.region.instances()
    assert f"--hostname-override={state.private_dns_name}" in file(machine, "/etc/eks/kubelet.env")
    assert 17 == yaml.safe_load(file(machine, "/etc/kubernetes/kubelet/config.d/20-node.conf"))["maxPods"]
    assert ["10.100.0.10"] == yaml.safe_load(file(machine, "/etc/kubernetes/kubelet/config.d/10-eks.conf"))[
        "clusterDNS"
    ]
    wait_until("the kubelet to run", lambda: machine.run(["pidof", "kubelet"], check=False).stdout, timeout=180)


def test_the_hop_limit_keeps_metadata_tokens_from_what_is_behind_the_instance(closed: Closed) -> None:
    """A pod's network is one hop further: no token with a limit of 1, one with 2; the instance has one always."""
    machine = closed.boot(b"#!/bin/sh\n", MetadataOptions={"HttpTokens": "optional", "HttpPutResponseHopLimit": 1})
    machine.run(["sh", "-ec", BEHIND])
    token = ["curl", "-s", "-m", "2", "-X", "PUT", "-H", "X-aws-ec2-metadata-token-ttl-seconds: 60",
             f"http://{METADATA}/latest/api/token"]  # fmt: skip
    plain = ["curl", "-s", "-m", "2", f"http://{METADATA}/latest/meta-data/instance-id"]
    behind = ["ip", "netns", "exec", "pod"]
    assert machine.run(token).stdout
    assert machine.name == machine.run([*behind, *plain]).stdout
    assert "" == machine.run([*behind, *token], check=False).stdout
    closed.world.ec2.modify_instance_metadata_options(InstanceId=machine.name, HttpPutResponseHopLimit=2)
    assert machine.run([*behind, *token]).stdout
    closed.world.ec2.modify_instance_metadata_options(InstanceId=machine.name, HttpEndpoint="disabled")
    assert "403" == machine.run([*token, "-o", "/dev/null", "-w", "%{http_code}"]).stdout


BEHIND = """\
sysctl -qw net.ipv4.ip_forward=1
ip netns add pod
ip link add pod0 type veth peer name eth0 netns pod
ip addr add 192.168.9.1/24 dev pod0
ip link set pod0 up
ip -n pod link set lo up
ip -n pod addr add 192.168.9.2/24 dev eth0
ip -n pod link set eth0 up
ip -n pod route add default via 192.168.9.1
iptables -t nat -A POSTROUTING -s 192.168.9.0/24 -j MASQUERADE
"""
