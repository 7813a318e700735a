"""A Direct Connect virtual interface is cut by AWS itself: a failover test holds its BGP sessions down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from islanding.aws import calls
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import AwsCall, FaultError, Plan, new_id
from islanding.model import Site

# A test is counted in whole minutes, so one is the least; three days are the most (API reference,
# StartBgpFailoverTest). How long until the interface's state follows is not published: `slow_on_aws` is generous.
SHORTEST, LONGEST = 1, 4320


@dataclass(frozen=True)
class VifFailoverTest(Fault):
    """AWS takes down the BGP sessions of `virtual_interface_id`, which goes to `testing`: all, or those of `bgp_peers`.

    AWS ends the test by itself after `minutes`, even if nobody is left to stop it; undoing stops it before that. The
    interface may be left out where the account has one.
    """

    virtual_interface_id: str = ""
    bgp_peers: tuple[str, ...] = ()
    minutes: int = 10

    kind = "vif-failover-test"
    slow_on_aws = 300.0

    def __post_init__(self) -> None:
        if not SHORTEST <= self.minutes <= LONGEST:
            raise FaultError(f"{self.kind}: minutes is {self.minutes}", f"from {SHORTEST} to {LONGEST} whole minutes")

    def plan(self, site: Site) -> Plan:
        interface = self._interface(site)
        id, state = str(interface["virtualInterfaceId"]), interface.get("virtualInterfaceState")
        if state != "available":
            raise FaultError(f"{id} is {state}, not available", "if an earlier run left it testing: islanding heal")
        up = sorted(_up(interface))
        wanted = sorted(self.bgp_peers) or up
        down = sorted(set(wanted) - set(up))
        if down or not up:
            raise FaultError(f"{id} has no BGP peer {', '.join(down)} that is up", f"up: {', '.join(up) or 'none'}")
        arguments: dict[str, Any] = {"virtualInterfaceId": id, "testDurationInMinutes": self.minutes}
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"{id} ({', '.join(wanted)})",
            summary=f"failover test: directconnect.start_bgp_failover_test({id}), {self.minutes} minutes at most",
            before={"interface": id, "up": up, "tested": wanted},
            apply=(
                AwsCall(
                    service="directconnect",
                    operation="start_bgp_failover_test",
                    arguments=arguments | ({"bgpPeers": wanted} if self.bgp_peers else {}),
                ),
            ),
            undo=(
                AwsCall(
                    service="directconnect",
                    operation="stop_bgp_failover_test",
                    arguments={"virtualInterfaceId": id},
                    accept=("DirectConnectClientException",),  # there is no test: it has ended, or never began
                ),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        interface = _described(site, plan.before["interface"])
        state = str(interface.get("virtualInterfaceState"))
        still = sorted(set(plan.before["tested"]) & _up(interface))
        return Health(state == "testing" and not still, f"{state}; up: {', '.join(still) or 'no tested peer'}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        interface = _described(site, plan.before["interface"])
        state = str(interface.get("virtualInterfaceState"))
        missing = sorted(set(plan.before["up"]) - _up(interface))
        seen = f"{plan.before['interface']} is {state}" + (f"; not up: {', '.join(missing)}" if missing else "")
        return Health(state == "available" and not missing, seen)

    def _interface(self, site: Site) -> dict[str, Any]:
        if self.virtual_interface_id:
            return _described(site, self.virtual_interface_id)
        there = _interfaces(site)
        if len(there) != 1:
            known = ", ".join(str(one["virtualInterfaceId"]) for one in there) or "none"
            raise FaultError(
                f"the account does not have one Direct Connect virtual interface in {site.aws.region}",
                f"give the parameter virtual_interface_id; interfaces: {known}",
            )
        return there[0]


def _interfaces(site: Site, **arguments: str) -> list[dict[str, Any]]:
    reply = calls.call(site, "directconnect", "describe_virtual_interfaces", arguments)
    return [one for one in reply.get("virtualInterfaces", ()) if one.get("virtualInterfaceState") != "deleted"]


def _described(site: Site, id: str) -> dict[str, Any]:
    there = _interfaces(site, virtualInterfaceId=id)
    if not there:
        raise FaultError(f"there is no Direct Connect virtual interface {id} in {site.aws.region}")
    return there[0]


def _up(interface: dict[str, Any]) -> set[str]:
    return {str(peer["bgpPeerId"]) for peer in interface.get("bgpPeers", ()) if peer.get("bgpStatus") == "up"}
