"""A world for packet tests: a Region and its data plane in namespaces of this process, changed through boto3 alone."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends

from islanding.lab import namespaces
from islanding.lab.namespaces import in_netns
from islanding.lab.plan import NetworkPlan
from islanding.lab.region.server import Region
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.reconciler import DataPlane
from islanding.lab.vpc.state import ServiceHost
from islanding.process import run
from tests.unit.region_support import REGION, connect, fresh_region

OPEN, REFUSED, SILENT = "open", "refused", "silent"
OPENS_IN = 5.0  # seconds for a path that has to be open: a SYN lost on a busy machine is sent again after 1 s
PATIENCE = 0.6  # seconds without an answer that count as silence; a path that is open answers within 10 ms
IMAGE = "ami-12c6146b"
_numbers = itertools.count(1)


def private() -> Iterator[None]:
    """Names of network namespaces that only this process sees, for as long as a module's tests last (a fixture)."""
    namespaces.unshare(namespaces.CLONE_NEWNS)  # for good: a process with threads cannot go back
    namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
    namespaces.NETNS.mkdir(parents=True, exist_ok=True)
    where = os.path.realpath(namespaces.NETNS)
    namespaces.mount("tmpfs", where, "tmpfs", data="mode=755")
    try:
        yield
    finally:
        run(["umount", "--recursive", "--lazy", where])


@dataclass
class World:
    """One account's EC2 with its packets."""

    region: Region
    plane: DataPlane
    ec2: Any
    services: list[ServiceHost] = field(default_factory=list)  # hosts of AWS services
    owners: dict[str, str] = field(default_factory=dict)  # their interfaces
    servers: list[socket.socket] = field(default_factory=list)

    def client(self, service: str) -> Any:
        """A boto3 client of another service."""
        return connect(self.region, service)

    def vpc(self, cidr: str) -> str:
        """A VPC; its id."""
        return str(self.ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"])

    def subnet(self, vpc: str, cidr: str, **more: Any) -> str:
        """A subnet; its id."""
        return str(self.ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, **more)["Subnet"]["SubnetId"])

    def group(self, vpc: str, *, egress: bool = True) -> str:
        """A security group that lets nothing in, and everything (or nothing) out; its id."""
        name = f"group-{next(_numbers)}"
        group = str(self.ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"])
        if not egress:
            everything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
            self.ec2.revoke_security_group_egress(GroupId=group, IpPermissions=everything)
        return group

    def allow(self, group: str, source: str = "0.0.0.0/0", protocol: str = "tcp", port: int = 8080) -> None:
        """Let something in."""
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=permission(source, protocol, port))

    def revoke(self, group: str, source: str = "0.0.0.0/0", protocol: str = "tcp", port: int = 8080) -> None:
        """Take a rule back."""
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=permission(source, protocol, port))

    def instance(self, subnet: str, group: str, address: str) -> str:
        """A running instance; its id, which is its namespace too."""
        made = self.ec2.run_instances(
            ImageId=IMAGE, MinCount=1, MaxCount=1, InstanceType="t3.small", SubnetId=subnet, SecurityGroupIds=[group],
            PrivateIpAddress=address,
        )  # fmt: skip
        return str(made["Instances"][0]["InstanceId"])

    def card(self, instance: str, device: int = 0) -> str:
        """The id of an instance's network interface."""
        cards = self.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        found = {c["Attachment"]["DeviceIndex"]: c["NetworkInterfaceId"] for c in cards["NetworkInterfaces"]}
        return str(found[device])

    def free_public(self) -> str:
        """A public address that nobody has."""
        return f"203.0.113.{130 + next(_numbers) % 100}"

    def elastic(self, card: str) -> str:
        """A new elastic address for an interface."""
        made = self.ec2.allocate_address(Domain="vpc", Address=self.free_public())
        self.ec2.associate_address(AllocationId=made["AllocationId"], NetworkInterfaceId=card)
        return str(made["PublicIp"])

    def settle(self) -> None:
        """Move interfaces of endpoints and NAT gateways into their subnets."""
        for eni in list(ec2_backends[self.region.account][REGION].enis.values()):
            if ip_address(str(eni.private_ip_address)) not in ip_network(eni.subnet.cidr_block):
                eni.private_ip_address = f"{eni.subnet.cidr_block.rsplit('.', 1)[0]}.{100 + next(_numbers) % 100}"
                eni.private_ip_addresses = [{"Primary": True, "PrivateIpAddress": eni.private_ip_address}]
        self.plane.reconcile("settled")

    def regroup(self, card: str, *groups: str) -> None:
        """Put an interface into groups."""
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=card, Groups=list(groups))

    def peer(self, vpc: str, other: str) -> str:
        """An accepted peering connection with routes both ways in the main route tables; its id."""
        made = self.ec2.create_vpc_peering_connection(VpcId=vpc, PeerVpcId=other)["VpcPeeringConnection"]
        peering = str(made["VpcPeeringConnectionId"])
        self.ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=peering)
        ranges = {v["VpcId"]: v["CidrBlock"] for v in self.ec2.describe_vpcs(VpcIds=[vpc, other])["Vpcs"]}
        for here, there in ((vpc, other), (other, vpc)):
            self.route(self.main_table(here), ranges[there], VpcPeeringConnectionId=peering)
        return peering

    def route(self, table: str, destination: str, **target: str) -> None:
        """A route."""
        self.ec2.create_route(RouteTableId=table, DestinationCidrBlock=destination, **target)

    def main_table(self, vpc: str) -> str:
        """The id of a VPC's main route table."""
        mine = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "association.main", "Values": ["true"]}]
        return str(self.ec2.describe_route_tables(Filters=mine)["RouteTables"][0]["RouteTableId"])

    def serve(self, netns: str, port: int = 8080, address: str = "0.0.0.0") -> None:
        """Answer on a TCP and a UDP port with the address that the caller is seen from."""
        listener = namespaces.listener_in(netns, address, port)
        packets = in_netns(netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        packets.bind((address, port))
        self.servers += [listener, packets]
        threading.Thread(target=_answer_connections, args=(listener,), daemon=True).start()
        threading.Thread(target=_answer_packets, args=(packets,), daemon=True).start()

    def tcp(self, netns: str, address: str, port: int = 8080, source: str = "") -> str:
        """How a TCP connection goes: open, refused, silent, or what else the kernel says."""
        try:
            with self.connection(netns, address, port, source, PATIENCE):
                return OPEN
        except ConnectionRefusedError:
            return REFUSED
        except TimeoutError as error:
            return SILENT if error.errno is None else os.strerror(error.errno)
        except OSError as error:
            return os.strerror(error.errno or 0)

    def connection(
        self, netns: str, address: str, port: int = 8080, source: str = "", patience: float = OPENS_IN
    ) -> socket.socket:
        """A TCP connection from a namespace, which has to open in `patience` seconds; raises OSError."""
        made = in_netns(netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        try:
            made.settimeout(patience)
            if source:
                made.bind((source, 0))
            made.connect((address, port))
        except OSError:
            made.close()
            raise
        return made

    def seen_as(self, netns: str, address: str, port: int = 8080) -> str:
        """The address that a TCP server sees the caller come from."""
        with self.connection(netns, address, port) as made:
            made.sendall(b"?")
            return made.recv(100).decode()

    def udp(self, netns: str, address: str, port: int = 8080) -> str:
        """How a question by UDP goes."""
        with in_netns(netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as asked:
            asked.settimeout(PATIENCE)
            try:
                asked.connect((address, port))
                asked.send(b"?")
                asked.recv(100)
            except TimeoutError:
                return SILENT
            except OSError as error:
                return os.strerror(error.errno or 0)
            return OPEN

    def arrives(self, netns: str, address: str, at: str, source: str = "") -> bool:
        """Whether a packet that is sent off arrives, whatever becomes of an answer; `at` has the address."""
        with (
            in_netns(at, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as there,
            in_netns(netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as here,
        ):
            there.bind((address, 5353))
            there.settimeout(PATIENCE)
            if source:
                here.bind((source, 0))
            here.sendto(b"?", (address, 5353))
            try:
                return there.recv(100) == b"?"
            except TimeoutError:
                return False

    def ping(self, netns: str, address: str) -> str:
        """How an ICMP echo goes."""
        number = next(_numbers)
        with in_netns(netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as asked:
            asked.settimeout(PATIENCE)
            header = struct.pack("!BBHHH", 8, 0, 0, os.getpid() & 0xFFFF, number & 0xFFFF)
            total = sum(struct.unpack("!4H", header))
            total = (total & 0xFFFF) + (total >> 16)
            packet = header[:2] + struct.pack("!H", ~total & 0xFFFF) + header[4:]
            try:
                asked.sendto(packet, (address, 0))
                while True:
                    answer = asked.recv(200)
                    if answer[20] == 0 and answer[24:28] == packet[4:8]:
                        return OPEN
                    if answer[20] not in (0, 8):
                        return f"ICMP {answer[20]}/{answer[21]}"
            except TimeoutError:
                return SILENT
            except OSError as error:
                return os.strerror(error.errno or 0)

    def close(self) -> None:
        """Stop the servers, and take the network away."""
        for server in self.servers:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        self.plane.close()


def permission(source: str, protocol: str, port: int) -> list[dict[str, Any]]:
    """A rule's permission: `source` is a CIDR block, a group's id or a prefix list's."""
    side: dict[str, Any] = {"IpRanges": [{"CidrIp": source}]}
    if source.startswith("sg-"):
        side = {"UserIdGroupPairs": [{"GroupId": source}]}
    elif source.startswith("pl-"):
        side = {"PrefixListIds": [{"PrefixListId": source}]}
    return [{"IpProtocol": protocol, "FromPort": port, "ToPort": port, **side}]


def _answer_connections(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            taken, peer = listener.accept()
            threading.Thread(target=_answer_connection, args=(taken, peer[0]), daemon=True).start()


def _answer_connection(taken: socket.socket, peer: str) -> None:
    with contextlib.suppress(OSError), taken:
        while taken.recv(100):
            taken.sendall(peer.encode())


def _answer_packets(packets: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            _, peer = packets.recvfrom(100)
            if peer is None:  # it was shut down
                return
            packets.sendto(peer[0].encode(), peer)


def world(tmp_path: Path, outside: Outside | None = None, around: NetworkPlan | None = None) -> Iterator[World]:
    """A fresh account whose changes reach the kernel; what it recorded as wrong fails the test (a fixture).

    `outside` and `around` are the network around the VPCs, which is there already.
    """
    services: list[ServiceHost] = []
    owners: dict[str, str] = {}
    for region in fresh_region(tmp_path):
        plane = DataPlane(
            region.account, REGION, outside, services=lambda: tuple(services), owners=lambda: owners, around=around,
            on_error=region.errors.append,
        )  # fmt: skip
        plane.reconcile("start")
        region.after_mutation(plane.hook)
        made = World(region, plane, connect(region, "ec2"), services, owners)
        try:
            yield made
        finally:
            made.close()
            print("\n".join(plane.errors))  # noqa: T201 - pytest shows it when the test fails
