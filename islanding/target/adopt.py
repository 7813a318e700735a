"""Adopting a site: from its file, AWS's API and what the cluster says to the description that cases run by."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from islanding.accountconf import AccountConf
from islanding.aws import calls
from islanding.closedmap import WORKSTATION
from islanding.errors import IslandingError, SetupError
from islanding.model import AwsAccess, Identity, Node, Place, PlaceRole, Site, Workload
from islanding.paths import state_dir
from islanding.sshconf import Jumps
from islanding.target import access as accesses
from islanding.target import description, discovery, inside, outpost
from islanding.target.discovery import Discovered, Look
from islanding.target.inside import Asking
from islanding.target.lack import Lack
from islanding.target.needs import cases_for
from islanding.target.state import State, read
from islanding.target.wayin import by_ssh, free_port, tunnelled

Step = Callable[[str], None]
CREATOR = "creator"
_ROLES: dict[str, PlaceRole] = {"worker": "node", "control-plane": "control-plane"}
BY_ENTERING = ("repository", "repository_uri", "workstation_address")  # facts that AWS's API alone does not tell


def folder_of(name: str) -> Path:
    """Where the state of an adopted site is kept."""
    return state_dir() / "targets" / name


@dataclass(frozen=True)
class Checked:
    """A site's file that AWS agrees with: what is known, and what is not."""

    conf: AccountConf
    access: AwsAccess
    state: State
    found: Discovered


def check(conf: AccountConf, folder: Path) -> Checked:
    """Find out by AWS's API alone what can be known of a site; nothing is entered. Raises IslandingError."""
    import botocore.exceptions  # importing botocore takes most of a second

    access = accesses.access(conf, folder)
    try:
        state = read(conf, lambda service: calls.client(access, service))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise IslandingError(f"AWS does not say what {conf.name} is: {error}") from error
    return Checked(conf, access, state, discovery.discover(conf, state))


def adopt(conf: AccountConf, step: Step) -> Site:
    """Find out all that there is to know of a site, and write its description; `step` is told what goes on.

    Raises IslandingError for what no case could do without: the way in, nodes, and a workload.
    """
    folder = folder_of(conf.name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    checked = check(conf, folder)
    step(f"cluster {conf.cluster} found; {len(checked.found.facts)} facts by AWS's API")
    site = Adoption(checked, folder, step).site()
    site.save(folder / "site.json")
    return site


class Adoption:
    """One adoption under way."""

    def __init__(self, checked: Checked, folder: Path, step: Step) -> None:
        self.checked = checked
        self.conf, self.access, self.state = checked.conf, checked.access, checked.state
        self.folder = folder
        self.step = step
        self.ssh_config = folder / description.SSH_CONFIG
        self.look = Look(self.conf, self.state, self.state.tagged)
        self.workstation = Place(name=WORKSTATION, role="workstation", address="", env=self._environment())

    def site(self) -> Site:
        """The site's description."""
        jumps = self._jumps()
        self.ssh_config.write_text(outpost.hosts(self.conf, jumps) + jumps.text())
        operator = self._operator(jumps)
        kubeconfig = self._kubeconfig(operator, self.conf.operator.kubeconfig)
        asking = Asking(operator, kubeconfig)
        nodes = inside.nodes(asking.items("get", "nodes"), self.state.addresses)
        self.step(f"the operator sees {len(nodes)} nodes")
        workers = tuple(node for node in nodes if node.role == "worker")
        workload = self._workload(asking, workers)
        self.step(f"workload {workload.name} at {workload.url}")
        found = discovery.discover(self.conf, self.state, [node.instance_id for node in workers], workload.image)
        facts, lacking = dict(found.facts), dict(found.lacking)
        self._own_address(facts, lacking)
        others = outpost.places(self.conf, self.ssh_config)
        self.workstation = self.workstation.model_copy(update={"address": facts.get("workstation_address", "")})
        note = "the operator, with what is there"
        elsewhere = {place.name: self._kubeconfig_in_region(place) for place in others if place.role == "region"}
        identity = Identity(name="operator", kind="iam", kubeconfig=kubeconfig, note=note, elsewhere=elsewhere)
        creator = self._creator(jumps, lacking) if cases_for(self.conf.like, CREATOR) else ()
        return description.describe(
            self.conf,
            self.state,
            self.access,
            self.folder,
            Discovered(facts, lacking),
            places=(*self._places(operator, nodes, creator), *others),
            identities=(identity, *self._identities(operator), *(who for who, _ in creator)),
            workload=workload,
            nodes=nodes,
        )

    def _places(
        self, operator: Place, nodes: tuple[Node, ...], creator: tuple[tuple[Identity, Place], ...]
    ) -> tuple[Place, ...]:
        bastion = self.conf.reach.bastion
        return (
            self.workstation,
            *([by_ssh(self.ssh_config, "bastion", "bastion", str(bastion))] if bastion else []),
            operator,
            operator.model_copy(update={"name": "client", "role": "client"}),
            *(by_ssh(self.ssh_config, n.address, _ROLES[n.role], n.address, "sudo", "--") for n in nodes),
            *(place for _, place in creator if place.name != WORKSTATION),
        )

    # -- the way in --------------------------------------------------------------------------------------------------

    def _jumps(self) -> Jumps:
        reach = self.conf.reach
        sockets = self.folder / "s"
        sockets.mkdir(mode=0o700, exist_ok=True)
        ranges = self._needed(self.look.worker_ranges, "reach.nodes")
        jumps = Jumps(
            bastion=str(reach.bastion or ""),
            operator="",
            nodes=ranges,
            user=reach.user,
            key=Path(reach.key or os.devnull).expanduser().absolute(),
            known_hosts=self.folder / "known_hosts",
            sockets=sockets,
            bastion_user=reach.bastion_user,
            trusted=False,
            tunnel=free_port(),
        )
        if reach.kind == "direct" and not self.conf.operator.instance:
            return jumps
        instance = self._needed(self.look.operator, "operator.instance")
        if reach.kind == "ssm":
            return replace(jumps, operator=instance.id, command=self._session_manager())
        return replace(jumps, operator=instance.address)

    def _session_manager(self) -> str:
        profile = self.access.env.get("AWS_PROFILE", "")
        more = f" --profile {profile}" if profile else ""
        document = "--document-name AWS-StartSSHSession --parameters portNumber=%p"
        return f"aws ssm start-session --target %h {document} --region {self.conf.region}{more}"

    def _needed(self, find: Callable[[], Any], where: str) -> Any:
        try:
            return find()
        except Lack as lack:
            raise SetupError(
                f"{self.conf.name} cannot be adopted: {lack}", f"say it in the file by `{where}`"
            ) from lack

    def _operator(self, jumps: Jumps) -> Place:
        if not jumps.operator:
            return self.workstation.model_copy(update={"name": "operator", "role": "operator"})
        address = self._needed(self.look.operator, "operator.instance").address
        place = by_ssh(self.ssh_config, "operator", "operator", address)
        return place.model_copy(update={"env": {"AWS_DEFAULT_REGION": self.conf.region}})

    def _kubeconfig(self, place: Place, given: str, who: str = "the operator", where: str = "operator") -> str:
        """Where a kubeconfig lies at a place; raises SetupError when it does not."""
        done = place.run(["sh", "-c", f"cd && realpath -e {given}"], check=False)
        if not done.ok:
            said = done.stderr.strip()[-500:]
            raise SetupError(f"{who} has no kubeconfig {given}: {said}", f"say it in the file by `{where}`")
        return done.stdout.strip()

    def _kubeconfig_in_region(self, place: Place) -> str:
        view = self.conf.region_view
        return self._kubeconfig(place, view.kubeconfig, "whoever looks from the Region", "region_view") if view else ""

    def _identities(self, operator: Place) -> tuple[Identity, ...]:
        """Those whom the file names beside the operator."""
        return tuple(
            Identity(name=one.name, kind=one.kind, note=one.note, kubeconfig=self._kubeconfig(operator, one.kubeconfig,
                     one.name, "identities"))
            for one in self.conf.identities
        )  # fmt: skip

    def _own_address(self, facts: dict[str, str], lacking: dict[str, str]) -> None:
        """The address of this computer, as sshd at the bastion sees it."""
        name = "workstation_address"
        if name in facts or name not in self.conf.known_facts:
            return
        if self.conf.reach.kind != "ssh":
            lacking[name] = f"`reach: {self.conf.reach.kind}` has no bastion that could tell"
            return
        done = by_ssh(self.ssh_config, "bastion", "bastion", "").run(
            ["sh", "-c", "echo ${SSH_CONNECTION%% *}"], check=False
        )
        try:
            facts[name] = str(ip_address(done.stdout.strip()))
            lacking.pop(name, None)
        except ValueError:
            lacking[name] = f"the bastion does not tell: {(done.stderr or done.stdout).strip()[-200:]}"

    # -- the cluster -------------------------------------------------------------------------------------------------

    def _workload(self, asking: Asking, nodes: tuple[Node, ...]) -> Workload:
        space = f"--namespace={self.conf.workload.namespace}"
        services, deployments = asking.items("get", "services", space), asking.items("get", "deployments", space)
        return inside.workload(self.conf, services, deployments, nodes[0].address)

    def _creator(self, jumps: Jumps, lacking: dict[str, str]) -> tuple[tuple[Identity, Place], ...]:
        """Identity and place of this computer's own user, where the cluster makes an administrator of them."""
        path = self.folder / "creator.kubeconfig"
        place = self.workstation
        proxy = ""
        if jumps.operator:
            if not jumps.shares:
                lacking[CREATOR] = f"{jumps.sockets} is too long a path for SSH's sockets (ISLANDING_STATE)"
                return ()
            place = tunnelled(place, self.ssh_config, CREATOR)
            proxy = f"socks5://127.0.0.1:{jumps.tunnel}"
        path.touch(mode=0o600)
        path.write_text(inside.kubeconfig(self.state.cluster, self.access, proxy=proxy))
        refused = Asking(place, str(path)).is_administrator()
        if refused:
            lacking[CREATOR] = f"the cluster makes no administrator of whoever calls AWS here: {refused}"
            return ()
        note = "whoever calls AWS, from this computer"
        who = Identity(name=CREATOR, kind="iam", kubeconfig=str(path), note=note, place=place.name)
        return ((who, place),)

    def _environment(self) -> dict[str, str]:
        own = {} if self.conf.has_routers else {"KUBECONFIG": str(self.folder / "creator.kubeconfig")}
        return {**self.access.env, **own}
