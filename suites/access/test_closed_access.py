"""C-03, C-04 and C-07: who gets in to the closed network, and to its cluster, from where."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from islanding.aws.calls import call
from islanding.faults.apply import Applied
from islanding.kube.certificates import Operator
from islanding.model import Place, Sample, Site
from islanding.outcomes import ALLOWED, UNAUTHORIZED
from islanding.probes import Probe
from islanding.probes.of_site import SiteProbes
from islanding.sshlogin import login
from islanding.watching import Watch

Cut = Callable[..., AbstractContextManager[Applied]]
Physics = Callable[[str], AbstractContextManager[None]]
Evidence = Callable[[str, str], None]
Observe = Callable[[Probe], Sample]


# -- C-03: by SSH ------------------------------------------------------------------------------------------------------


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-03")
def test_each_hop_is_reached_through_the_one_before(
    site: Site, probe: SiteProbes, observe: Observe, evidence: Evidence
) -> None:
    """From the workstation: the bastion directly, the operator through it, a node through both, and not otherwise."""
    node = site.workers[0].address
    operator = site.facts["operator_address"]
    wanted = {
        ("bastion",): ("LOGGED_IN",),
        ("bastion", "operator"): ("LOGGED_IN",),
        ("bastion", "operator", node): ("LOGGED_IN",),
        (operator,): ("SSH_TIMEOUT", "SSH_NO_ROUTE"),
        (node,): ("SSH_TIMEOUT", "SSH_NO_ROUTE"),
        ("bastion", node): ("SSH_JUMP_FAILED",),
    }
    for hosts, outcomes in wanted.items():
        way = login(site, *hosts)
        sample = observe(probe.ssh(*way.hops, keys=way.keys, timeout=8))
        evidence(" -> ".join(way.hops), sample.text)
        assert sample.outcome in outcomes, f"{way.hops}: {sample.outcome}: {sample.text}"


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-03")
def test_bastion_answers_its_user_alone(
    site: Site, probe: SiteProbes, observe: Observe, cut: Cut, evidence: Evidence
) -> None:
    """The bastion answers from the workstation's address and on port 22 alone; without the rule not even there."""
    bastion = site.facts["bastion_public_ip"]
    way = login(site, "bastion")
    for port in (80, 443, 3389, 6443):
        sample = observe(probe.tcp(bastion, port, place=_workstation(site).name, timeout=3))
        evidence(f"TCP {port} of the bastion", sample.text)
        assert sample.outcome == "TCP_TIMEOUT", f"{port}: {sample.outcome}: {sample.text}"
    rules = call(site, "ec2", "describe_security_groups", {"GroupIds": [site.facts["bastion_group_id"]]})
    let_in = sorted(way for rule in rules["SecurityGroups"][0]["IpPermissions"] for way in _let_in(rule))
    assert let_in == [("tcp", 22, 22, f"{_workstation(site).address}/32")]
    assert observe(probe.ssh(*way.hops, keys=way.keys, timeout=8)).outcome == "LOGGED_IN"
    with cut("security-group-rule-revoked", group_id=site.facts["bastion_group_id"], port=22):
        refused = observe(probe.ssh(*way.hops, keys=way.keys, timeout=8))
    evidence("the bastion without its rule", refused.text)
    assert refused.outcome == "SSH_TIMEOUT", f"{refused.outcome}: {refused.text}"
    assert observe(probe.ssh(*way.hops, keys=way.keys, timeout=8)).outcome == "LOGGED_IN"


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-03")
def test_bastion_is_silent_to_others(site: Site, probe: SiteProbes, observe: Observe, evidence: Evidence) -> None:
    """From any other address the bastion does not answer: here from the operator, whose way out it is not either."""
    bastion = site.facts["bastion_public_ip"]
    sample = observe(probe.egress(bastion, at="operator", protocol="tcp", port=22))
    evidence("the bastion's public address from the operator", sample.text)
    assert sample.outcome in ("BLOCKED", "NO_ROUTE"), f"{sample.outcome}: {sample.text}"
    private = site.place("bastion").run(["hostname", "-I"]).stdout.split()[0]
    sample = observe(probe.egress(private, at="operator", protocol="tcp", port=22))
    evidence("the bastion's private address from the operator", sample.text)
    assert sample.outcome == "BLOCKED", f"{sample.outcome}: {sample.text}"


# -- C-04: the private endpoint ----------------------------------------------------------------------------------------


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-04")
def test_private_endpoint_answers_inside_only(
    site: Site, probe: SiteProbes, observe: Observe, evidence: Evidence
) -> None:
    """The endpoint's name resolves to private addresses inside and outside; packets arrive inside only."""
    name = site.cluster.endpoint.removeprefix("https://")
    for at in ("operator", site.workers[0].place, "workstation"):
        found = observe(probe.dns(name, at=at))
        evidence(f"{name} at {at}", found.text)
        assert found.outcome == "RESOLVED", f"{at}: {found.text}"
        addresses = set(found.text.removeprefix("addresses: ").split(", "))
        assert addresses == set(site.cluster.control_plane_addresses), f"{at}: {found.text}"
    for address in site.cluster.control_plane_addresses:
        inside = observe(probe.egress(address, at="operator", protocol="tcp", port=443))
        assert inside.outcome == "OPEN", inside.text
        outside = observe(probe.tcp(address, 443, place=_workstation(site).name, timeout=3))
        evidence(f"{address}:443 from the workstation", outside.text)
        assert outside.outcome in ("TCP_TIMEOUT", "TCP_NO_ROUTE"), f"{outside.outcome}: {outside.text}"


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-04")
def test_control_plane_group_must_let_the_operator_in(
    site: Site, probe: SiteProbes, observe: Observe, cut: Cut, evidence: Evidence
) -> None:
    """Without 443 from the operator in the control-plane group, kubectl meets silence; with it, an answer."""
    rules = call(
        site,
        "ec2",
        "describe_security_group_rules",
        {"Filters": [{"Name": "group-id", "Values": [site.facts["control_plane_group_id"]]}]},
    )["SecurityGroupRules"]
    operators = tuple(
        rule["SecurityGroupRuleId"]
        for rule in rules
        if (rule.get("ReferencedGroupInfo") or {}).get("GroupId") == site.facts["operator_group_id"]
    )
    asked = probe.kubectl("get", "svc", identity="operator", request_timeout=8, timeout=60)
    assert observe(asked).outcome == ALLOWED.name
    with cut("security-group-rule-revoked", rule_ids=operators):
        refused = observe(asked)
    evidence("kubectl without the rule", refused.text)
    assert refused.outcome in ("API_UNREACHABLE", "DEADLINE", "API_TLS_TIMEOUT"), f"{refused.outcome}: {refused.text}"
    assert observe(asked).outcome == ALLOWED.name


# -- C-07: who is let in by the cluster --------------------------------------------------------------------------------


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-07")
def test_operator_is_let_in_by_its_mapping_alone(
    probe: SiteProbes, watch: Callable[..., Watch], cut: Cut, physics: Physics, evidence: Evidence
) -> None:
    """The operator's role gets in while aws-auth maps it, and is Unauthorized when not; the creator always gets in."""
    by_role = probe.kubectl("get", "svc", identity="operator", interval=2.5)
    by_creator = probe.kubectl("get", "svc", identity="creator", interval=2.5)
    with watch(by_role, by_creator) as (operator, creator):
        operator.wait_for(ALLOWED, timeout=30)
        creator.wait_for(ALLOWED, timeout=30)
        with cut("aws-auth-mapping-removed", role="operator", identity="creator") as fault:
            with physics("the authenticator's reading of aws-auth"):
                refused = operator.wait_for(UNAUTHORIZED, timeout=60, after=fault.end)
            creator.wait_for(ALLOWED, timeout=30, after=refused.end)
        with physics("the authenticator's reading of aws-auth"):
            operator.wait_for(ALLOWED, timeout=60, after=refused.end)
    evidence("kubectl of a role that is not mapped", refused.text)
    creator.expect(ALLOWED, throughout=True, hole=30)


@pytest.mark.site("closed-vpc")
@pytest.mark.requirement("C-07")
def test_operator_is_its_instance_role(operator: Operator, site: Site, evidence: Evidence) -> None:
    """Who the cluster takes the operator for: the role of its instance, by the name that aws-auth gives it."""
    said = operator.kubectl("auth", "whoami", "-o", "json").stdout
    user = json.loads(said)["status"]["userInfo"]
    evidence("kubectl auth whoami", said)
    role = site.facts["operator_role_arn"].rsplit("/", 1)[-1]
    assert role in " ".join(user.get("extra", {}).get("arn", [])), user
    assert "system:masters" in user["groups"], user


def _workstation(site: Site) -> Place:
    return next(place for place in site.places if place.role == "workstation")


def _let_in(rule: dict[str, Any]) -> list[tuple[str, int, int, str]]:
    """What a security group's rule lets in: protocol, ports (all: -1) and each source, of whatever kind."""
    kinds = {
        "IpRanges": "CidrIp",
        "Ipv6Ranges": "CidrIpv6",
        "PrefixListIds": "PrefixListId",
        "UserIdGroupPairs": "GroupId",
    }
    sources = [str(one[key]) for kind, key in kinds.items() for one in rule.get(kind) or ()]
    return [(rule["IpProtocol"], rule.get("FromPort", -1), rule.get("ToPort", -1), source) for source in sources]
