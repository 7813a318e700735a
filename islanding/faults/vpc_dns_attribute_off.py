"""A VPC loses one of its DNS attributes: enableDnsSupport (its resolver) or enableDnsHostnames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from islanding.faults._fault import Fault, Health
from islanding.faults._plan import AwsCall, FaultError, Plan, new_id
from islanding.faults._vpc import ec2, fact
from islanding.model import Site


@dataclass(frozen=True)
class VpcDnsAttributeOff(Fault):
    """`attribute` of `vpc_id` (default: the site's own) is set to false, by `ec2.modify_vpc_attribute`.

    Without enableDnsSupport the VPC's resolver at .2 does not answer; private DNS of endpoints and private hosted zones
    need both attributes (VPC user guide, "DNS attributes in your VPC").
    """

    attribute: Literal["enableDnsSupport", "enableDnsHostnames"] = "enableDnsSupport"
    vpc_id: str = ""

    kind = "vpc-dns-attribute-off"
    slow_on_aws = 60.0

    def plan(self, site: Site) -> Plan:
        vpc = fact(site, "vpc_id", self.vpc_id, "vpc_id")
        if not _is_on(site, vpc, self.attribute):
            raise FaultError(f"{self.attribute} of {vpc} is off already", "islanding heal")
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"{self.attribute} of {vpc}",
            summary=f"VPC attribute off: ec2.modify_vpc_attribute({vpc}, {self.attribute}=False)",
            before={"vpc": vpc, "attribute": self.attribute},
            apply=(_set(vpc, self.attribute, value=False),),
            undo=(_set(vpc, self.attribute, value=True),),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        health = self.is_healed(site, plan)
        return Health(not health.ok, health.seen)

    def is_healed(self, site: Site, plan: Plan) -> Health:
        on = _is_on(site, plan.before["vpc"], plan.before["attribute"])
        return Health(on, f"{plan.before['attribute']} is {'on' if on else 'off'}")


def _set(vpc: str, attribute: str, *, value: bool) -> AwsCall:
    arguments = {"VpcId": vpc, _name(attribute): {"Value": value}}
    return AwsCall(service="ec2", operation="modify_vpc_attribute", arguments=arguments)


def _is_on(site: Site, vpc: str, attribute: str) -> bool:
    return bool(ec2(site, "describe_vpc_attribute", VpcId=vpc, Attribute=attribute)[_name(attribute)]["Value"])


def _name(attribute: str) -> str:
    """The attribute's name as the reply and the modifying call have it."""
    return attribute[0].upper() + attribute[1:]
