"""Public addresses and the gateways that have them: Elastic IPs, NAT gateways, internet gateways.

moto draws public addresses at random, from loopback's range, and leaves a deleted NAT gateway its interface.
"""

from __future__ import annotations

import itertools
from typing import Any

from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces, nat_gateways
from moto.ec2.models.internet_gateways import InternetGatewayBackend
from moto.ec2.models.nat_gateways import NatGatewayBackend

from islanding.lab.region.mends import interfaces
from islanding.lab.region.mends.patching import ec2_error, lock, locked, mend

# A range of EC2's in Tokyo (AWS's ip-ranges.json, memory), of which a lab uses the lowest addresses in turn.
_PUBLIC = (f"54.150.{number // 254}.{number % 254 + 1}" for number in itertools.count())


def next_public() -> str:
    """A public address that nobody has had in this process."""
    with lock:
        return next(_PUBLIC)


def mapped(backend: Any, vpc: str) -> list[str]:
    """The public addresses that lead into a VPC."""
    enis = [e for e in list(backend.enis.values()) if e.subnet is not None and e.subnet.vpc_id == vpc]
    return [str(eni.public_ip) for eni in enis if eni.public_ip]


def has_internet_gateway(backend: Any, vpc: str) -> bool:
    """Whether an internet gateway is attached to a VPC."""
    gateways = list(backend.internet_gateways.values())
    return any(gateway.vpc is not None and gateway.vpc.id == vpc for gateway in gateways)


def _nothing(*_: Any, **__: Any) -> str:
    """No address is asked for: it will be the subnet's lowest."""
    return ""


for _module, _name, _ours in (
    (elastic_ip_addresses, "random_ip", next_public),
    (elastic_network_interfaces, "random_public_ip", next_public),
    (nat_gateways, "random_private_ip", _nothing),
):
    setattr(_module, _name, _ours)


@mend(elastic_ip_addresses.ElasticAddressBackend, "associate_address")
@locked
def _associate(theirs: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
    """An address that moves lets go of where it was; one that takes another's place gives that one back."""
    before = {a.allocation_id: a.eni for a in self.addresses}
    address = theirs(self, *args, **kwargs)
    old = before.get(address.allocation_id)
    if old is not None and old is not address.eni:
        old.public_ip = None
    for other in self.addresses:
        if other is not address and other.eni is address.eni and address.eni is not None:
            other.eni = other.instance = other.association_id = None
    if address.eni is not None and address.eni.instance is not None:
        address.instance = address.eni.instance
    return address


@mend(NatGatewayBackend, "create_nat_gateway")
@locked
def _create_nat(theirs: Any, self: Any, subnet_id: str, *args: Any, **kwargs: Any) -> Any:
    subnet = self.get_subnet(subnet_id)
    public = (kwargs.get("connectivity_type") or "public") == "public"
    if public and not kwargs.get("allocation_id"):
        raise ec2_error("MissingParameter", "The request must include the AllocationId parameter.")
    if public and not has_internet_gateway(self, subnet.vpc_id):
        raise ec2_error("Gateway.NotAttached", f"Network {subnet.vpc_id} has no Internet gateway attached")
    made = theirs(self, subnet_id, *args, **kwargs)
    eni = made._eni
    eni.interface_type, eni.requester_managed, eni.status = "nat_gateway", True, "in-use"
    eni.description = f"Interface for NAT Gateway {made.id}"
    eni.source_dest_check = False
    made.private_ip = eni.private_ip_address
    return made


@mend(NatGatewayBackend, "delete_nat_gateway")
@locked
def _delete_nat(theirs: Any, self: Any, nat_gateway_id: str) -> Any:
    if nat_gateway_id not in self.nat_gateways:
        raise ec2_error("NatGatewayNotFound", f"NatGateway {nat_gateway_id} was not found")
    gone = theirs(self, nat_gateway_id)
    interfaces.remove(self, [gone._eni.id])
    return gone


@mend(InternetGatewayBackend, "attach_internet_gateway")
@locked
def _attach(theirs: Any, self: Any, internet_gateway_id: str, vpc_id: str) -> Any:
    if has_internet_gateway(self, self.get_vpc(vpc_id).id):
        raise ec2_error("InvalidParameterValue", f"Network {vpc_id} already has an internet gateway attached")
    return theirs(self, internet_gateway_id, vpc_id)
