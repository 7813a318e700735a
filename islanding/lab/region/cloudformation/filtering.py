"""Resource types that filter packets: security groups and their rules, network ACLs and their entries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from islanding.lab.region.cloudformation.network import retag, tagged, tags
from islanding.lab.region.cloudformation.resource import Context, Made, Properties, chosen, resource_type, truth
from islanding.lab.region.cloudformation.template import invalid

_RULE = "!IpProtocol FromPort ToPort CidrIp CidrIpv6 Description"
_EVERYTHING = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


def permission(rule: Properties, direction: str) -> dict[str, Any]:
    """One rule of CloudFormation's as EC2's IpPermission; `direction` is ingress or egress."""
    protocol = str(rule["IpProtocol"])
    made: dict[str, Any] = {"IpProtocol": protocol}
    if protocol != "-1" and "FromPort" in rule:
        made |= {"FromPort": int(rule["FromPort"]), "ToPort": int(rule["ToPort"])}
    note = {"Description": str(rule["Description"])} if rule.get("Description") else {}
    side = "Source" if direction == "ingress" else "Destination"
    if "CidrIp" in rule:
        made["IpRanges"] = [{"CidrIp": rule["CidrIp"], **note}]
    elif "CidrIpv6" in rule:
        made["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **note}]
    elif f"{side}SecurityGroupId" in rule:
        owner = {"UserId": str(rule["SourceSecurityGroupOwnerId"])} if "SourceSecurityGroupOwnerId" in rule else {}
        made["UserIdGroupPairs"] = [{"GroupId": rule[f"{side}SecurityGroupId"], **owner, **note}]
    elif f"{side}PrefixListId" in rule:
        made["PrefixListIds"] = [{"PrefixListId": rule[f"{side}PrefixListId"], **note}]
    else:
        raise invalid(f"Exactly one of CidrIp, CidrIpv6, {side}SecurityGroupId, {side}PrefixListId must be specified")
    return made


def _group(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted: dict[str, Any] = {"GroupName": str(p.get("GroupName") or c.name), "Description": p["GroupDescription"]}
    group = ec2.create_security_group(**wanted, **chosen(p, "VpcId"), **tags("security-group", p))["GroupId"]
    c.begin(group)
    _rules(c, group, {}, p)
    return Made(group, {"GroupId": group, "Id": group, "VpcId": str(p.get("VpcId", ""))})


def _listed(properties: Properties, direction: str) -> list[dict[str, Any]]:
    rules = [permission(r, direction) for r in properties.get(f"SecurityGroup{direction.capitalize()}") or []]
    # Own rules for what goes out take the place of the one that lets everything out (CloudFormation, SecurityGroup).
    return rules or (_EVERYTHING if direction == "egress" else [])


def _rules(c: Context, group: str, old: Properties, new: Properties) -> None:
    """Bring the group's own rules from old to new; a rule that is there, or gone, already is as good."""
    ec2 = c.clients("ec2")
    for direction, authorize, revoke in (
        ("ingress", ec2.authorize_security_group_ingress, ec2.revoke_security_group_ingress),
        ("egress", ec2.authorize_security_group_egress, ec2.revoke_security_group_egress),
    ):
        before, after = _listed(old, direction), _listed(new, direction)
        for rule in (r for r in before if r not in after):
            _unless("InvalidPermission.NotFound", revoke, group, rule)
        for rule in (r for r in after if r not in before):
            _unless("InvalidPermission.Duplicate", authorize, group, rule)


def _unless(code: str, call: Callable[..., Any], group: str, rule: dict[str, Any]) -> None:
    try:
        call(GroupId=group, IpPermissions=[rule])
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise


def _group_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    _rules(c, made.id, old, new)
    retag(c, made.id, old, new)
    return made


resource_type(
    "AWS::EC2::SecurityGroup", "GroupName !GroupDescription VpcId SecurityGroupIngress SecurityGroupEgress Tags",
    _group, lambda c, i, _p: c.clients("ec2").delete_security_group(GroupId=i), _group_changed,
    "SecurityGroupIngress SecurityGroupEgress Tags",
)  # fmt: skip


def _ingress(c: Context, p: Properties) -> Made:
    rules = [permission(p, "ingress")]
    made = c.clients("ec2").authorize_security_group_ingress(GroupId=p["GroupId"], IpPermissions=rules)
    return Made(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])


def _egress(c: Context, p: Properties) -> Made:
    rules = [permission(p, "egress")]
    made = c.clients("ec2").authorize_security_group_egress(GroupId=p["GroupId"], IpPermissions=rules)
    return Made(made["SecurityGroupRules"][0]["SecurityGroupRuleId"])


def _ingress_gone(c: Context, _i: str, p: Properties) -> None:
    rules = [permission(p, "ingress")]
    c.clients("ec2").revoke_security_group_ingress(GroupId=p["GroupId"], IpPermissions=rules)


def _egress_gone(c: Context, _i: str, p: Properties) -> None:
    rules = [permission(p, "egress")]
    c.clients("ec2").revoke_security_group_egress(GroupId=p["GroupId"], IpPermissions=rules)


resource_type(
    "AWS::EC2::SecurityGroupIngress",
    f"!GroupId {_RULE} SourceSecurityGroupId SourceSecurityGroupOwnerId SourcePrefixListId", _ingress, _ingress_gone,
)  # fmt: skip
resource_type(
    "AWS::EC2::SecurityGroupEgress", f"!GroupId {_RULE} DestinationSecurityGroupId DestinationPrefixListId", _egress,
    _egress_gone,
)  # fmt: skip


def _acl(c: Context, p: Properties) -> Made:
    made = c.clients("ec2").create_network_acl(VpcId=p["VpcId"], **tags("network-acl", p))["NetworkAcl"]
    return Made(made["NetworkAclId"], {"Id": made["NetworkAclId"]})


resource_type(
    "AWS::EC2::NetworkAcl", "!VpcId Tags", _acl,
    lambda c, i, _p: c.clients("ec2").delete_network_acl(NetworkAclId=i), tagged, "Tags",
)  # fmt: skip


def _entry(p: Properties) -> dict[str, Any]:
    wanted = chosen(p, "NetworkAclId RuleAction CidrBlock Ipv6CidrBlock")
    wanted |= {
        "RuleNumber": int(p["RuleNumber"]), "Protocol": str(p["Protocol"]), "Egress": truth(p.get("Egress", False)),
    }  # fmt: skip
    if "PortRange" in p:
        wanted["PortRange"] = {k: int(v) for k, v in p["PortRange"].items()}
    if "Icmp" in p:
        wanted["IcmpTypeCode"] = {k: int(v) for k, v in p["Icmp"].items()}
    return wanted


def _acl_entry(c: Context, p: Properties) -> Made:
    c.clients("ec2").create_network_acl_entry(**_entry(p))
    return Made(f"{p['NetworkAclId']}|{p['RuleNumber']}|{truth(p.get('Egress', False))}")


def _acl_entry_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    c.clients("ec2").replace_network_acl_entry(**_entry(new))
    return made


def _acl_entry_gone(c: Context, _i: str, p: Properties) -> None:
    c.clients("ec2").delete_network_acl_entry(
        NetworkAclId=p["NetworkAclId"], RuleNumber=int(p["RuleNumber"]), Egress=truth(p.get("Egress", False))
    )


resource_type(
    "AWS::EC2::NetworkAclEntry",
    "!NetworkAclId !RuleNumber !Protocol !RuleAction Egress CidrBlock Ipv6CidrBlock PortRange Icmp", _acl_entry,
    _acl_entry_gone, _acl_entry_changed, "Protocol RuleAction CidrBlock Ipv6CidrBlock PortRange Icmp",
)  # fmt: skip


def _acl_of(c: Context, subnet: str, *, default: bool) -> tuple[str, str]:
    """(association, ACL) of a subnet, or (nothing, the default ACL of its VPC)."""
    ec2 = c.clients("ec2")
    if default:
        vpc = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["VpcId"]
        rule = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "default", "Values": ["true"]}]
        return "", str(ec2.describe_network_acls(Filters=rule)["NetworkAcls"][0]["NetworkAclId"])
    mine = [{"Name": "association.subnet-id", "Values": [subnet]}]
    acl = ec2.describe_network_acls(Filters=mine)["NetworkAcls"][0]
    found = next(a for a in acl["Associations"] if a["SubnetId"] == subnet)
    return str(found["NetworkAclAssociationId"]), str(acl["NetworkAclId"])


def _acl_association(c: Context, p: Properties) -> Made:
    association, _acl_id = _acl_of(c, p["SubnetId"], default=False)
    made = c.clients("ec2").replace_network_acl_association(AssociationId=association, NetworkAclId=p["NetworkAclId"])
    return Made(made["NewAssociationId"], {"AssociationId": made["NewAssociationId"]})


def _acl_association_gone(c: Context, _i: str, p: Properties) -> None:
    association, _acl_id = _acl_of(c, p["SubnetId"], default=False)
    _none, default = _acl_of(c, p["SubnetId"], default=True)
    c.clients("ec2").replace_network_acl_association(AssociationId=association, NetworkAclId=default)


resource_type(
    "AWS::EC2::SubnetNetworkAclAssociation", "!SubnetId !NetworkAclId", _acl_association, _acl_association_gone
)
