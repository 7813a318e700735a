"""A VPC endpoint is deleted, and made again with the same attributes: interface or gateway."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults._endpoint import OnEndpoint, as_before, attributes, creation, find_live, live, routed
from islanding.faults._fault import Health
from islanding.faults._plan import AwsCall, Plan, new_id
from islanding.faults._vpc import once
from islanding.model import Site


@dataclass(frozen=True)
class EndpointRemoved(OnEndpoint):
    """The endpoint is deleted (`ec2.delete_vpc_endpoints`) and created again to undo it.

    Subnets, groups, route tables, policy, private DNS and tags come back; its id and its private addresses do not, as
    AWS gives new ones: a policy elsewhere that names the id (`aws:sourceVpce`), and the CloudFormation stack that made
    it, still name the old one. Where that matters, take a narrower fault (endpoint-route-table-removed, ...).
    """

    kind = "endpoint-removed"
    slow_on_aws = 600.0

    def plan(self, site: Site) -> Plan:
        raw = self.endpoint(site)
        id, before = raw["VpcEndpointId"], attributes(raw)
        fault = new_id()
        return Plan(
            id=fault,
            kind=self.kind,
            target=f"{before['type'].lower()} endpoint {id} ({before['service']})",
            summary=f"endpoint removed: ec2.delete_vpc_endpoints({id}), {before['service']} in {before['vpc']}",
            before={**before, "routed": routed(site, raw)},
            apply=(
                AwsCall(
                    service="ec2",
                    operation="delete_vpc_endpoints",
                    arguments={"VpcEndpointIds": [id]},
                    accept=("InvalidVpcEndpointId.NotFound", "InvalidVpcEndpoint.NotFound"),
                ),
            ),
            undo=(
                AwsCall(
                    service="ec2",
                    operation="create_vpc_endpoint",
                    arguments={**creation(before), **once(fault)},
                    unless=find_live(before),
                ),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        there = live(site, plan.before)
        if there:
            return Health(False, f"{there['VpcEndpointId']} is {there['State']}")
        return Health(True, f"no endpoint for {plan.before['service']}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return as_before(site, plan.before)
