"""Subnets get a network ACL that denies everything: stateless, so that open connections end in silence too."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults._aws import Find
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import AwsCall, FaultError, Plan, found, new_id
from islanding.faults._vpc import TAG, by, by_tag, ec2, facts, once, tagged
from islanding.model import Site


@dataclass(frozen=True)
class SubnetNaclCut(Fault):
    """`subnet_ids` (default: the workers' subnets) are associated with a new network ACL, which denies all both ways.

    The ACL bears the fault's id as a tag; undoing associates each subnet with its former ACL and deletes the new one.
    Within a subnet no network ACL applies.
    """

    subnet_ids: tuple[str, ...] = ()

    kind = "subnet-nacl-cut"

    def plan(self, site: Site) -> Plan:
        subnets = facts(site, "worker_subnet_ids", self.subnet_ids, "subnet_ids")
        acls = ec2(site, "describe_network_acls", Filters=by(**{"association.subnet-id": subnets}))["NetworkAcls"]
        former = {
            link["SubnetId"]: acl["NetworkAclId"]
            for acl in acls
            for link in acl["Associations"]
            if link["SubnetId"] in subnets
        }
        vpcs = {acl["VpcId"] for acl in acls}
        if missing := sorted(set(subnets) - set(former)):
            raise FaultError(f"EC2 has no network ACL of {', '.join(missing)}: is there such a subnet?")
        if len(vpcs) != 1:
            raise FaultError(f"{', '.join(subnets)} are in several VPCs: {', '.join(sorted(vpcs))}", "one fault each")
        [vpc] = vpcs
        id = new_id()
        mine = _mine(id)
        return Plan(
            id=id,
            kind=self.kind,
            target=", ".join(subnets),
            summary=f"subnets cut: ec2.replace_network_acl_association({', '.join(subnets)}, an ACL that denies all)",
            before={"acls": former},
            apply=(
                AwsCall(
                    service="ec2",
                    operation="create_network_acl",  # a new one denies all (VPC user guide, custom network ACLs)
                    arguments={"VpcId": vpc, **tagged("network-acl", [{"Key": TAG, "Value": id}]), **once(id)},
                    unless=mine,
                ),
                *(
                    AwsCall(
                        service="ec2",
                        operation="replace_network_acl_association",
                        arguments={"AssociationId": found("association"), "NetworkAclId": found("acl")},
                        find={"acl": mine, "association": _association(subnet)},
                    )
                    for subnet in subnets
                ),
            ),
            undo=(
                *(
                    AwsCall(
                        service="ec2",
                        operation="replace_network_acl_association",
                        arguments={"AssociationId": found("association"), "NetworkAclId": acl},
                        find={"association": _association(subnet)},
                        unless=_association(subnet, acl),
                    )
                    for subnet, acl in former.items()
                ),
                AwsCall(
                    service="ec2",
                    operation="delete_network_acl",
                    arguments={"NetworkAclId": found("acl")},
                    find={"acl": mine},
                    when_found=True,
                    accept=("InvalidNetworkAclID.NotFound",),
                ),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        acls = ec2(site, "describe_network_acls", Filters=by_tag(TAG, plan.id))["NetworkAcls"]
        cut = {link["SubnetId"] for acl in acls for link in acl["Associations"]}
        left = sorted(set(plan.before["acls"]) - cut)
        return Health(not left, f"not cut: {', '.join(left)}" if left else f"cut: {', '.join(sorted(cut))}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        acls = ec2(site, "describe_network_acls")["NetworkAcls"]
        now = {link["SubnetId"]: acl["NetworkAclId"] for acl in acls for link in acl["Associations"]}
        other = [
            f"{subnet} has {now.get(subnet)}" for subnet, acl in plan.before["acls"].items() if now.get(subnet) != acl
        ]
        mine = [acl["NetworkAclId"] for acl in acls if {"Key": TAG, "Value": plan.id} in (acl.get("Tags") or [])]
        seen = [*other, *(f"{id} is still there" for id in mine)]
        return Health(not seen, "; ".join(seen) or "each subnet has its own network ACL")


def _mine(id: str) -> Find:
    return Find(
        operation="describe_network_acls",
        arguments={"Filters": by_tag(TAG, id)},
        select="NetworkAcls[0].NetworkAclId",
    )


def _association(subnet: str, acl: str = "") -> Find:
    """The present association of a subnet, whichever ACL it is with; only if it is with `acl` where one is named."""
    test = f"SubnetId=='{subnet}'" + (f" && NetworkAclId=='{acl}'" if acl else "")
    return Find(
        operation="describe_network_acls",
        arguments={"Filters": by(**{"association.subnet-id": subnet})},
        select=f"NetworkAcls[].Associations[?{test}].NetworkAclAssociationId[] | [0]",
    )
