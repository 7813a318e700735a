"""Probes of a site: the same probes, with addresses, identities and places filled in from the site's description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from islanding.errors import NotCoveredError, SetupError
from islanding.model import Identity, Place, Router, Session, Site
from islanding.probes import make
from islanding.probes.at_place import of_place
from islanding.probes.base import Probe
from islanding.probes.flow_counters import addresses_of
from islanding.sshlogin import login

# What is said of a site in place of a probe's own parameters.
FROM_SITE = {
    "bgp": {"session"},
    "node": {"identity"},
    "image-pull": {"identity"},
    "pod-start": {"identity"},
    "node-join": {"identity"},
    "flow-counters": {"services"},
}
PULL_PATH = ("ecr.api", "ecr.dkr", "s3")  # the endpoints of an image pull, in its order
_WORDS = {"kubectl": "args", "node": "nodes", "aws-call": "args", "ssh": "hops"}  # given to its method one by one
# A session for each sample, of which sshd lets ten share a connection (MaxSessions, sshd_config(5)).
_AFAR = {"interval": 1.0, "overlap": 4, "timeout": 20.0}
_FAR = {"timeout": 45.0}  # seconds for what is quick by itself, where SSH through two jumps comes before it


@dataclass(frozen=True)
class SiteProbes:
    """Makes probes for one site; each method takes a probe's own parameters (interval, timeout, name, ...) too.

    Operators' probes sample at the operator's place, clients' at the client's, and routers and CloudWatch are asked
    from this machine. Raises SetupError for a name that the site does not have.
    """

    site: Site

    def kubectl(self, *args: str, identity: str = "", **parameters: Any) -> Probe:
        """`kubectl ARGS` as an identity of the site (by name, or its kind when there is one of it)."""
        who = self._identity(identity)
        filled = {
            "args": args,
            "identity": who.name,
            "method": who.kind,
            **self._where_used(who, parameters.pop("place", "")),
        }
        return make("kubectl", **{**filled, **parameters})

    def nodes(self, *names: str, identity: str = "", **parameters: Any) -> Probe:
        """The Ready condition of these nodes (none: of all workers), asked by an identity (default: an X.509 one)."""
        who = self._identity(identity)
        filled = {
            "nodes": names or tuple(node.name for node in self.site.workers),
            **self._where_used(who, parameters.pop("place", "")),
        }
        return make("node", **{**filled, **parameters})

    def http(self, url: str = "", **parameters: Any) -> Probe:
        """HTTP with a new connection each time, to the workload unless a URL is given."""
        client = self._at("client")
        where = {"place": "", **of_place(client), **_AFAR} if client.by_ssh else {"place": client.name}
        return make("http", **{"url": url or self.site.workload.url, **where, **parameters})

    def http_stream(self, url: str = "", **parameters: Any) -> Probe:
        """HTTP over one long-lived connection, to the workload unless a URL is given."""
        filled = {"url": url or self.site.workload.url, "place": self._at("client").name}
        return make("http-stream", **{**filled, **parameters})

    def dns(self, hostname: str, **parameters: Any) -> Probe:
        """The address of a name, by the own resolver and hosts file of a place (`at`), or asked of `server`."""
        at = parameters.pop("at", "")
        if not at and "place" in parameters:
            return make("dns", **{"hostname": hostname, **parameters})
        place = self.place(at) if at else self._at("operator")
        filled = {"place": place.name} if not place.by_ssh else {"place": "", **of_place(place), **_FAR}
        return make("dns", **{"hostname": hostname, **filled, **parameters})

    def tcp(self, host: str, port: int, **parameters: Any) -> Probe:
        """A TCP connection from the operator's place."""
        return make("tcp", **{"host": host, "port": port, "place": self._at("operator").name, **parameters})

    def bgp(self, session: str = "service-link", **parameters: Any) -> Probe:
        """The state of a BGP session, as the router at this end of it tells."""
        found: Session = self._named(self.site.session, session)
        router: Router = self._named(self.site.router, found.router)
        if not router.vtysh:
            raise NotCoveredError(f"BGP is watched by FRR's shell, and {router.name} is driven as {router.driver}")
        filled = {"vtysh": router.vtysh, "neighbor": found.neighbor, "name": f"BGP {session}"}
        return make("bgp", **{**filled, **parameters})

    def service_link(self, **parameters: Any) -> Probe:
        """CloudWatch's ConnectedStatus of the site's Outpost."""
        if not self.site.outpost_arn:
            raise SetupError(f"site {self.site.name} has no Outpost", "the service-link probe needs one")
        filled = {
            "outpost_id": self.site.outpost_arn.rsplit("/", 1)[-1],
            "region": self.site.aws.region,
            "env": self.site.aws.env,
            "period": int(self.site.facts.get("metric_period", 60)),
            "name": "service link (CloudWatch)",
        }
        return make("service-link", **{**filled, **parameters})

    @property
    def metric_lag(self) -> float:
        """Seconds that CloudWatch is late with the Outpost's metrics: three periods, none for one value a second."""
        period = float(self.site.facts.get("metric_period", 60))
        return 3 * period if period > 1 else 0.0

    def image_pull(self, image: str, node: str, *, identity: str = "", **parameters: Any) -> Probe:
        """A pull of `image`, which the node has never seen, at a node of the site, for a pod."""
        at = self.place(node)
        name = next((one.name for one in self.site.nodes if at.name in (one.name, one.place)), node)
        of_node = {"node": name, "node_enter": at.enter, "node_by_ssh": at.by_ssh}
        return make("image-pull", **{"image": image, **of_node, **self._as(identity), **parameters})

    def pod_start(self, image: str, *, identity: str = "", **parameters: Any) -> Probe:
        """A pod with `image`, at the node named `node` or where the scheduler puts it."""
        return make("pod-start", **{"image": image, **self._as(identity), **parameters})

    def node_join(self, instance_id: str, *, identity: str = "", **parameters: Any) -> Probe:
        """How far a new instance is on its way to being a node; entered as the site's SSH configuration leads there."""
        login = self.site.machine("{address}").enter if "ssh_config" in self.site.facts else ()
        aws = {"region": self.site.aws.region, "aws_env": self.site.aws.env, "login": login}
        return make("node-join", **{"instance_id": instance_id, **aws, **self._as(identity), **parameters})

    def aws_call(self, *args: str, at: str, **parameters: Any) -> Probe:
        """`aws ARGS` at a place, with the role of the instance there."""
        filled = {"args": args, "region": self.site.aws.region, **of_place(self.place(at))}
        return make("aws-call", **{**filled, **parameters})

    def egress(self, host: str, *, at: str, **parameters: Any) -> Probe:
        """A try to reach `host` on the internet from a place."""
        return make("egress", **{"host": host, **of_place(self.place(at)), **parameters})

    def ssh(self, *hops: str, keys: tuple[str, ...] = (), **parameters: Any) -> Probe:
        """A login at the last of `hops` (USER@HOST) through those before it, from the user's own computer.

        Without `keys` hops are hosts of the site's SSH configuration, which says user, address and key of each.
        """
        if not keys and hops and "ssh_config" in self.site.facts and not any("@" in hop for hop in hops):
            way = login(self.site, *hops)
            hops, keys = way.hops, way.keys
        start = next((place.name for place in self.site.places if place.role == "workstation"), "")
        return make("ssh", **{"hops": hops, "keys": keys, "place": start, **parameters})

    def flow_counters(self, at: str, services: tuple[str, ...] = PULL_PATH, **parameters: Any) -> Probe:
        """Counters at a node for the endpoints of these services, whose addresses AWS is asked for now."""
        filled = {"endpoints": addresses_of(self.site, tuple(services)), **of_place(self.place(at))}
        return make("flow-counters", **{**filled, **parameters})

    def place(self, name: str) -> Place:
        """The place of that name, or that of the node of that name; `worker` is the first worker, whoever that is now.

        An experiment cannot know the names of nodes that come and go.
        """
        if name == "worker" and self.site.workers and all(name != place.name for place in self.site.places):
            return self.place(self.site.workers[0].name)
        for node in self.site.nodes:
            if name == node.name:
                return self.place(node.place) if node.place != name else self.site.place(name)
        found: Place = self._named(self.site.place, name)
        return found

    def make(self, kind: str, **parameters: Any) -> Probe:
        """A probe by its kind's name, filled in like the method of that name; for experiments."""
        methods: dict[str, Callable[..., Probe]] = {
            "kubectl": self.kubectl,
            "node": self.nodes,
            "http": self.http,
            "http-stream": self.http_stream,
            "dns": self.dns,
            "tcp": self.tcp,
            "bgp": self.bgp,
            "service-link": self.service_link,
            "image-pull": self.image_pull,
            "pod-start": self.pod_start,
            "node-join": self.node_join,
            "aws-call": self.aws_call,
            "egress": self.egress,
            "ssh": self.ssh,
            "flow-counters": self.flow_counters,
        }
        if kind not in methods:
            return make(kind, **parameters)  # raises, and lists the kinds
        words = parameters.pop(_WORDS[kind], ()) if kind in _WORDS else ()
        try:
            return methods[kind](*words, **parameters)
        except TypeError as missing:
            raise SetupError(f"{kind} probe: {str(missing).split('() ', 1)[-1]}") from None

    def _identity(self, name: str) -> Identity:
        known = self.site.identities
        if not known:
            raise SetupError(f"site {self.site.name} has no identities")
        if not name:
            return next((each for each in known if each.kind == "x509"), known[0])
        of_kind = [each for each in known if each.kind == name]
        if len(of_kind) == 1 and name not in {each.name for each in known}:
            return of_kind[0]
        found: Identity = self._named(self.site.identity, name)
        return found

    def _as(self, identity: str) -> dict[str, Any]:
        """Kubeconfig and place of an identity, for probes that run kubectl from here."""
        who = self._identity(identity)
        place = self.place(who.place) if who.place else self._at("operator")
        return {"kubeconfig": who.kubeconfig, **of_place(place)}

    def _where_used(self, who: Identity, at: str = "") -> dict[str, Any]:
        """Where an identity's kubectl runs (`at`: another place), and its kubeconfig there.

        It is sampled there, or entered from here where that takes SSH.
        """
        place = self.place(at or who.place) if at or who.place else self._at("operator")
        where = {"place": "", **of_place(place)} if place.by_ssh else {"place": place.name}
        return {"kubeconfig": who.kubeconfig_at(place.name), **where}

    def _at(self, role: str) -> Place:
        """The place of a role; a site without clients has its operator ask."""
        for wanted in (role, "operator"):
            for place in self.site.places:
                if place.role == wanted:
                    return place
        raise SetupError(f"site {self.site.name} has no place of role {role!r} and no operator")

    @staticmethod
    def _named(look: Any, name: str) -> Any:
        try:
            return look(name)
        except KeyError as unknown:
            raise SetupError(str(unknown.args[0])) from None
