"""What was just changed may not be seen yet: a read may tell of the state before, and what was just made is not there.

EC2 developer guide, "Ensuring eventual consistency of Amazon EC2 API requests" (a command on a new id may fail with
NotFound, and a describe may not show it); IAM user guide, "Changes that I make are not always immediately visible".
Replicas differ: of two reads, one after the other, the first may be the newer one. Changes are made in one place: what
one was made to, the next one knows. AWS does not say so; the other way round the network plugin, which changes an
interface right after it was attached, would lose minutes at every second one (docs/measurements.md 10).
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Response
from islanding.lab.region.manners import xmlreply
from islanding.lab.region.operations import form

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from islanding.lab.region.manners import Onward
    from islanding.lab.region.manners.call import Call, Chances

_STALE = 0.5  # the share of reads that a replica answers which lags
_KEPT = 12  # reads that are remembered, and read once more before a change
# What an operation makes: the prefix of its id, the error for one that is not there, and how that names it.
MADE = {
    "RunInstances": ("i", "InvalidInstanceID.NotFound", "The instance ID '{}' does not exist"),
    "CreateVpc": ("vpc", "InvalidVpcID.NotFound", "The vpc ID '{}' does not exist"),
    "CreateSubnet": ("subnet", "InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    "CreateSecurityGroup": ("sg", "InvalidGroup.NotFound", "The security group '{}' does not exist"),
    "CreateRouteTable": ("rtb", "InvalidRouteTableID.NotFound", "The routeTable ID '{}' does not exist"),
    "CreateNetworkInterface": (
        "eni", "InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '{}' does not exist",
    ),
    "CreateVpcEndpoint": ("vpce", "InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '{}' does not exist"),
    "CreateNetworkAcl": ("acl", "InvalidNetworkAclID.NotFound", "The networkAcl ID '{}' does not exist"),
    "CreateVpcPeeringConnection": (
        "pcx", "InvalidVpcPeeringConnectionID.NotFound", "The vpcPeeringConnection ID '{}' does not exist",
    ),
    "CreateInternetGateway": ("igw", "InvalidInternetGatewayID.NotFound", "The internetGateway ID '{}' does not exist"),
    "CreateNatGateway": ("nat", "NatGatewayNotFound", "NAT gateway {} was not found"),
    "CreateLaunchTemplate": (
        "lt", "InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID {}, does not exist.",
    ),
    "AllocateAddress": ("eipalloc", "InvalidAllocationID.NotFound", "The allocation ID '{}' does not exist"),
}  # fmt: skip
LISTED = {  # where things are listed: the element with an item's own id
    "DescribeInstances": "instanceId", "DescribeVpcs": "vpcId", "DescribeSubnets": "subnetId",
    "DescribeSecurityGroups": "groupId", "DescribeRouteTables": "routeTableId",
    "DescribeNetworkInterfaces": "networkInterfaceId", "DescribeVpcEndpoints": "vpcEndpointId",
    "DescribeNetworkAcls": "networkAclId", "DescribeVpcPeeringConnections": "vpcPeeringConnectionId",
    "DescribeInternetGateways": "internetGatewayId", "DescribeNatGateways": "natGatewayId",
    "DescribeLaunchTemplates": "launchTemplateId", "DescribeAddresses": "allocationId",
}  # fmt: skip
_IAM = {"CreateRole": "RoleName", "CreateUser": "UserName", "CreateInstanceProfile": "InstanceProfileName"}
_IAM_WORDS = {
    "RoleName": "The role with name {} cannot be found.",
    "UserName": "The user with name {} cannot be found.",
    "InstanceProfileName": "Instance Profile {} cannot be found.",
}
_WITHOUT = frozenset({"GetConsoleOutput", "GetPasswordData"})
Key = tuple[str, str, tuple[tuple[str, str], ...]]


class Consistency:
    """Lets changes of EC2 and IAM be unseen for up to `delay` seconds."""

    def __init__(self, delay: float, chances: Chances, clock: Callable[[], float] = time.monotonic) -> None:
        self._delay = delay
        self._chances = chances
        self._clock = clock
        self._lock = threading.Lock()
        self._new: dict[tuple[str, str], tuple[float, AwsError]] = {}  # (account, id or kind and name)
        self._changed: set[tuple[str, str]] = set()  # of these, what a change was made to: changes know it from then on
        self._seen: OrderedDict[Key, tuple[float, Response, Onward, Call]] = OrderedDict()

    def __call__(self, call: Call, onward: Onward) -> Response:
        """Answer the call as a replica does that may lag."""
        if call.service not in ("ec2", "iam") or not call.account:
            return onward(call.request)
        if call.mutates:
            return self._change(call, onward)
        return self._read(call, onward)

    def _change(self, call: Call, onward: Onward) -> Response:
        self._refuse_new(call)
        self._look_again(call)
        response = onward(call.request)
        if response.status < 400:
            self._remember_changed(call)
            self._remember_new(call, response)
        return response

    def _read(self, call: Call, onward: Onward) -> Response:
        if call.operation in _WITHOUT:
            return onward(call.request)
        self._refuse_new(call)
        key = (call.account, call.service, tuple(sorted(form(call.request))))
        before = self._seen.get(key)
        if before is not None and self._clock() - before[0] <= self._delay and self._lags(call):
            return before[1]
        response = onward(call.request)
        if response.status < 400 and response.stream is None:
            response = self._without_new(call, response)
            with self._lock:
                self._seen[key] = (self._clock(), response, onward, call)
                self._seen.move_to_end(key)
                while len(self._seen) > _KEPT:
                    self._seen.popitem(last=False)
        return response

    def _look_again(self, call: Call) -> None:
        """Remember how things are before a change, as whoever looked lately would see them."""
        with self._lock:
            again = [(k, v) for k, v in self._seen.items() if k[:2] == (call.account, call.service)]
        for key, (at, _, onward, reader) in again:
            if self._clock() - at > self._delay / 4:
                response = onward(reader.request)
                if response.status < 400:
                    with self._lock:
                        self._seen[key] = (self._clock(), response, onward, reader)

    def _lags(self, call: Call) -> bool:
        return self._chances.draw(f"lag {call.service} {call.operation}") < _STALE

    # -- what is new -----------------------------------------------------------------------------------------------

    def _remember_new(self, call: Call, response: Response) -> None:
        now = self._clock()
        asked = dict(form(call.request))
        found: list[tuple[str, AwsError]] = []
        if call.service == "iam" and (kind := _IAM.get(call.operation)):
            error = AwsError("NoSuchEntity", _IAM_WORDS[kind].format(asked.get(kind, "")), 404)
            found.append((f"{kind} {asked.get(kind, '')}", error))
        elif call.service == "ec2" and call.operation in MADE:
            prefix, code, words = MADE[call.operation]
            ids = re.findall(rf">({prefix}-[0-9a-f]{{8,17}})<", response.body.decode("utf-8", "replace"))
            found += [(id, AwsError(code, words.format(id), 400)) for id in set(ids) - set(asked.values())]
        with self._lock:
            self._new = {key: entry for key, entry in self._new.items() if now - entry[0] <= self._delay}
            self._new |= {(call.account, name): (now, error) for name, error in found}

    def _remember_changed(self, call: Call) -> None:
        with self._lock:
            self._changed &= self._new.keys()
            self._changed |= {(call.account, value) for _, value in form(call.request)} & self._new.keys()

    def _unseen(self, account: str) -> dict[str, AwsError]:
        now = self._clock()
        with self._lock:
            return {
                name: error
                for (owner, name), (at, error) in self._new.items()
                if owner == account and now - at <= self._delay
            }

    def _refuse_new(self, call: Call) -> None:
        """Refuse a call that names what a lagging replica has not heard of."""
        unseen = self._unseen(call.account)
        if not unseen:
            return
        for name, value in form(call.request):
            error = unseen.get(value if call.service == "ec2" else f"{name} {value}")
            if call.mutates and (call.account, value) in self._changed:
                continue
            if error is not None and "Filter" not in name and self._lags(call):
                raise error

    def _without_new(self, call: Call, response: Response) -> Response:
        """The reply of a replica that has not heard of some; what was asked for by its id is told, or was refused."""
        named = {value for name, value in form(call.request) if "Filter" not in name}
        unseen = {name: error for name, error in self._unseen(call.account).items() if name not in named}
        if call.service == "ec2" and call.operation not in LISTED:
            return response
        if not any(name.rpartition(" ")[2].encode() in response.body for name in unseen):
            return response
        root = xmlreply.parse(response)
        if root is None or not self._lags(call):
            return response
        gone, own = frozenset(unseen), LISTED.get(call.operation, "")
        for listed in list(xmlreply.lists(root)):
            for item in [one for one in listed if _is(one, own, gone)]:
                listed.remove(item)
        for reservations in xmlreply.lists(root):  # EC2 shows no reservation without an instance
            for item in list(reservations):
                held = xmlreply.child(item, "instancesSet")
                if held is not None and not len(held):
                    reservations.remove(item)
        return xmlreply.written(response, root)


def _is(item: Element, own: str, names: frozenset[str]) -> bool:
    """Whether an item is one of the things of these names; `own` is the element with an item's own id."""
    if own:
        return xmlreply.text(item, own) in names
    return any(f"{xmlreply.plain(one)} {(one.text or '').strip()}" in names for one in item)
