"""Provisioning a reference site in a real account, and deleting it again; a record says what was begun."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from islanding import accountconf, siteconf, stackconf, yamldoc
from islanding.aws import paging, stacks
from islanding.aws.provision import Provisioned, Provisioner
from islanding.errors import IslandingError, SetupError
from islanding.kube import images
from islanding.kube.kubectl import argv
from islanding.model import AwsAccess, Place, Site
from islanding.sshconf import Jumps
from islanding.stackconf import StacksConf
from islanding.target import adopt, inside, sweep
from islanding.target.adopt import CREATOR, Step, folder_of
from islanding.target.sweep import RUN, SITE, run_id
from islanding.target.wayin import by_ssh, free_port, tunnelled
from islanding.wait import WaitTimeout, wait_until

RECORD = "provision.json"
NODES_SECONDS = 900.0  # from the group's instances being asked for to Ready nodes
USER = "ec2-user"


@dataclass(frozen=True)
class Order:
    """What was asked for: enough to go on after a crash, and to delete everything again."""

    name: str
    like: str
    account: str
    region: str
    workstation: str  # the one address from which the bastion may be reached
    key_name: str  # of the key pair in the account
    key: str  # file of its private half
    operator_image: str
    worker_image: str
    profile: str = ""
    parameters: dict[str, str] = field(default_factory=dict)  # STACK.PARAMETER or a dotted key of site.yaml
    run: str = ""

    @property
    def folder(self) -> Path:
        return folder_of(self.name)

    def conf(self) -> StacksConf:
        """The reference site's file with what was ordered in place of its own; raises SetupError naming mistakes."""
        path = siteconf.find(self.like)
        document = yamldoc.read(path)
        if not stackconf.is_stacks(document):
            raise SetupError(f"{self.like} is not made of CloudFormation stacks", "closed-vpc is")
        document.put(("name",), self.name)
        document.put(("region", "name"), self.region)
        document.put(("region", "account"), self.account)
        document.put(("lab", "workstation"), self.workstation)
        document.put(("lab", "images"), {"operator": self.operator_image, "worker": self.worker_image})
        document.put(("cluster", "name"), self.name)
        templates = {one["name"]: one for one in document.data["stacks"]}
        for one in templates.values():  # of it are made the names of roles, groups, buckets
            one["parameters"] = {**one.get("parameters", {}), "EnvironmentName": self.name}
        for key, value in self.parameters.items():
            stack, _, parameter = key.partition(".")
            if stack in templates:
                templates[stack]["parameters"][parameter] = value
            else:
                document.put(tuple(key.split(".")), value)
        return stackconf.check(document)

    def save(self) -> None:
        """Write it down before anything is made."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self.folder / f"{RECORD}.part"
        part.write_text(json.dumps(asdict(self), indent=1))
        part.rename(self.folder / RECORD)


def ordered(name: str) -> Order:
    """What was ordered by that name; raises SetupError when nothing was."""
    try:
        return Order(**json.loads((folder_of(name) / RECORD).read_text()))
    except FileNotFoundError:
        known = sorted(path.parent.name for path in folder_of(name).parent.glob(f"*/{RECORD}"))
        there = f"there are: {', '.join(known)}" if known else "nothing is provisioned from this machine"
        raise SetupError(f"nothing was provisioned as {name}", f"{there}; `islanding sweep` looks by tag") from None
    except (ValueError, TypeError) as error:
        raise SetupError(f"the record {folder_of(name) / RECORD} cannot be read: {error}", "islanding sweep") from error


@dataclass(frozen=True)
class Provisioning:
    """One site on its way: `client` gives a botocore client of a service, `step` is told what goes on."""

    order: Order
    access: AwsAccess
    client: Callable[[str], Any]
    step: Step
    poll: float = 5.0

    @property
    def folder(self) -> Path:
        return self.order.folder

    @property
    def ssh_config(self) -> Path:
        return self.folder / "ssh_config"

    def provision(self, archive: Path) -> Site:
        """Make everything that is not there yet, bring the workload in (`archive`: its image), and adopt the site.

        What was begun stays when something fails: the same again goes on, `delete` removes it. Raises IslandingError.
        """
        conf = self.order.conf()
        self._nobody_elses(conf)
        self.order.save()
        made = self._provisioner(conf).provision(self._apply_as_creator)
        operator = by_ssh(self.ssh_config, "operator", "operator", made.resolved(conf.reach.operator))
        operator = operator.model_copy(update={"env": {"AWS_DEFAULT_REGION": self.order.region}})
        self._equip(operator, conf)
        self._nodes_ready(operator, made.facts["asg"])
        self._bring_in(operator, conf, made, archive)
        path = self._site_file(conf, made)
        return adopt.adopt(accountconf.load(path), self.step)

    def delete(self) -> None:
        """Delete everything again, and the record last; raises IslandingError with what could not be deleted."""
        conf = self.order.conf()
        self._nobody_elses(conf)
        self._provisioner(conf).deprovision()
        shutil.rmtree(self.folder)

    # -- steps -------------------------------------------------------------------------------------------------------

    def _nobody_elses(self, conf: StacksConf) -> None:
        """Stop where stacks or cluster of these names are not of this site: they would be changed, or deleted."""
        account = self.client("sts").get_caller_identity()["Account"]
        if account != self.order.account:
            raise SetupError(f"these credentials are of account {account}, not {self.order.account}")
        ours = {one.id for one in sweep.find(self.client, self.order.name)}
        cloudformation = self.client("cloudformation")
        names = [f"{conf.name}-{stack.name}" for stack in conf.stacks]
        there = [name for name in names if stacks.exists(cloudformation, name)]
        pages = self.client("eks").get_paginator("list_clusters").paginate()
        there += [name for page in pages for name in page["clusters"] if name == conf.cluster.name]
        if others := [name for name in there if name not in ours]:
            raise SetupError(f"somebody else's are there: {', '.join(others)}", "choose another name")

    def _provisioner(self, conf: StacksConf) -> Provisioner:
        order = self.order
        surroundings: Mapping[str, Mapping[str, str]] = {
            "workstation": {"address": order.workstation},
            "key": {"name": order.key_name},
            "image": {"operator": order.operator_image, "worker": order.worker_image},
        }
        tags = {SITE: order.name, RUN: order.run}
        templates = siteconf.find(order.like).parent
        return Provisioner(conf, templates, self.client, surroundings, self.step, poll=self.poll, tags=tags)

    def _apply_as_creator(self, text: str, so_far: Provisioned) -> bool:
        """Apply YAML from this computer through the tunnel, since the endpoint is private."""
        conf = self.order.conf()
        sockets = self.folder / "s"
        sockets.mkdir(mode=0o700, exist_ok=True)
        jumps = Jumps(
            bastion=so_far.resolved(conf.reach.bastion),
            operator=so_far.resolved(conf.reach.operator),
            nodes=tuple(so_far.resolved(conf.reach.nodes).split(",")),
            user=USER,
            key=Path(self.order.key).expanduser().absolute(),
            known_hosts=self.folder / "known_hosts",
            sockets=sockets,
            trusted=False,
            tunnel=free_port(),
        )
        if not jumps.shares:
            raise SetupError(f"{sockets} is too long a path for SSH's sockets", "set ISLANDING_STATE to a shorter one")
        self.ssh_config.write_text(jumps.text())
        kubeconfig = self.folder / "creator.kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(
            inside.kubeconfig(self._cluster(conf), self.access, proxy=f"socks5://127.0.0.1:{jumps.tunnel}")
        )
        here = Place(name="workstation", role="workstation", address=self.order.workstation, env=self.access.env)
        tunnelled(here, self.ssh_config, CREATOR).run(argv(["apply", "-f", "-"], str(kubeconfig)), stdin=text)
        return True

    def _cluster(self, conf: StacksConf) -> dict[str, Any]:
        cluster: dict[str, Any] = self.client("eks").describe_cluster(name=conf.cluster.name)["cluster"]
        return cluster

    def _equip(self, operator: Place, conf: StacksConf) -> None:
        """Give the operator its kubeconfig, carried in: no endpoint of the EKS API is inside."""
        text = inside.kubeconfig(self._cluster(conf), self.access, profile=False)
        operator.run(["sh", "-c", "umask 077; mkdir -p .kube; cat > .kube/config"], stdin=text)
        self.step("operator: has a kubeconfig")

    def _nodes_ready(self, operator: Place, name: str) -> None:
        given = {"AutoScalingGroupNames": [name]}
        reply = paging.whole(self.client("autoscaling"), "describe_auto_scaling_groups", given)
        wanted = int(reply["AutoScalingGroups"][0]["DesiredCapacity"])
        query = "jsonpath={range .items[*]}{.status.conditions[?(@.type=='Ready')].status}{end}"
        command = argv(["get", "nodes", "-o", query], ".kube/config")
        try:
            wait_until(
                f"{wanted} nodes to be Ready",
                lambda: operator.run(command).stdout.count("True"),
                timeout=NODES_SECONDS,
                interval=self.poll,
                done=lambda ready: ready >= wanted,
            )
        except WaitTimeout as late:
            raise IslandingError(str(late), "islanding explain, or the nodes' /var/log/cloud-init-output.log") from late
        self.step(f"nodes: {wanted} are Ready")

    def _bring_in(self, operator: Place, conf: StacksConf, made: Provisioned, archive: Path) -> None:
        reference = made.resolved(conf.workload.image)
        images.push(operator, archive, reference, region=self.order.region)
        manifest = (siteconf.find(self.order.like).parent / conf.workload.manifest).read_text()
        operator.run(argv(["apply", "-f", "-"], ".kube/config"), stdin=manifest.replace("${image}", reference))
        status = ["rollout", "status", f"deployment/{conf.workload.name}", "--timeout=300s"]
        operator.run(argv(status, ".kube/config"), timeout=310)
        self.step(f"workload {conf.workload.name}: answers")

    def _site_file(self, conf: StacksConf, made: Provisioned) -> Path:
        """The site's file, such as somebody would write who has the site already."""
        order = self.order
        path = self.folder / "site.yaml"
        key = str(Path(order.key).expanduser().absolute())
        path.write_text(
            yaml.safe_dump(
                {
                    "name": order.name,
                    "like": order.like,
                    "account": order.account,
                    "region": order.region,
                    "cluster": conf.cluster.name,
                    **({"profile": order.profile} if order.profile else {}),
                    "reach": {"kind": "ssh", "bastion": made.resolved(conf.reach.bastion), "user": USER, "key": key},
                },
                sort_keys=False,
            )
        )
        return path


def new_order(**asked: Any) -> Order:
    """An order of a new site, or of the one of that name that was begun; raises SetupError when that is another one."""
    order = Order(**asked, run=run_id(datetime.now(UTC)))
    if not (order.folder / RECORD).exists():
        return order
    before = ordered(order.name)
    if (before.account, before.region, before.like) != (order.account, order.region, order.like):
        raise SetupError(
            f"{order.name} was provisioned before, as another site", f"islanding target delete {order.name}"
        )
    return Order(**{**asdict(order), "run": before.run})
