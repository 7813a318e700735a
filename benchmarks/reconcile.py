"""The data plane's figures: reconcile after one change, how it grows, and what it adds to an AWS call."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from islanding.lab import namespaces
from islanding.lab.plan import NetworkPlan
from islanding.lab.region.server import Region
from islanding.lab.script import changes
from islanding.lab.vpc.desired import desired
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.reconciler import DataPlane
from islanding.lab.vpc.snapshot import snapshot
from islanding.process import run
from tests.unit.region_support import REGION, connect

IMAGE = "ami-12c6146b"
SMALL = (2, 3, 5)  # VPCs, subnets in each, instances in each
SIZES = ((2, 3, 5), (6, 5, 10), (20, 10, 25))
APPLIED = 60  # instances: larger worlds are planned only


class World:
    """One account with VPCs in a row, each peered with the next, and instances in their subnets."""

    def __init__(self, folder: Path, size: tuple[int, int, int]) -> None:
        vpcs, subnets, instances = size
        self.account = f"{600000000000 + vpcs * 1000 + subnets * 100 + instances}"
        self.region = Region(self.account, REGION, folder / f"{self.account}.jsonl")
        self.region.seed.create_role("Operator")
        self.ec2 = connect(self.region, "ec2")
        self.vpcs: list[str] = []
        self.subnets: list[str] = []
        self.groups: list[str] = []
        self.tables: list[str] = []
        self.peerings: list[str] = []
        for number in range(vpcs):
            self._vpc(number, subnets, instances)

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


def ways_to_change(world: World) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
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


@contextmanager
def private_names() -> Iterator[None]:
    """Names of network namespaces of this process alone."""
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
    namespaces.NETNS.mkdir(parents=True, exist_ok=True)
    namespaces.mount("tmpfs", str(namespaces.NETNS.resolve()), "tmpfs", data="mode=755")
    yield
    run(["umount", "--recursive", "--lazy", str(namespaces.NETNS.resolve())])


def milliseconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def one_change(world: World, rounds: int) -> dict[str, tuple[float, float, float]]:
    """(reconcile, its share in the kernel, taking it back) in ms for each way to change."""
    plane = DataPlane(world.account, REGION)
    plane.reconcile("start")
    build = plane.last.seconds * 1000
    found = {"everything from nothing": (build, plane.last.in_kernel * 1000, 0.0)}
    for name, do, undo in ways_to_change(world):
        seen: list[tuple[float, float, float]] = []
        for _ in range(rounds):
            do()
            plane.reconcile("bench")
            there = (plane.last.seconds * 1000, plane.last.in_kernel * 1000)
            undo()
            plane.reconcile("bench")
            seen.append((*there, plane.last.seconds * 1000))
        found[name] = tuple(median(values) for values in zip(*seen, strict=True))
    found["nothing"] = (median(milliseconds(lambda: plane.reconcile("bench")) for _ in range(rounds)), 0.0, 0.0)
    cycle = next(n.name for n in plane.plan.namespaces if n.name.startswith("i-"))
    found["a power cycle"] = (median(milliseconds(lambda: plane.replug(cycle)) for _ in range(rounds)), 0.0, 0.0)
    if plane.errors:
        raise RuntimeError(plane.errors[0])
    plane.close()
    return found


def calls(world: World, rounds: int) -> list[tuple[str, float, float]]:
    """(call, without, with the data plane) in ms."""
    found = []
    plane = DataPlane(world.account, REGION)
    kinds: list[tuple[str, Callable[[], Any]]] = [
        ("read", world.ec2.describe_network_interfaces),
        (
            "write, and one that takes it back",
            lambda: [change() for _, *both in ways_to_change(world)[:1] for change in both],
        ),
    ]
    plain = {name: median(milliseconds(call) for _ in range(rounds)) for name, call in kinds}
    plane.reconcile("start")
    world.region.after_mutation(plane.hook)
    for name, call in kinds:
        found.append((name, plain[name], median(milliseconds(call) for _ in range(rounds))))
    plane.close()
    return found


def planned(world: World, rounds: int) -> tuple[float, float, float, NetworkPlan]:
    """(snapshot, plan, difference of one change) in ms, and the plan."""
    outside = Outside()
    read = median(milliseconds(lambda: snapshot(world.account, REGION)) for _ in range(rounds))
    state = snapshot(world.account, REGION)
    before = desired(state, outside)
    plan = median(milliseconds(lambda: desired(state, outside)) for _ in range(rounds))
    ways_to_change(world)[0][1]()
    after = desired(snapshot(world.account, REGION), outside)
    return read, plan, median(milliseconds(lambda: changes(after, before)) for _ in range(rounds)), before


def main() -> int:
    """Measure and print; the exit code is 0 whatever the figures say, for they are read by people."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reconcile", description="Figures of the data plane.")
    parser.add_argument("--rounds", type=int, default=9, help="of each measurement (default 9)")
    rounds = max(parser.parse_args().rounds, 1)
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder, private_names():
        for size in SIZES:
            report(World(Path(folder), size), size, rounds)
    return 0


def report(world: World, size: tuple[int, int, int], rounds: int) -> None:
    """Print what one size of world takes."""
    vpcs, subnets, instances = size
    print(f"{vpcs} VPCs, {vpcs * subnets} subnets, {vpcs * instances} instances")
    if vpcs * instances <= APPLIED:
        for name, (there, in_kernel, back) in one_change(world, rounds).items():
            print(f"  {name:30} {there:7.1f} ms (kernel {in_kernel:6.1f}), taken back {back:6.1f} ms")
    if size == SMALL:
        for name, without, beside in calls(world, rounds):
            print(f"  a {name:34} {without:7.1f} ms without, {beside:6.1f} ms with the data plane")
    read, plan, difference, whole = planned(world, rounds)
    print(f"  snapshot {read:.2f} ms, plan {plan:.2f} ms, difference {difference:.2f} ms; {len(whole.links)} links")
    world.region.close()


if __name__ == "__main__":
    sys.exit(main())
