"""Rules of a security group are revoked, and authorized again word for word."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from islanding.faults._aws import Find
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import AwsCall, FaultError, Plan, new_id
from islanding.faults._vpc import by, ec2, fact, own_tags, tagged
from islanding.model import Site


@dataclass(frozen=True)
class SecurityGroupRuleRevoked(Fault):
    """Rules are revoked by `rule_ids`, or all of a group in one `direction` that let `port` through.

    The group is `group_id`, or `group`: the site's `endpoint`, `worker`, `control_plane` or `operator` group. Put back,
    a rule has the same source, ports, description and tags, and another id. As on AWS, connections that are tracked
    already live on.
    """

    rule_ids: tuple[str, ...] = ()
    group: Literal["", "endpoint", "worker", "control_plane", "operator"] = ""
    group_id: str = ""
    direction: Literal["ingress", "egress"] = "ingress"
    port: int | None = None

    kind = "security-group-rule-revoked"

    def plan(self, site: Site) -> Plan:
        rules = self._rules(site)
        groups = sorted({rule["GroupId"] for rule in rules})
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"{len(rules)} rules of {', '.join(groups)}: {'; '.join(map(_said, rules))}",
            summary="rules revoked: ec2.revoke_security_group_*("
            + ", ".join(rule["SecurityGroupRuleId"] for rule in rules)
            + ")",
            before={"rules": [identity(rule) for rule in rules]},
            apply=tuple(
                AwsCall(
                    service="ec2",
                    operation=f"revoke_security_group_{_direction(rule)}",
                    arguments={"GroupId": rule["GroupId"], "SecurityGroupRuleIds": [rule["SecurityGroupRuleId"]]},
                    accept=("InvalidSecurityGroupRuleId.NotFound",),
                )
                for rule in rules
            ),
            undo=tuple(
                AwsCall(
                    service="ec2",
                    operation=f"authorize_security_group_{_direction(rule)}",
                    arguments={
                        "GroupId": rule["GroupId"],
                        "IpPermissions": [permission(rule)],
                        **tagged("security-group-rule", own_tags(rule)),
                    },
                    unless=_find(rule),
                    accept=("InvalidPermission.Duplicate",),
                )
                for rule in rules
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        there = [rule for rule in plan.before["rules"] if rule in _now(site, plan)]
        return Health(not there, f"{len(there)} of {len(plan.before['rules'])} rules are there")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        now = _now(site, plan)
        missing = [_shown(rule) for rule in plan.before["rules"] if rule not in now]
        return Health(not missing, f"missing: {'; '.join(missing)}" if missing else "all rules are there")

    def _rules(self, site: Site) -> list[dict[str, Any]]:
        if self.rule_ids:
            reply = ec2(site, "describe_security_group_rules", SecurityGroupRuleIds=list(self.rule_ids))
            return list(reply["SecurityGroupRules"])
        if not (self.group or self.group_id):
            raise FaultError(f"{self.kind} needs `rule_ids`, or `group` or `group_id`")
        group = self.group_id or fact(site, f"{self.group}_group_id", "", "group_id")
        rules = ec2(site, "describe_security_group_rules", Filters=by(group_id=group))["SecurityGroupRules"]
        egress = self.direction == "egress"
        fit = [rule for rule in rules if rule["IsEgress"] == egress and (self.port is None or _lets(rule, self.port))]
        if not fit:
            has = "; ".join(map(_said, rules)) or "no rules"
            port = "" if self.port is None else f" for port {self.port}"
            raise FaultError(f"{group} has no {self.direction} rule{port}", f"it has {has}")
        return fit


def permission(rule: dict[str, Any]) -> dict[str, Any]:
    """The IpPermission by which a rule as described is authorized again."""
    made: dict[str, Any] = {"IpProtocol": rule["IpProtocol"]}
    if rule["IpProtocol"] != "-1":  # all protocols have no ports; describe writes -1
        made |= {key: rule[key] for key in ("FromPort", "ToPort") if rule.get(key) is not None}
    words = {"Description": rule["Description"]} if rule.get("Description") else {}
    other = rule.get("ReferencedGroupInfo") or {}
    if rule.get("CidrIpv4"):
        made["IpRanges"] = [{"CidrIp": rule["CidrIpv4"], **words}]
    elif rule.get("CidrIpv6"):
        made["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **words}]
    elif rule.get("PrefixListId"):
        made["PrefixListIds"] = [{"PrefixListId": rule["PrefixListId"], **words}]
    elif other.get("GroupId"):
        # the owner is needed for a group across a peering connection, and allowed for one's own
        named = {key: other[key] for key in ("GroupId", "UserId") if other.get(key)}
        made["UserIdGroupPairs"] = [{**named, **words}]
    else:
        raise FaultError(f"{rule['SecurityGroupRuleId']} has a source that cannot be put back: {rule}")
    return made


def identity(rule: dict[str, Any]) -> dict[str, Any]:
    """All of a rule but its id, comparable."""
    return {"group": rule["GroupId"], "egress": rule["IsEgress"], "tags": own_tags(rule), **permission(rule)}


def _find(rule: dict[str, Any]) -> Find:
    """The rule that lets the same through, whatever its id and its words."""
    ends = {key: rule.get(key) for key in ("IsEgress", "IpProtocol", "FromPort", "ToPort")}
    source = {key: rule[key] for key in ("CidrIpv4", "CidrIpv6", "PrefixListId") if rule.get(key)}
    other = rule.get("ReferencedGroupInfo") or {}
    tests = [f"{key}==`{json.dumps(value)}`" for key, value in {**ends, **source}.items()]
    if not source:
        tests.append(f"ReferencedGroupInfo.GroupId=='{other.get('GroupId')}'")
    return Find(
        operation="describe_security_group_rules",
        arguments={"Filters": by(group_id=rule["GroupId"])},
        select=f"SecurityGroupRules[?{' && '.join(tests)}]",
    )


def _now(site: Site, plan: Plan) -> list[dict[str, Any]]:
    groups = sorted({rule["group"] for rule in plan.before["rules"]})
    reply = ec2(site, "describe_security_group_rules", Filters=by(group_id=groups))
    return [identity(rule) for rule in reply["SecurityGroupRules"]]


def _direction(rule: dict[str, Any]) -> str:
    return "egress" if rule["IsEgress"] else "ingress"


def _lets(rule: dict[str, Any], port: int) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    return rule["IpProtocol"] in ("tcp", "udp", "6", "17") and rule["FromPort"] <= port <= rule["ToPort"]


def _said(rule: dict[str, Any]) -> str:
    return f"{_direction(rule)} {_shown(identity(rule))}"


def _shown(rule: dict[str, Any]) -> str:
    """Protocol, ports and source of a rule's identity, in words."""
    ports = f"{rule['FromPort']}-{rule['ToPort']}" if "FromPort" in rule else "all"
    keys = {
        "IpRanges": "CidrIp",
        "Ipv6Ranges": "CidrIpv6",
        "PrefixListIds": "PrefixListId",
        "UserIdGroupPairs": "GroupId",
    }
    source = next(str(rule[key][0][name]) for key, name in keys.items() if key in rule)
    return f"{rule['IpProtocol']} {ports} {source}"
