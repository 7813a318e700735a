"""An interface endpoint's private DNS is switched off: the service's name means its public addresses again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from islanding.faults._endpoint import OnEndpoint, as_before, attributes, find_live, live
from islanding.faults._fault import Health
from islanding.faults._plan import AwsCall, FaultError, Plan, found, new_id
from islanding.model import Site


@dataclass(frozen=True)
class EndpointPrivateDnsOff(OnEndpoint):
    """`ec2.modify_vpc_endpoint(PrivateDnsEnabled=False)`; the endpoint itself stays, and answers at its addresses.

    AWS puts it back only while the VPC has both of its DNS attributes.
    """

    type: Literal["Interface"] = "Interface"  # a gateway endpoint has no name of its own

    kind = "endpoint-private-dns-off"
    slow_on_aws = 300.0

    def plan(self, site: Site) -> Plan:
        raw = self.endpoint(site)
        id, before = raw["VpcEndpointId"], attributes(raw)
        if not before["private_dns"]:
            raise FaultError(f"private DNS of {id} ({before['service']}) is off already", "islanding heal")
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"private DNS of {id} ({before['service']})",
            summary=f"private DNS off: ec2.modify_vpc_endpoint({id}, PrivateDnsEnabled=False)",
            before=before,
            apply=(
                AwsCall(
                    service="ec2",
                    operation="modify_vpc_endpoint",
                    arguments={"VpcEndpointId": id, "PrivateDnsEnabled": False},
                ),
            ),
            undo=(
                AwsCall(
                    service="ec2",
                    operation="modify_vpc_endpoint",
                    arguments={"VpcEndpointId": found("endpoint"), "PrivateDnsEnabled": True},
                    find={"endpoint": find_live(before)},
                    unless=find_live(before, "PrivateDnsEnabled"),
                ),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        there = live(site, plan.before) or {}
        on = bool(there.get("PrivateDnsEnabled"))
        return Health(bool(there) and not on, f"private DNS is {'on' if on else 'off'}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return as_before(site, plan.before)
