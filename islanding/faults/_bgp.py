"""What the faults on BGP sessions share: reading a session's state from its router, and telling when it is back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from islanding.faults._fault import Health
from islanding.faults._plan import Command, Configure, FaultError, Plan, Step, ask_of
from islanding.model import Router, Session, Site
from islanding.routers import RouterDriver, driver_of
from islanding.routers.driver import Ask, Change, End, Hop, Lines, Neighbor, Work

SessionName = Literal["service-link", "local-gateway"]


def session_of(site: Site, name: str) -> Session:
    """The site's session of that name; raises FaultError naming those that it has."""
    try:
        return site.session(name)
    except KeyError as unknown:
        raise FaultError(f"{site.name} has {unknown.args[0]}") from unknown


def at_router(site: Site, session: Session) -> tuple[RouterDriver, Ask, End]:
    """Who drives the session's router, how it is asked, and its end of the session."""
    router = site.router(session.router)
    return driver_of(router), ask_of(site, router), End(router.asn, session.neighbor, session.interface)


def planned(site: Site, session: Session, *, id: str, kind: str, target: str, before: dict[str, Any], change: Change,
            summary: str = "") -> Plan:  # fmt: skip
    """The plan of a change at the session's router."""
    router = site.router(session.router)
    return Plan(
        id=id,
        kind=kind,
        target=target,
        summary=summary or f"{change.said} at {router.name}",
        before=before,
        apply=_steps(router, change.apply),
        undo=_steps(router, change.undo),
    )


def established(site: Site, session: Session) -> dict[str, Any]:
    """The session's state before a cut, as data; raises FaultError when it is not up: its cut would prove nothing."""
    seen = neighbor(site, session)
    if seen.state != "Established":
        raise FaultError(
            f"the {session.name} session of {session.router} with {session.neighbor} is "
            f"{seen.state or 'unknown to the router'}, not Established",
            "if an earlier run left it so: islanding heal",
        )
    return {"local": seen.local, "routes": _reach(site, session, seen.local, routes(site, session))}


def neighbor(site: Site, session: Session) -> Neighbor:
    """The session's peer as the router sees it."""
    driver, ask, end = at_router(site, session)
    return driver.neighbor(ask, end)


def routes(site: Site, session: Session) -> list[str]:
    """The prefixes learnt by BGP that the router now forwards over the session's interface."""
    hops = _forwarded(site, site.router(session.router), session)
    return sorted({hop.prefix for hop in hops if _is_over(hop, session)})


def is_back(site: Site, session: Session, before: dict[str, Any]) -> Health:
    """Whether the session is Established, and each route that it gave before is in each router again.

    Not of this router alone: what its peer and the routers beyond learn from it comes back later.
    """
    state = neighbor(site, session).state or "unknown to the router"
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
        hops = _forwarded(site, router, session)
        if router.name == session.neighbor_router:
            found[router.name] = sorted({hop.prefix for hop in hops if hop.via == local})
        else:
            found[router.name] = sorted({hop.prefix for hop in hops if hop.prefix in given})
    return found


def _is_over(hop: Hop, session: Session) -> bool:
    """Whether a hop leads over the session: by its interface, or by the neighbor where a router names no interface."""
    return hop.interface == session.interface if hop.interface else hop.via == session.neighbor


def _forwarded(site: Site, router: Router, session: Session) -> list[Hop]:
    return driver_of(router).hops(ask_of(site, router), ipv6=":" in session.neighbor)


def _steps(router: Router, work: Iterable[Work]) -> tuple[Step, ...]:
    return tuple(
        Configure(router=router.name, commands=one.commands)
        if isinstance(one, Lines)
        else Command(place=router.place, argv=one.argv, stdin=one.stdin)
        for one in work
    )
