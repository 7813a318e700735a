"""What the faults on BGP sessions share: reading a session's state from FRR, and telling when it is back as before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from islanding.faults._fault import Health
from islanding.faults._plan import FaultError, vtysh
from islanding.model import Router, Session, Site

SessionName = Literal["service-link", "local-gateway"]


def session_of(site: Site, name: str) -> Session:
    """The site's session of that name; raises FaultError naming those that it has."""
    try:
        return site.session(name)
    except KeyError as unknown:
        raise FaultError(f"{site.name} has {unknown.args[0]}") from unknown


def established(site: Site, session: Session) -> dict[str, Any]:
    """The session's state before a cut, as data; raises FaultError when it is not up: its cut would prove nothing."""
    seen = neighbor(site, session)
    if seen.get("bgpState") != "Established":
        raise FaultError(
            f"the {session.name} session of {session.router} with {session.neighbor} is "
            f"{seen.get('bgpState', 'unknown to FRR')}, not Established",
            "if an earlier run left it so: islanding heal",
        )
    local = str(seen.get("hostLocal", ""))
    return {"local": local, "routes": _reach(site, session, local, routes(site, session))}


def neighbor(site: Site, session: Session) -> dict[str, Any]:
    """FRR's `show bgp neighbors X json` for the session's peer; {} when FRR has no such peer."""
    shown = _show(site.router(session.router), f"show bgp neighbors {session.neighbor} json")
    found = shown.get(session.neighbor, {})
    return found if isinstance(found, dict) else {}


def routes(site: Site, session: Session) -> list[str]:
    """The prefixes learnt by BGP that the router's kernel now forwards over the session's interface."""
    hops = _forwarded(site.router(session.router), session)
    return sorted({prefix for prefix, hop in hops if hop.get("interfaceName") == session.interface})


def is_back(site: Site, session: Session, before: dict[str, Any]) -> Health:
    """Whether the session is Established, and each route that it gave before is in the kernel of each router again.

    Not of this router alone: what its peer and the routers beyond learn from it comes back later.
    """
    state = neighbor(site, session).get("bgpState", "unknown to FRR")
    if state != "Established":
        return Health(False, f"{session.name} session {state}")
    now = _reach(site, session, before["local"], before["routes"][session.router])
    missing = [
        f"{prefix} at {router}"
        for router, prefixes in before["routes"].items()
        for prefix in sorted(set(prefixes) - set(now.get(router, [])))
    ]
    said = f"{session.name} session Established"
    return Health(not missing, said + (f", routes missing: {', '.join(missing)}" if missing else ""))


def _reach(site: Site, session: Session, local: str, given: list[str]) -> dict[str, list[str]]:
    """By router, the routes that depend on the session.

    Its own over the session's interface; its peer's by way of our address `local`; the others' to what the session
    has `given`.
    """
    found = {session.router: routes(site, session)}
    for router in site.routers:
        if router.name == session.router:
            continue
        hops = _forwarded(router, session)
        if router.name == session.neighbor_router:
            found[router.name] = sorted({prefix for prefix, hop in hops if hop.get("ip") == local})
        else:
            found[router.name] = sorted({prefix for prefix, _ in hops if prefix in given})
    return found


def _forwarded(router: Router, session: Session) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each prefix learnt by BGP with each next hop that the router's kernel has for it."""
    family = "ipv6" if ":" in session.neighbor else "ip"
    for prefix, entries in _show(router, f"show {family} route bgp json").items():
        for entry in entries:
            yield from ((prefix, hop) for hop in entry.get("nexthops", []) if hop.get("fib"))


def _show(router: Router, command: str) -> dict[str, Any]:
    text = vtysh(router, command)
    try:
        shown = json.loads(text or "{}")
    except ValueError as error:
        raise FaultError(f"{router.name}: `{command}` printed no JSON: {text.strip()[:200]!r}") from error
    return shown if isinstance(shown, dict) else {}
