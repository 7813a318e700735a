"""The words of the field, as data: site, place, router, node, identity, sample, expectation, verdict.

A `Site` is a plain description of something that runs, read from a file: the lab's supervisor writes it, discovery
writes it for a real account. Whoever holds it (a case, an experiment, a sampler, `islanding heal`) can act on the
site; nothing in it says how the site came to be.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from islanding.errors import NotCoveredError
from islanding.guardconf import Guardrails
from islanding.process import Result, run


class Verdict(StrEnum):
    """What a check came to; only PASS counts as passed."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"
    NOT_COVERED = "not covered"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


PlaceRole = Literal[
    "operator", "client", "router", "node", "control-plane", "proxy", "resolver", "region", "workstation", "bastion"
]
RouterRole = Literal["outpost-network-device", "customer-network-device", "region-edge"]
SessionName = Literal["service-link", "local-gateway", "wan"]


class Place(_Frozen):
    """Somewhere a command can be run: a desk on the site's LAN, a router, a node reached by SSH.

    `enter` is the argument vector put before a command so that it runs there; `env` is set for it by `env(1)`.
    """

    name: str
    role: PlaceRole
    address: str
    enter: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    by_ssh: bool = False  # True when `enter` ends in ssh, which joins its arguments into a shell line

    def argv(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The whole argument vector with which `command` runs at this place."""
        variables = {**self.env, **(env or {})}
        inner = [*(["env", *(f"{k}={v}" for k, v in variables.items())] if variables else []), *command]
        return [*self.enter, shlex.join(inner)] if self.by_ssh else [*self.enter, *inner]

    def run(
        self, command: Sequence[str], *, stdin: str | Path | None = None, timeout: float = 60.0, check: bool = True
    ) -> Result:
        """Run `command` here; see islanding.process.run for what is returned and raised."""
        return run(self.argv(command), stdin=stdin, timeout=timeout, check=check, host=self.name)


class RouterLogin(_Frozen):
    """How a router that is no Linux machine is reached by SSH; the secret itself is never in a site's description."""

    host: str
    port: int = 22
    user: str
    password_variable: str = ""  # environment variable that holds the password
    key_file: str = ""
    known_hosts: str = ""  # file; empty: the user's own
    ssh_config: str = ""  # OpenSSH's configuration with the hops that lead there


class Router(_Frozen):
    """A BGP router under the site's control; `driver` says how it is spoken to."""

    name: str
    role: RouterRole
    asn: int
    place: str  # name of the Place at which its commands run
    vtysh: tuple[str, ...] = ()  # the whole argument vector of its FRR shell from this machine, without -c
    driver: Literal["frr", "ios-xe", "junos"] = "frr"
    login: RouterLogin | None = None  # of the others


class Session(_Frozen):
    """An eBGP session as seen from one router; `interface` is that router's end of the link."""

    name: SessionName
    router: str
    neighbor: str  # the peer's address
    neighbor_router: str
    interface: str
    prefixes: tuple[str, ...] = ()  # what the peer announces over it


class Node(_Frozen):
    """A Kubernetes node that is also an instance."""

    name: str  # its name in the cluster
    instance_id: str
    address: str
    role: Literal["worker", "control-plane"]
    place: str  # name of the Place (by SSH from the site's LAN)


class Identity(_Frozen):
    """Somebody who uses kubectl: by IAM token or by X.509 client certificate."""

    name: str
    kind: Literal["iam", "x509"]
    kubeconfig: str  # path, valid at its place
    note: str = ""
    place: str = ""  # name of the Place where it is used; empty: the operator's
    elsewhere: dict[str, str] = Field(default_factory=dict)  # path of its kubeconfig at other places, by their names

    def kubeconfig_at(self, place: str) -> str:
        """The path of its kubeconfig at a place."""
        return self.elsewhere.get(place, self.kubeconfig)


class Cluster(_Frozen):
    """The site's Kubernetes cluster."""

    name: str
    arn: str
    version: str
    endpoint: str  # https://name[:port] as `describe-cluster` gives it
    control_plane: Literal["outpost", "region"]
    control_plane_addresses: tuple[str, ...]
    service_cidr: str
    pod_cidr: str


class Workload(_Frozen):
    """What runs on the cluster and must live through a cut."""

    name: str
    namespace: str
    replicas: int
    url: str  # as clients on the site's LAN reach it
    image: str


class AwsAccess(_Frozen):
    """How the runner itself calls AWS: boto3's environment (endpoint, CA bundle, credentials file, profile, region).

    `settle`: seconds for which a change may be unseen by some reads; see `aws.calls.settling` for a real account's.
    """

    region: str
    account: str
    env: dict[str, str] = Field(default_factory=dict)
    settle: float = Field(default=0.0, ge=0)


class Timers(_Frozen):
    """Physics of the site, in seconds: what a cut has to wait for."""

    bgp_hold: float
    node_grace: float
    eviction: float  # default toleration of an unreachable node


class Figure(_Frozen):
    """One node of the drawn topology. `x`, `y` on a grid (column, row)."""

    name: str
    label: str
    kind: Literal["region", "router", "outpost", "machine", "desk", "service"]
    x: float
    y: float


class Wire(_Frozen):
    """One line of the drawn topology; `session` names the BGP session that runs over it."""

    a: str
    b: str
    label: str = ""
    session: str = ""


class Topology(_Frozen):
    """The site as drawn in the report."""

    figures: tuple[Figure, ...] = ()
    wires: tuple[Wire, ...] = ()


class Facts(dict[str, str]):
    """What is known of a site by name; what could not be found out raises NotCoveredError that says why."""

    def __init__(self, known: Mapping[str, str], lacking: Mapping[str, str]) -> None:
        super().__init__(known)
        self._lacking = lacking

    def __missing__(self, name: str) -> str:
        if name in self._lacking:
            raise NotCoveredError(f"there is no {name} at this site: {self._lacking[name]}")
        raise KeyError(name)


class Site(_Frozen):
    """A running site."""

    name: str
    target: Literal["lab", "aws"]
    id: str  # lab id or account/cluster: two sites never share it
    folder: str  # where the site keeps its state and logs
    record: str = ""  # journal in which its keeper writes what goes wrong with it; none where nobody does, as on AWS
    outpost_arn: str = ""
    cluster: Cluster
    workload: Workload
    aws: AwsAccess
    timers: Timers
    places: tuple[Place, ...]
    routers: tuple[Router, ...] = ()
    sessions: tuple[Session, ...] = ()
    nodes: tuple[Node, ...] = ()
    identities: tuple[Identity, ...] = ()
    topology: Topology = Topology()
    fault_seconds: float = 600.0  # after which a fault is undone although its run still holds it
    facts: dict[str, str] = Field(default_factory=dict)  # parts and versions, deviations: printed in the report
    guardrails: Guardrails = Guardrails()  # within which faults may touch it
    lacking: dict[str, str] = Field(default_factory=dict)  # facts, places, identities not found out, and why

    @model_validator(mode="after")
    def _say_what_is_lacking(self) -> Self:
        object.__setattr__(self, "facts", Facts(self.facts, self.lacking))  # frozen for everybody else
        return self

    def require(self, name: str) -> None:
        """Raises NotCoveredError when nobody could find out what has this name, and the description says why."""
        if name in self.lacking:
            raise NotCoveredError(f"there is no {name} at this site: {self.lacking[name]}")

    def place(self, name: str) -> Place:
        """The place of that name; raises KeyError with the known names, NotCoveredError for one that is lacking."""
        self.require(name)
        return _named(self.places, name, "place")

    def machine(self, address: str, role: PlaceRole = "node") -> Place:
        """The instance at a private address, entered by SSH as the site's SSH configuration leads there, as root."""
        enter = ("ssh", "-F", self.facts["ssh_config"], address, "sudo", "--")
        return Place(name=address, role=role, address=address, enter=enter, by_ssh=True)

    def router(self, name_or_role: str) -> Router:
        """The router of that name or role; raises KeyError with the known names."""
        for router in self.routers:
            if router.role == name_or_role:
                return router
        return _named(self.routers, name_or_role, "router")

    def session(self, name: str) -> Session:
        """The BGP session of that name; raises KeyError with the known names."""
        return _named(self.sessions, name, "session")

    def node(self, name: str) -> Node:
        """The node of that name; raises KeyError with the known names."""
        return _named(self.nodes, name, "node")

    def identity(self, name: str) -> Identity:
        """The identity of that name; raises KeyError with the known names, NotCoveredError for one that is lacking."""
        self.require(name)
        return _named(self.identities, name, "identity")

    @property
    def workers(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.role == "worker")

    def save(self, path: Path) -> None:
        """Write the description where others can load it, whole or not at all."""
        temporary = path.with_suffix(".part")
        temporary.write_text(self.model_dump_json(indent=1, by_alias=True))
        temporary.rename(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a description written by `save`."""
        return cls.model_validate_json(path.read_text())


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=_HasName)


def _named(things: Sequence[N], name: str, what: str) -> N:
    for thing in things:
        if thing.name == name:
            return thing
    raise KeyError(f"no {what} {name!r}; there are: {', '.join(t.name for t in things)}")


class Sample(_Frozen):
    """One observation by a probe: CLOCK_MONOTONIC start and end in seconds, named outcome and raw text."""

    watch: str
    probe: str
    start: float
    end: float
    outcome: str
    text: str


class Window(_Frozen):
    """A span of CLOCK_MONOTONIC seconds."""

    start: float
    end: float
