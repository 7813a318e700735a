"""Bringing up a site made of CloudFormation stacks: AWS opens in the lab, and the user's own computer provisions it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from islanding.aws.provision import Provisioned, Provisioner
from islanding.errors import LabError
from islanding.journal import Journal
from islanding.kube import images
from islanding.lab import kernel, namespaces, node
from islanding.lab.access import KEY_NAME
from islanding.lab.desk import Desk, OpenDesk
from islanding.lab.eks_hosted import Timing
from islanding.lab.kubernetes import PATIENCE
from islanding.lab.machine import SSH_USER, MachineFile
from islanding.lab.parts.found import Parts
from islanding.lab.region.instances import InstanceState
from islanding.lab.steps import Steps
from islanding.lab.vpc.outside import WORKSTATION
from islanding.lab.world import World
from islanding.model import Place
from islanding.process import Result, run
from islanding.sshconf import Jumps
from islanding.stackconf import StacksConf
from islanding.wait import wait_until

CREATOR, STRANGER, FOREIGN = "creator", "stranger", "foreign"
FOREIGN_ACCOUNT = "999988887777"
SOCKS = "127.0.0.1:1080"  # at the workstation: the way into the closed VPC, as `ssh -D` gives it
KUBECONFIG = f"/home/{SSH_USER}/.kube/config"
TOOLS = ("kubectl", "aws-iam-authenticator")  # that the operator's image has in PATH


class StackSite:
    """A site coming up or running: everything that the supervisor owns of it."""

    def __init__(
        self,
        conf: StacksConf,
        *,
        site_folder: Path,
        lab_id: str,
        folder: Path,
        pid: int,
        parts: Parts,
        journal: Journal,
    ) -> None:
        self.conf = conf
        self.site_folder = site_folder
        self.id = lab_id
        self.folder = folder
        self.logs = folder / "logs"
        self.pid = pid
        self.parts = parts
        self.journal = journal
        self.steps = Steps(conf.name, journal, self.logs)
        self.world = World(
            account=conf.region.account,
            region=conf.region.name,
            lab_id=lab_id,
            folder=folder,
            logs=self.logs,
            parts=parts,
            journal=journal,
            profiles={CREATOR: "Creator", STRANGER: "Stranger"},
            ami=self._ami,
            timing=Timing(node_grace=conf.lab.node_grace, eviction=conf.lab.eviction),
            manners=conf.lab.manners,
        )
        self.world.access.add_foreign_user(FOREIGN, FOREIGN_ACCOUNT)
        self.desk: OpenDesk
        self.made: Provisioned

    def up(self) -> None:
        """Bring everything up; returns when the site is ready. Raises LabError naming the step that failed."""
        with self.steps.step("AWS answers"):
            self.world.start()
        with self.steps.step("workstation"):
            self._workstation()
        self.world.access.client("ec2", CREATOR).import_key_pair(
            KeyName=KEY_NAME, PublicKeyMaterial=self.world.access.ssh_public_key
        )
        with self.steps.step("stacks, cluster and access"):
            self.made = self._provision()
        with self.steps.step("operator ready"):
            self._operator_ready()
        with self.steps.step("nodes ready"):
            self._nodes_ready()
        with self.steps.step("workload brought in and answering"):
            self._workload()

    # -- steps -------------------------------------------------------------------------------------------------------

    def _workstation(self) -> None:
        home = self.home
        self.desk = Desk(WORKSTATION, home, self.world.outside.resolver).open()

    @property
    def home(self) -> Path:
        return self.folder / "desks" / WORKSTATION

    def _provision(self) -> Provisioned:
        self.steps.provisioning()
        surroundings = {
            "workstation": {"address": str(self.conf.lab.workstation)},
            "key": {"name": KEY_NAME},
            "image": {"operator": self.conf.lab.images.operator, "worker": self.conf.lab.images.worker},
        }
        provisioner = Provisioner(
            self.conf,
            self.site_folder,
            self._client,
            surroundings,
            self.steps.provisioned,
            poll=0.1,
            lacking=self.steps.lacking,
        )
        return provisioner.provision(self._apply_as_creator)

    def _client(self, service: str) -> Any:
        return self.world.access.client(service, CREATOR)

    def _apply_as_creator(self, text: str, so_far: Provisioned) -> bool:
        """Apply YAML from the workstation, through an SSH tunnel, since the endpoint is private."""
        self._write_ssh_config(so_far)
        self._write_creator_kubeconfig(so_far)
        self._tunnel()
        command = ["kubectl", f"--kubeconfig={self.home / 'creator.kubeconfig'}", "apply", "-f", "-"]
        done = self.at_workstation(command, stdin=text, check=False)
        if not done.ok:
            raise LabError(done.stderr.strip()[-500:])
        return True

    def _write_ssh_config(self, so_far: Provisioned) -> None:
        """SSH configuration for the workstation, and for the host with a ProxyCommand into the workstation."""
        reach = self.conf.reach
        bastion, operator = so_far.resolved(reach.bastion), so_far.resolved(reach.operator)
        nodes = tuple(so_far.resolved(reach.nodes).split(","))
        enter = (*self.in_netns(WORKSTATION), sys.executable, "-m", "islanding.lab.pipe")
        for name, command in (("ssh_config.workstation", ""), ("ssh_config", f"{shlex.join(enter)} %h %p")):
            jumps = Jumps(
                bastion,
                operator,
                nodes,
                user=SSH_USER,
                key=self.world.access.ssh_key_file,
                known_hosts=self.home / "known_hosts",
                sockets=self.folder / ("w" if command == "" else "h"),
                command=command,
            )
            jumps.sockets.mkdir(exist_ok=True)
            (self.folder / name).write_text(jumps.text())
        (self.home / ".etc" / "ssh_config").write_text((self.folder / "ssh_config.workstation").read_text())

    def _write_creator_kubeconfig(self, so_far: Provisioned) -> None:
        name = so_far.known["cluster"]["name"]
        path = self.home / "creator.kubeconfig"
        self.at_workstation(["aws", "eks", "update-kubeconfig", "--name", name, "--kubeconfig", str(path)])
        config = yaml.safe_load(path.read_text())
        config["clusters"][0]["cluster"]["proxy-url"] = f"socks5://{SOCKS}"
        path.write_text(yaml.safe_dump(config))

    def _tunnel(self) -> None:
        """`ssh -D` to the operator, kept up for as long as the lab lives."""
        if _tunnel_listens():
            return
        keep = f"while :; do ssh -N -D {SOCKS} -o ExitOnForwardFailure=yes -o ControlPath=none operator; sleep 1; done"
        log = (self.logs / "tunnel.log").open("ab")
        subprocess.Popen(
            [*self.desk.enter(), "env", f"HOME={self.home}", "sh", "-c", keep],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        wait_until("the tunnel to the operator", _tunnel_listens, timeout=60, interval=0.2)

    def _operator_ready(self) -> None:
        """The operator's kubeconfig, as `update-kubeconfig` writes it, carried in from the workstation."""
        name = self.made.known["cluster"]["name"]
        path = self.home / "operator.kubeconfig"
        self.at_workstation(["aws", "eks", "update-kubeconfig", "--name", name, "--kubeconfig", str(path)])
        config = yaml.safe_load(path.read_text())
        for user in config["users"]:
            user["user"]["exec"].pop("env", None)  # a profile of the workstation
        operator = self.operator_place()
        operator.run(["sh", "-c", f"umask 077; mkdir -p .kube; cat > {KUBECONFIG}"], stdin=yaml.safe_dump(config))

    def _nodes_ready(self) -> None:
        wanted = 2
        ready = "{range .items[*]}{.status.conditions[?(@.type=='Ready')].status}{end}"
        wait_until(
            f"{wanted} nodes to be Ready",
            lambda: self.world.eks.admin(self.conf.cluster.name, "get", "nodes", "-o", f"jsonpath={ready}").stdout,
            timeout=PATIENCE,
            interval=0.5,
            done=lambda text: text.count("True") >= wanted,
        )

    def _workload(self) -> None:
        """The image is pushed by the operator through the endpoints; then the manifest is applied by the operator."""
        workload = self.conf.workload
        reference = self.made.resolved(workload.image)
        operator = self.operator_place()
        images.push(operator, self.parts.workload, reference, region=self.conf.region.name)
        text = (self.site_folder / workload.manifest).read_text().replace("${image}", reference)
        operator.run(["kubectl", "apply", "-f", "-"], stdin=text)
        status = ["kubectl", "rollout", "status", f"deployment/{workload.name}", f"--timeout={PATIENCE:g}s"]
        operator.run(status, timeout=PATIENCE + 10)

    @property
    def foreign_profile(self) -> str:
        """A profile of the workstation's whose keys are of another account."""
        return FOREIGN

    # -- places ------------------------------------------------------------------------------------------------------

    def in_netns(self, name: str) -> tuple[str, ...]:
        """How the host enters a network namespace of the lab."""
        root = f"/proc/{self.pid}/root"
        return ("nsenter", f"--mount=/proc/{self.pid}/ns/mnt", f"--net={root}{namespaces.NETNS / name}", "--")

    def operator_place(self) -> Place:
        """The operator, from inside the lab, by SSH from the workstation."""
        enter = (*self.desk.enter(), "ssh", "-F", str(self.folder / "ssh_config.workstation"), "operator")
        return Place(
            name="operator", role="operator", address=self.made.resolved(self.conf.reach.operator), enter=enter,
            env={"AWS_DEFAULT_REGION": self.conf.region.name}, by_ssh=True,
        )  # fmt: skip

    def at_workstation(self, command: list[str], *, stdin: str | None = None, check: bool = True) -> Result:
        """Run a command at the workstation, as its user would."""
        environment = [f"{k}={v}" for k, v in self.workstation_environment().items()]
        whole = [*self.desk.enter(), "env", *environment, *command]
        return run(whole, stdin=stdin, timeout=60, host=WORKSTATION, check=check)

    def workstation_environment(self) -> dict[str, str]:
        """The environment of the user at the workstation."""
        return {
            **self.world.access.desk_environment(CREATOR, self.home),
            "KUBECONFIG": str(self.home / "creator.kubeconfig"),
        }

    def _ami(self, state: InstanceState) -> dict[str, MachineFile]:
        """What the images hold: all of them what a node needs, and the tools of people."""
        max_pods = (self.parts.manifests / "eni-max-pods.txt").read_bytes()
        links = {f"/usr/local/bin/{t}": MachineFile(target=f"/opt/islanding/bin/{t}") for t in TOOLS}
        return {
            **node.ami_files(self.conf.region.name, self.world.aws_ca.certificate_pem, max_pods),
            **links,
        }


def _tunnel_listens() -> bool:
    command = ["ss", "-Hltn", f"sport = :{SOCKS.rpartition(':')[2]}"]
    return bool(run(kernel.inside(WORKSTATION, command), check=False).stdout.strip())
