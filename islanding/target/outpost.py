"""An adopted Outpost's site: the machines that SSH leads to, its routers and their sessions; pure."""

from __future__ import annotations

import shlex
from pathlib import Path

from islanding.accountconf import AccountConf
from islanding.model import Place, PlaceRole, Router, RouterLogin, Session
from islanding.outpostconf import IDENTITIES, MachineConf, RouterConf, SessionConf
from islanding.sshconf import Jumps
from islanding.target.needs import cases_for
from islanding.target.wayin import by_ssh

REGION, RESOLVER = "region", "resolver"


def hosts(conf: AccountConf, jumps: Jumps) -> str:
    """The part of the SSH configuration that leads to routers, resolver and Region, straight from this computer."""
    found: dict[str, MachineConf] = {one.name: one for one in conf.routers if one.driver == "frr"}
    found |= {name: one for name, one in ((REGION, conf.region_view), (RESOLVER, conf.resolver)) if one is not None}
    return "".join(
        jumps.host(name, str(one.address), one.user, port=one.port, key=_path(one.key)) for name, one in found.items()
    )


def places(conf: AccountConf, config: Path) -> tuple[Place, ...]:
    """The same machines as places; routers and resolver are entered as root, somebody in the Region as themselves."""
    found = [_machine(config, one.name, "router", one) for one in conf.routers if one.driver == "frr"]
    if conf.resolver is not None:
        found.append(_machine(config, RESOLVER, "resolver", conf.resolver))
    if conf.region_view is not None:
        place = by_ssh(config, REGION, "region", str(conf.region_view.address))
        found.append(place.model_copy(update={"env": {"AWS_DEFAULT_REGION": conf.region}}))
    return tuple(found)


def lacking(conf: AccountConf, *, in_region: bool) -> dict[str, str]:
    """Places and identities that cases ask for and the file does not name, and why they are not there.

    `in_region`: the control plane is in the Region, so that somebody has to see it there.
    """
    missing = set(IDENTITIES) - {one.name for one in conf.identities}
    found = {
        name: f"the file names nobody so in `identities`: {IDENTITIES[name]}"
        for name in sorted(missing)
        if cases_for(conf.like, name)
    }
    if conf.resolver is None and cases_for(conf.like, RESOLVER):
        found[RESOLVER] = "the file names no `resolver` that could be reached by SSH"
    if conf.region_view is None and in_region:
        found[REGION] = "the file names nobody in the Region (`region_view`) who sees it while the Outpost is away"
    return found


def routers(conf: AccountConf, config: Path) -> tuple[Router, ...]:
    """The routers, each with how it is spoken to."""
    return tuple(_router(one, config) for one in conf.routers)


def sessions(conf: AccountConf) -> tuple[Session, ...]:
    """The BGP sessions as the routers at this end have them."""
    return tuple(_session(one) for one in conf.sessions)


def _machine(config: Path, name: str, role: PlaceRole, conf: MachineConf) -> Place:
    return by_ssh(config, name, role, str(conf.address), *_as_root(conf))


def _as_root(conf: MachineConf) -> tuple[str, ...]:
    return () if conf.user == "root" else ("sudo", "-n", "--")


def _router(conf: RouterConf, config: Path) -> Router:
    router = Router(name=conf.name, role=conf.role, asn=conf.asn, place=conf.name, driver=conf.driver)
    if conf.driver != "frr":
        login = RouterLogin(
            host=str(conf.address),
            port=conf.port,
            user=conf.user,
            password_variable=conf.password_variable,
            key_file=_path(conf.key),
            known_hosts=_path(conf.known_hosts),
        )
        return router.model_copy(update={"login": login})
    # ssh joins its arguments into one line for the shell there: each has to be quoted once more.
    line = f'exec ssh -F {shlex.quote(str(config))} {conf.name} "${{*@Q}}"'
    shell = shlex.split(conf.vtysh) or [*_as_root(conf), "vtysh"]
    return router.model_copy(update={"vtysh": ("bash", "-c", line, "bash", *shell)})


def _session(conf: SessionConf) -> Session:
    return Session(
        name=conf.name,
        router=conf.router,
        neighbor=str(conf.neighbor),
        neighbor_router=conf.neighbor_router,
        interface=conf.interface,
        prefixes=tuple(map(str, conf.prefixes)),
    )


def _path(given: str) -> str:
    return str(Path(given).expanduser().absolute()) if given else ""
