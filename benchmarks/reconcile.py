"""The data plane's own times: reconcile after one change, and how it grows with the account. Run by `throwaway`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import throwaway
from benchmarks.figure import milliseconds
from islanding.lab.region.server import Region
from islanding.lab.script import changes
from islanding.lab.vpc.desired import desired
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.reconciler import DataPlane
from islanding.lab.vpc.snapshot import snapshot
from tests.unit.region_support import REGION, connect

IMAGE = "ami-12c6146b"
SMALL = (2, 3, 5)  # VPCs, subnets in each, instances in each
SIZES = (SMALL, (6, 5, 10), (20, 10, 25))
APPLIED = 60  # instances: larger worlds are planned only
Way = tuple[str, Callable[[], object], Callable[[], object]]  # what is changed, how, and how it is taken back


class World:
    """One account with VPCs in a row, each peered with the next, and instances in their subnets."""

    def __init__(self, folder: Path, size: tuple[int, int, int], number: int = 0) -> None:
        """Make it; worlds of one size are told apart by their `number`, since moto keeps accounts for good."""
        vpcs, subnets, instances = size
        self.account = f"{600000000000 + number * 10**6 + vpcs * 10**4 + subnets * 10**2 + instances}"
        self.region = Region(self.account, REGION, folder / f"{self.account}.jsonl")
        self.region.seed.create_role("Operator")
        self.ec2 = connect(self.region, "ec2")
        self.vpcs: list[str] = []
        self.subnets: list[str] = []
        self.groups: list[str] = []
        self.tables: list[str] = []
        self.peerings: list[str] = []
        for each in range(vpcs):
            self._vpc(each, subnets, instances)

    def _vpc(self, number: int, subnets: int, instances: int) -> None:
        ec2 = self.ec2
        vpc = ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")["Vpc"]["VpcId"]
        group = ec2.create_security_group(GroupName="nodes", Description="nodes", VpcId=vpc)["GroupId"]
        for port in (22, 443, 10250):
            rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "UserIdGroupPairs": [{"GroupId": group}]}
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        mine: list[str] = []
        for n in range(1, subnets + 1):
            subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.{number}.{n}.0/24")["Subnet"]["SubnetId"]
            table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
            ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
            mine.append(subnet)
            self.tables.append(table)
        if self.vpcs:
            peering = ec2.create_vpc_peering_connection(VpcId=self.vpcs[-1], PeerVpcId=vpc)
            self.peerings.append(peering["VpcPeeringConnection"]["VpcPeeringConnectionId"])
            ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=self.peerings[-1])
            ec2.create_route(
                RouteTableId=self.tables[-1],
                DestinationCidrBlock=f"10.{number - 1}.0.0/16",
                VpcPeeringConnectionId=self.peerings[-1],
            )
        for n in range(instances):
            self.instance(mine[n % subnets], group, f"10.{number}.{n % subnets + 1}.{10 + n}")
        self.vpcs.append(vpc)
        self.groups.append(group)
        self.subnets += mine

    def instance(self, subnet: str, group: str, address: str) -> str:
        """Launch one; its id."""
        made = self.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=subnet, SecurityGroupIds=[group], PrivateIpAddress=address
        )
        return str(made["Instances"][0]["InstanceId"])


def ways_to_change(world: World) -> list[Way]:
    """Changes, each with the one that takes it back."""
    ec2, group = world.ec2, world.groups[0]
    rule = [{"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8080, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]
    route = {"RouteTableId": world.tables[0], "DestinationCidrBlock": "10.1.0.0/16"}
    launched: list[str] = []
    addresses = iter(range(100, 250))
    return [
        (
            "a rule of a security group",
            lambda: ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rule),
            lambda: ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rule),
        ),
        (
            "a route",
            lambda: ec2.create_route(**route, VpcPeeringConnectionId=world.peerings[0]),
            lambda: ec2.delete_route(**route),
        ),
        (
            "an instance",
            lambda: launched.append(world.instance(world.subnets[0], group, f"10.0.1.{next(addresses)}")),
            lambda: ec2.terminate_instances(InstanceIds=[launched.pop()]),
        ),
    ]


def processor() -> float:
    """Milliseconds of processor time that this process and its children have had: another load does not add to it."""
    return sum(os.times()[:4]) * 1000


def one_change(world: World, rounds: int) -> dict[str, dict[str, Any]]:
    """What each way to change takes, in ms.

    Reconcile as each round saw it; its share in the kernel and taking it back, as medians; and the processor's time as
    a mean over all rounds, since it is counted in steps of 10 ms.
    """
    plane = DataPlane(world.account, REGION)
    plane.reconcile("start")
    found: dict[str, dict[str, Any]] = {"everything from nothing": {"seen": [plane.last.seconds * 1000]}}
    for name, do, undo in ways_to_change(world):
        there: list[float] = []
        kernel: list[float] = []
        back: list[float] = []
        worked = 0.0
        for _ in range(rounds + 1):
            do()
            before = processor()
            plane.reconcile("bench")
            worked += processor() - before
            there.append(plane.last.seconds * 1000)
            kernel.append(plane.last.in_kernel * 1000)
            undo()
            plane.reconcile("bench")
            back.append(plane.last.seconds * 1000)
        # The first round pays for what is loaded once.
        found[name] = {
            "seen": there[1:],
            "kernel": median(kernel[1:]),
            "back": median(back[1:]),
            "processor": worked / (rounds + 1),
        }
    found["nothing"] = {"seen": [milliseconds(lambda: plane.reconcile("bench")) for _ in range(rounds)]}
    cycle = next(n.name for n in plane.plan.namespaces if n.name.startswith("i-"))
    found["a power cycle"] = {"seen": [milliseconds(lambda: plane.replug(cycle)) for _ in range(rounds)]}
    if plane.errors:
        raise RuntimeError(plane.errors[0])
    plane.close()
    return found


def planned(world: World, rounds: int) -> dict[str, float]:
    """Medians in ms of reading the account, planning, and the difference that one rule makes; and the plan's links."""
    outside = Outside()
    read = median(milliseconds(lambda: snapshot(world.account, REGION)) for _ in range(rounds))
    state = snapshot(world.account, REGION)
    before = desired(state, outside)
    plan = median(milliseconds(lambda: desired(state, outside)) for _ in range(rounds))
    ways_to_change(world)[0][1]()
    after = desired(snapshot(world.account, REGION), outside)
    difference = median(milliseconds(lambda: changes(after, before)) for _ in range(rounds))
    return {"snapshot": read, "plan": plan, "difference": difference, "links": len(before.links)}


def main() -> None:
    """`python -m benchmarks.reconcile FOLDER ROUNDS`, in namespaces of its own."""
    folder, rounds = Path(sys.argv[1]), int(sys.argv[2])
    throwaway.prepare(folder)
    logging.disable(logging.CRITICAL)
    sizes = []
    for size in SIZES:
        vpcs, subnets, instances = size
        world = World(folder, size)
        changed = one_change(world, rounds) if vpcs * instances <= APPLIED else {}
        said = f"{vpcs} VPCs, {vpcs * subnets} subnets, {vpcs * instances} instances"
        sizes.append({"size": said, "changes": changed, **planned(world, rounds)})
        world.region.close()
    throwaway.report(sizes=sizes)


if __name__ == "__main__":
    main()
