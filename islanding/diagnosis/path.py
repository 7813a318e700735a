"""From an instance to a service or host, hop by hop, by a view of AWS's state alone: pure, and it never raises.

name → address → route → security group → network ACL → endpoint → policy → service: the first hop that fails is the
answer, and each failure names the AWS object that it comes from.
"""

from __future__ import annotations

from islanding.aws.view import Cluster, Endpoint, Instance, Interface, View
from islanding.diagnosis import hops as h
from islanding.diagnosis.flow import Finding, acls, address_of, groups
from islanding.diagnosis.hops import Blame, Diagnosis, Hop, Status
from islanding.diagnosis.policies import policy_of
from islanding.diagnosis.resolve import Resolution, resolve
from islanding.diagnosis.routing import Start, gap, literal, public_network, routed
from islanding.diagnosis.targets import CHAINS, Target, target_of


def explain_path(view: View, instance: str, asked: str, *, account: str = "") -> Diagnosis:
    """The path from an instance to `asked`: a service (`ecr.api`), `cluster`, a URL, an image, `host[:port]`.

    Or a chain, `image-pull` or `node-join`: of its paths the first that fails is returned. `account` is the
    registry's, by default the view's own. Never raises: what the view does not tell is `unknown`.
    """
    paths = [_path(view, instance, target_of(view, one, account=account)) for one in CHAINS.get(asked, (asked,))]
    answer = next((path for path in paths if path.failing is not None), None)
    return answer or next((path for path in paths if not path.conclusive), paths[-1])


def _path(view: View, instance: str, target: Target) -> Diagnosis:
    machine = view.instance(instance)
    label = f"{machine.name} ({instance})" if machine and machine.name else instance
    start = _start(view, machine) if machine and machine.state in ("running", "") else None
    if start is None:
        return Diagnosis(label, target.label, (_no_source(view, instance, machine),), target.step)
    found = resolve(view, start.vpc, target)
    ways = [(far, _way(start, target, found, far)) for far in found.interfaces or (None,)]
    best = max(ways, key=lambda way: _reached(way[1]))
    notes = []
    for far, way in ways:
        failing = next((hop for hop in way if hop.status is Status.FAILS), None)
        if far is not None and way is not best[1] and failing is not None:
            notes.append(f"by another address, {', '.join(far.addresses[:1])}: {failing.name}: {failing.detail}")
    notes += [f"not known to this diagnosis: {said}" for said in view.gaps]
    return Diagnosis(label, target.label, tuple(best[1]), target.step, target.host, target.port, notes=tuple(notes))


def _start(view: View, machine: Instance) -> Start | None:
    source = _primary(view, machine)
    subnet = view.subnet(source.subnet) if source else None
    vpc = view.vpc(source.vpc) if source else None
    if source is None or subnet is None or vpc is None:
        return None
    return Start(view, machine, source, vpc, view.table_of(subnet))


def _primary(view: View, machine: Instance) -> Interface | None:
    own = [i for i in view.interfaces if i.instance == machine.id]
    return next((i for i in own if i.addresses[:1] == (machine.address,)), own[0] if own else None)


def _no_source(view: View, instance: str, machine: Instance | None) -> Hop:
    if machine is None:
        what = "there is no such instance" if not gap(view, "describe_instances") else "instances could not be listed"
    elif machine.state not in ("running", ""):
        what = f"it is {machine.state}"
    else:
        what = "its network interface, subnet or VPC is not in the view"
    status = Status.UNKNOWN if gap(view, "describe_") else Status.FAILS
    return Hop(h.SOURCE, status, what, Blame("instance", instance, machine.name if machine else "", what))


def _reached(way: list[Hop]) -> int:
    return next((n for n, hop in enumerate(way) if hop.status is Status.FAILS), len(way))


def _hop(name: str, finding: Finding) -> Hop:
    blame = finding.blame if finding.status is Status.FAILS else None
    return Hop(name, finding.status, finding.detail, blame)


def _way(start: Start, target: Target, found: Resolution, far: Interface | None) -> list[Hop]:
    """The hops towards one address of the target."""
    view = start.view
    far = far or literal(start, found)
    to = address_of(far) if far else public_network(view, target, found)
    address, route, endpoint = routed(start, target, found, far, to)
    return [
        _hop(h.NAME, found.name),
        _hop(h.ADDRESS, address),
        _hop(h.ROUTE, route),
        _hop(h.GROUP, groups(view, start.source, far, to, target.port)),
        _hop(h.ACL, acls(view, start.source, far, to, target.port)),
        _hop(h.ENDPOINT, _endpoint(endpoint, target)),
        _hop(h.POLICY, policy_of(start, target, endpoint)),
        _hop(h.SERVICE, _service(view, target)),
    ]


def _endpoint(endpoint: Endpoint | None, target: Target) -> Finding:
    if endpoint is None:
        said = "the path goes by none" if target.is_aws else "no AWS API"
        return Finding(Status.NOT_NEEDED, said)
    if endpoint.state != "available":
        what = f"its state is {endpoint.state}"
        return Finding(Status.FAILS, what, Blame("VPC endpoint", endpoint.id, endpoint.name, what))
    return Finding(Status.OK, f"{endpoint.id} is available")


def _service(view: View, target: Target) -> Finding:
    cluster: Cluster | None = next((c for c in view.clusters if c.name == target.cluster), None)
    if cluster and cluster.status and cluster.status not in ("ACTIVE", "UPDATING"):
        what = f"its status is {cluster.status}"
        return Finding(Status.FAILS, what, Blame("cluster", cluster.name, what=what))
    if cluster:
        return Finding(Status.OK, f"cluster {cluster.name} is {cluster.status or 'there'}")
    return Finding(Status.OK, "nothing in AWS's state speaks against it")
