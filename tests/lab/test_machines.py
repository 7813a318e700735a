"""The lab's machines are machines: testinfra sees them over real SSH, and power is EC2's and systemd's to switch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
import testinfra

from islanding.lab.registry import Lab
from islanding.model import Node, Site
from islanding.wait import wait_until


@pytest.fixture
def machine(lab: Lab) -> Callable[[str], Any]:
    """A machine of the lab by name, as testinfra sees it through paramiko."""

    def connect(name: str) -> Any:
        return testinfra.get_host(f"paramiko://{name}", ssh_config=str(lab.folder / "ssh_config"))

    return connect


@pytest.fixture
def ec2(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    """EC2 as the harness calls it: by the environment that the site's description gives."""
    for name, value in site.aws.env.items():
        monkeypatch.setenv(name, value)
    return boto3.Session().client("ec2")  # the default session would remember another test's settings


UNITS = {
    "cp-1": ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "aws-iam-authenticator", "kubelet"],
    "worker-1": ["containerd", "kubelet", "kube-proxy"],
}


@pytest.mark.parametrize("name", UNITS)
def test_a_machine_runs_as_a_machine_does(machine: Callable[[str], Any], site: Site, name: str) -> None:
    """No unit has failed, the machine's services run, so did cloud-init on instances, and EC2's host name is set."""
    host = machine(name)
    assert "running" == host.run("systemctl is-system-running").stdout.strip()
    assert "" == host.run("systemctl --failed --no-legend").stdout
    assert dict.fromkeys((*UNITS[name], "ssh"), True) == {
        unit: host.service(unit).is_running for unit in (*UNITS[name], "ssh")
    }
    assert "systemd" == host.process.get(pid=1).comm
    # The service sets its own control-plane machines up; user data is for instances.
    configured = "status: disabled" if name.startswith("cp-") else "status: done"
    assert configured == host.run("cloud-init status").stdout.strip()
    address = site.place(name).address
    assert f"ip-{address.replace('.', '-')}" == host.run("hostname -s").stdout.strip()
    assert address in host.interface("eth0").addresses
    assert host.socket("tcp://0.0.0.0:22").is_listening


def test_the_user_data_of_a_worker_ran(machine: Callable[[str], Any], site: Site) -> None:
    """cloud-init ran the bootstrap script with the cluster's CA, and its output is in its log as on any instance."""
    host = machine("worker-1")
    with host.sudo():
        assert "/etc/eks/bootstrap.sh" in host.run("cat /var/lib/cloud/instance/user-data.txt").stdout
        assert host.file("/etc/kubernetes/pki/ca.crt").contains("BEGIN CERTIFICATE")
        assert host.file("/var/log/cloud-init-output.log").exists


def boot(site: Site, node: Node) -> str:
    """What tells one boot of a node from the next; empty while it does not answer."""
    command = ["sh", "-c", "cut -d' ' -f22 /proc/1/stat"]
    return site.place(node.place).run(command, timeout=6.0, check=False).stdout.strip()


def restarts(site: Site, node: Node) -> int:
    """How often the containers of the pods on a node were started again, as Kubernetes counts."""
    path = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
    command = ["kubectl", "get", "pods", "-o", path, "--field-selector", f"spec.nodeName={node.name}"]
    return sum(map(int, site.place("operator").run(command).stdout.split()))


def comes_back(site: Site, node: Node, before: tuple[str, int]) -> None:
    """Wait until a node has booted again, and its pods were started again there and answer."""
    wait_until(f"{node.name} to boot", lambda: boot(site, node) not in ("", before[0]), timeout=30.0)
    wait_until("its pods to start again", lambda: restarts(site, node) > before[1], timeout=40.0, interval=0.3)
    url = f"http://{node.address}:{site.workload.url.rpartition(':')[2]}"
    answer = ["curl", "--silent", "--fail", "--max-time", "2", url]
    wait_until(f"{url} to answer", lambda: site.place("client").run(answer, check=False).ok, timeout=20.0)


def state(ec2: Any, node: Node) -> str:
    """A node's state as EC2 has it."""
    reply = ec2.describe_instances(InstanceIds=[node.instance_id])
    return str(reply["Reservations"][0]["Instances"][0]["State"]["Name"])


def test_a_reboot_from_inside_brings_machine_and_pods_back(site: Site) -> None:
    """`systemctl reboot` over SSH: a new boot, the same disk, the same pods with one more restart."""
    node = site.workers[0]
    before = boot(site, node), restarts(site, node)
    site.place(node.place).run(["touch", "/var/kept"])
    site.place(node.place).run(["systemctl", "reboot"], check=False)
    comes_back(site, node, before)
    assert site.place(node.place).run(["test", "-e", "/var/kept"], check=False).ok


def test_ec2_stops_starts_and_reboots_a_machine(site: Site, ec2: Any) -> None:
    """stop_instances takes the machine off the network, start_instances and reboot_instances boot it anew."""
    node = site.workers[1]
    before = boot(site, node), restarts(site, node)
    ec2.stop_instances(InstanceIds=[node.instance_id])
    wait_until("the machine to be gone", lambda: "" == boot(site, node), timeout=20.0)
    assert "stopped" == state(ec2, node)
    ec2.start_instances(InstanceIds=[node.instance_id])
    comes_back(site, node, before)
    before = boot(site, node), restarts(site, node)
    ec2.reboot_instances(InstanceIds=[node.instance_id])
    comes_back(site, node, before)
    assert "running" == state(ec2, node)


def test_a_machine_that_powers_itself_off_is_a_stopped_instance(site: Site, ec2: Any) -> None:
    """`systemctl poweroff` over SSH: EC2 says stopped, and can start it again."""
    node = site.workers[2]
    before = boot(site, node), restarts(site, node)
    site.place(node.place).run(["systemctl", "poweroff"], check=False)
    wait_until("EC2 to know", lambda: state(ec2, node), timeout=20.0, done=lambda now: now == "stopped")
    assert "" == boot(site, node)
    ec2.start_instances(InstanceIds=[node.instance_id])
    comes_back(site, node, before)


def test_console_and_journal_are_kept(lab: Lab, site: Site) -> None:
    """What a machine says on its console and in its journal is among the lab's logs, over all its boots."""
    logs = lab.folder / "logs"
    console = (logs / "worker-1.console.log").read_text(errors="replace")
    assert "--- power on (1) ---" in console
    assert "cloud-init" in console.lower()
    assert [] != [path for path in (logs / "worker-1.journal").rglob("*.journal") if path.stat().st_size]
