"""Routes, groups, network ACLs and peering between two VPCs, from a view made by hand: who is to blame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from islanding.aws import view as v
from islanding.diagnosis import Diagnosis, Status, explain_path

ANY = v.GroupRule("-1", peers=("0.0.0.0/0",))
ALLOW = (
    v.AclEntry(100, True, True, "-1", "0.0.0.0/0"),
    v.AclEntry(100, False, True, "-1", "0.0.0.0/0"),
    v.AclEntry(32767, True, False, "-1", "0.0.0.0/0"),
    v.AclEntry(32767, False, False, "-1", "0.0.0.0/0"),
)

# A bastion in a VPC with an internet gateway, peered with a closed VPC: operator, and the cluster's interface.
PEERED = v.View(
    "eu-west-1",
    "111122223333",
    vpcs=(
        v.Vpc("vpc-b", "bastion", ("10.1.0.0/16",), True, True),
        v.Vpc("vpc-c", "closed", ("10.0.0.0/16",), True, True),
    ),
    subnets=(
        v.Subnet("subnet-b", "vpc-b", "10.1.0.0/24"),
        v.Subnet("subnet-o", "vpc-c", "10.0.1.0/24"),
        v.Subnet("subnet-k", "vpc-c", "10.0.2.0/24"),
    ),
    route_tables=(
        v.RouteTable(
            "rtb-b",
            "vpc-b",
            main=True,
            routes=(
                v.Route("10.1.0.0/16", "local"),
                v.Route("10.0.0.0/16", "pcx-1"),
                v.Route("0.0.0.0/0", "igw-1"),
            ),
        ),
        v.RouteTable(
            "rtb-c", "vpc-c", main=True, routes=(v.Route("10.0.0.0/16", "local"), v.Route("10.1.0.0/16", "pcx-1"))
        ),
    ),
    groups=(
        v.Group("sg-b", "vpc-b", "bastion", (v.GroupRule("tcp", 22, 22, ("203.0.113.77/32",)),), (ANY,)),
        v.Group("sg-o", "vpc-c", "operator", (v.GroupRule("tcp", 22, 22, ("sg-b",)),), (ANY,)),
        v.Group("sg-k", "vpc-c", "control-plane", (v.GroupRule("tcp", 443, 443, ("sg-o",)),), (ANY,)),
    ),
    acls=(
        v.Acl("acl-b", "vpc-b", subnets=("subnet-b",), entries=ALLOW),
        v.Acl("acl-o", "vpc-c", subnets=("subnet-o",), entries=ALLOW),
        v.Acl("acl-k", "vpc-c", subnets=("subnet-k",), entries=ALLOW),
    ),
    peerings=(v.Peering("pcx-1", "vpc-b", "vpc-c", "active"),),
    interfaces=(
        v.Interface("eni-b", "vpc-b", "subnet-b", ("10.1.0.4",), ("sg-b",), "i-b", "203.0.113.20"),
        v.Interface("eni-o", "vpc-c", "subnet-o", ("10.0.1.4",), ("sg-o",), "i-o"),
        v.Interface("eni-k", "vpc-c", "subnet-k", ("10.0.2.4",), ("sg-k",), description="Amazon EKS closed"),
    ),
    instances=(
        v.Instance("i-b", "bastion", "running", "vpc-b", "subnet-b", "10.1.0.4"),
        v.Instance("i-o", "operator", "running", "vpc-c", "subnet-o", "10.0.1.4"),
    ),
    internet_gateways=(v.InternetGateway("igw-1", "vpc-b"),),
    clusters=(
        v.Cluster("closed", "https://k.eks.eu-west-1.amazonaws.com", "ACTIVE", "vpc-c", public=False, private=True),
    ),
)


def blame(found: Diagnosis) -> str:
    """The hop and the object, in short."""
    return f"{found.failing.name}: {found.blame}" if found.failing else ""


def no_return(view: v.View) -> v.View:
    """The closed VPC's route back is removed."""
    tables = tuple(replace(t, routes=t.routes[:1]) if t.id == "rtb-c" else t for t in view.route_tables)
    return replace(view, route_tables=tables)


def no_route(view: v.View) -> v.View:
    """The bastion VPC's route to the closed one is removed: the default route is left."""
    tables = tuple(replace(t, routes=(t.routes[0], t.routes[2])) if t.id == "rtb-b" else t for t in view.route_tables)
    return replace(view, route_tables=tables)


def blackhole(view: v.View) -> v.View:
    """The peering is deleted, its routes stay."""
    tables = tuple(
        replace(t, routes=tuple(replace(r, state="blackhole") if r.target == "pcx-1" else r for r in t.routes))
        for t in view.route_tables
    )
    return replace(view, route_tables=tables, peerings=())


def unaccepted(view: v.View) -> v.View:
    """The peering waits for acceptance."""
    return replace(view, peerings=(replace(view.peerings[0], status="pending-acceptance"),))


def without_rule(view: v.View) -> v.View:
    """The operator's group no longer lets the bastion in."""
    return replace(view, groups=tuple(replace(g, ingress=()) if g.id == "sg-o" else g for g in view.groups))


def no_egress(view: v.View) -> v.View:
    """The bastion's group lets nothing out."""
    return replace(view, groups=tuple(replace(g, egress=()) if g.id == "sg-b" else g for g in view.groups))


def no_ephemeral(view: v.View) -> v.View:
    """The bastion's subnet lets no replies in: a network ACL is stateless."""
    entries = (ALLOW[0], v.AclEntry(100, False, True, "6", "0.0.0.0/0", 22, 22), *ALLOW[2:])
    return replace(view, acls=tuple(replace(a, entries=entries) if a.id == "acl-b" else a for a in view.acls))


def denied_first(view: v.View) -> v.View:
    """A lower number denies what a higher one allows."""
    entries = (v.AclEntry(90, False, False, "6", "10.1.0.0/16", 22, 22), *ALLOW)
    return replace(view, acls=tuple(replace(a, entries=entries) if a.id == "acl-o" else a for a in view.acls))


SSH = [
    (lambda view: view, ""),
    (no_return, "route: route table rtb-c: no route back to 10.1.0.4/32 by pcx-1"),
    (blackhole, "route: route table rtb-b: the route to 10.0.0.0/16 by pcx-1 is a blackhole"),
    (unaccepted, "route: peering pcx-1: its status is pending-acceptance"),
    (without_rule, "security group: security group sg-o (operator): no inbound rule lets TCP 22 from 10.1.0.4/32 in"),
    (no_egress, "security group: security group sg-b (bastion): no outbound rule lets TCP 22 to 10.0.1.4/32 out"),
    (
        no_ephemeral,
        "network ACL: network ACL acl-b: no rule allows inbound replies from 10.0.1.4/32 to ephemeral ports",
    ),
    (denied_first, "network ACL: network ACL acl-o: rule 90 denies inbound TCP 22 from 10.1.0.4/32"),
]


@pytest.mark.parametrize(("change", "expected"), SSH)
def test_ssh_from_the_bastion_to_the_operator(change: Callable[[v.View], v.View], expected: str) -> None:
    """Peering needs routes both ways, groups may name groups of the other VPC, network ACLs need both directions."""
    assert expected == blame(explain_path(change(PEERED), "i-b", "10.0.1.4:22"))


def test_peering_gives_no_way_through_to_the_internet() -> None:
    """The closed VPC's operator has no route out, and a default route by the peering would not make one."""
    assert "route: route table rtb-c: no route to 198.51.100.10/32" == blame(
        explain_path(PEERED, "i-o", "198.51.100.10:80")
    )
    tables = tuple(
        replace(t, routes=(*t.routes, v.Route("0.0.0.0/0", "pcx-1"))) if t.id == "rtb-c" else t
        for t in PEERED.route_tables
    )
    assert "route: peering pcx-1: it gives no way through vpc-b: peering is not transitive" == blame(
        explain_path(replace(PEERED, route_tables=tables), "i-o", "198.51.100.10:80")
    )


def test_the_private_endpoint_of_a_cluster() -> None:
    """From the operator it is reached; without 443 the control plane's group is blamed."""
    closed = replace(PEERED, groups=tuple(replace(g, ingress=()) if g.id == "sg-k" else g for g in PEERED.groups))

    assert "" == blame(explain_path(PEERED, "i-o", "cluster"))
    assert "" == blame(explain_path(PEERED, "i-o", "https://k.eks.eu-west-1.amazonaws.com/api"))
    assert (
        "security group: security group sg-k (control-plane): no inbound rule lets TCP 443 from 10.0.1.4/32 in"
        == blame(explain_path(closed, "i-o", "cluster/closed"))
    )


def test_a_cluster_that_is_not_active_is_the_answer() -> None:
    """While it is made, the path is good and the service is not there."""
    view = replace(PEERED, clusters=(replace(PEERED.clusters[0], status="CREATING"),))

    assert "service: cluster closed: its status is CREATING" == blame(explain_path(view, "i-o", "cluster"))


def test_a_prefix_list_that_cannot_be_read_is_unknown() -> None:
    """A rule that names a list which the view does not hold may allow the connection: nothing is blamed."""
    rule = v.GroupRule("tcp", 22, 22, ("pl-shared",))
    view = replace(PEERED, groups=tuple(replace(g, ingress=(rule,)) if g.id == "sg-o" else g for g in PEERED.groups))
    found = explain_path(view, "i-b", "10.0.1.4:22")

    assert found.failing is None
    assert ["security group"] == [hop.name for hop in found.hops if hop.status is Status.UNKNOWN]
    assert not found.conclusive


def test_the_longest_prefix_wins() -> None:
    """Without the route to the peer, the default route is taken, and the answer is not the peering."""
    found = explain_path(no_route(PEERED), "i-b", "10.0.1.4:22")

    route = next(hop for hop in found.hops if hop.name == "route")
    assert "0.0.0.0/0 by igw-1" in route.detail
