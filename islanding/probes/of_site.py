"""Probes of a site: the same probes, with addresses, identities and places filled in from the site's description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from islanding.errors import SetupError
from islanding.model import Identity, Place, Router, Session, Site
from islanding.probes import make
from islanding.probes.base import Probe

# What is said of a site in place of a probe's own parameters.
FROM_SITE = {"bgp": {"session"}, "node": {"identity"}}


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
            "kubeconfig": who.kubeconfig,
            "identity": who.name,
            "method": who.kind,
            "place": self._at("operator").name,
        }
        return make("kubectl", **{**filled, **parameters})

    def nodes(self, *names: str, identity: str = "", **parameters: Any) -> Probe:
        """The Ready condition of these nodes (none: of all workers), asked by an identity (default: an X.509 one)."""
        who = self._identity(identity)
        filled = {
            "nodes": names or tuple(node.name for node in self.site.workers),
            "kubeconfig": who.kubeconfig,
            "place": self._at("operator").name,
        }
        return make("node", **{**filled, **parameters})

    def http(self, url: str = "", **parameters: Any) -> Probe:
        """HTTP with a new connection each time, to the workload unless a URL is given."""
        filled = {"url": url or self.site.workload.url, "place": self._at("client").name}
        return make("http", **{**filled, **parameters})

    def http_stream(self, url: str = "", **parameters: Any) -> Probe:
        """HTTP over one long-lived connection, to the workload unless a URL is given."""
        filled = {"url": url or self.site.workload.url, "place": self._at("client").name}
        return make("http-stream", **{**filled, **parameters})

    def dns(self, hostname: str, **parameters: Any) -> Probe:
        """The address of a name, by the operator's own resolver and hosts file, or asked of `server`."""
        return make("dns", **{"hostname": hostname, "place": self._at("operator").name, **parameters})

    def tcp(self, host: str, port: int, **parameters: Any) -> Probe:
        """A TCP connection from the operator's place."""
        return make("tcp", **{"host": host, "port": port, "place": self._at("operator").name, **parameters})

    def bgp(self, session: str = "service-link", **parameters: Any) -> Probe:
        """The state of a BGP session, as the router at this end of it tells."""
        found: Session = self._named(self.site.session, session)
        router: Router = self._named(self.site.router, found.router)
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

    def make(self, kind: str, **parameters: Any) -> Probe:
        """A probe by its kind's name, filled in like the method of that name; for experiments."""
        if kind == "kubectl":
            return self.kubectl(*parameters.pop("args", ()), **parameters)
        if kind == "node":
            return self.nodes(*parameters.pop("nodes", ()), **parameters)
        methods: dict[str, Callable[..., Probe]] = {
            "http": self.http,
            "http-stream": self.http_stream,
            "dns": self.dns,
            "tcp": self.tcp,
            "bgp": self.bgp,
            "service-link": self.service_link,
        }
        if kind not in methods:
            return make(kind, **parameters)  # raises, and lists the kinds
        try:
            return methods[kind](**parameters)
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
