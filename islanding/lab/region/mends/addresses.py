"""Private addresses: the lowest free one of a subnet, none twice, none of those that AWS keeps.

moto draws them at random, from reserved ones too, and answers AssignPrivateIpAddresses with all that an interface has.
Reserved are the first four and the last (VPC guide, "Subnet CIDR blocks"); wording of errors from AWS (memory).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models.elastic_network_interfaces import NetworkInterfaceBackend
from moto.ec2.models.subnets import Subnet
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from islanding.lab.region.mends.patching import ec2_error, known, locked, mend, mend_property

RESERVED = 4  # at the beginning of each subnet; one more at its end


def used(backend: Any, subnet: Any) -> set[str]:
    """The addresses of a subnet that interfaces hold."""
    found: set[str] = set()
    for eni in list(backend.enis.values()):
        if eni.subnet is not None and eni.subnet.id == subnet.id:
            found |= {str(a["PrivateIpAddress"]) for a in eni.private_ip_addresses}
            found.add(str(eni.private_ip_address))
    return found


def count_free(backend: Any, subnet: Any) -> int:
    """How many addresses of a subnet can still be had."""
    return int(subnet.cidr.num_addresses) - RESERVED - 1 - len(used(backend, subnet))


def free(backend: Any, subnet: Any, count: int, besides: Iterable[str] = ()) -> list[str]:
    """The lowest `count` addresses that nobody holds; raises InsufficientFreeAddressesInSubnet."""
    network, taken = subnet.cidr, used(backend, subnet) | set(besides)
    found: list[str] = []
    for number in range(RESERVED, network.num_addresses - 1):
        if len(found) == count:
            break
        if (address := str(network[number])) not in taken:
            found.append(address)
    if len(found) < count:
        raise ec2_error(
            "InsufficientFreeAddressesInSubnet",
            f"The specified subnet does not have enough free addresses to satisfy the request: {subnet.id}",
        )
    return found


def check(backend: Any, subnet: Any, address: str) -> None:
    """Refuse an address that cannot be had in that subnet."""
    network = subnet.cidr
    try:
        number = int(ipaddress.ip_address(address)) - int(network.network_address)
    except ValueError:
        raise ec2_error("InvalidParameterValue", f"invalid value for parameter address: {address}") from None
    if not 0 <= number < network.num_addresses:
        raise ec2_error("InvalidParameterValue", f"Address {address} does not fall within the subnet's address range")
    if number < RESERVED or number == network.num_addresses - 1:
        raise ec2_error("InvalidParameterValue", f"Address {address} is in subnet's reserved address range")
    if address in used(backend, subnet):
        raise ec2_error("InvalidIPAddress.InUse", f"Address {address} is in use.")


def text_of(item: Any) -> str:
    """An address of a request, which is a text or a structure."""
    return str(item["PrivateIpAddress"]) if isinstance(item, dict) else str(item)


def _wanted(primary: Any, listed: list[Any]) -> tuple[str, list[str]]:
    """Primary and secondary addresses that a request names."""
    marked = [text_of(i) for i in listed if isinstance(i, dict) and str(i.get("Primary", "")).lower() == "true"]
    primary = primary[0] if isinstance(primary, list) and primary else primary
    first = str(primary or "") or next(iter(marked), "")
    return first, [text for i in listed if (text := text_of(i)) != first]


@mend(NetworkInterfaceBackend, "create_network_interface")
@locked
def _create(
    theirs: Any, self: Any, subnet: Any, private_ip_address: Any = None, private_ip_addresses: Any = None,
    *args: Any, **kwargs: Any,
) -> Any:  # fmt: skip
    subnet = self.get_subnet(subnet) if isinstance(subnet, str) else subnet
    count = int(kwargs.pop("secondary_ips_count", 0) or 0)
    primary, others = _wanted(private_ip_address, list(private_ip_addresses or []))
    for address in filter(None, [primary, *others]):
        check(self, subnet, address)
    if not primary:
        primary = free(self, subnet, 1, others)[0]
    others += free(self, subnet, count, [primary, *others]) if count else []
    made = [{"Primary": True, "PrivateIpAddress": primary}]
    made += [{"Primary": False, "PrivateIpAddress": address} for address in others]
    return theirs(self, subnet, primary, made, *args, **kwargs)


@mend(ElasticNetworkInterfaces, "assign_private_ip_addresses")
@locked
def _assign(_theirs: Any, self: Any) -> Any:
    backend = self.ec2_backend
    eni = backend.get_network_interface(self._get_param("NetworkInterfaceId"))
    count = self._get_int_param("SecondaryPrivateIpAddressCount", 0)
    named = [text_of(item) for item in self._get_param("PrivateIpAddresses", [])]
    mine = {str(a["PrivateIpAddress"]) for a in eni.private_ip_addresses}
    named = [address for address in named if address not in mine]
    check_count(backend, eni, len(mine) + len(named) + count)
    for address in named:
        check(backend, eni.subnet, address)
    new = named + (free(backend, eni.subnet, count, named) if count else [])
    eni.private_ip_addresses += [{"Primary": False, "PrivateIpAddress": address} for address in new]
    assigned = [{"PrivateIpAddress": address} for address in new]
    return ActionResult({"NetworkInterfaceId": eni.id, "AssignedPrivateIpAddresses": assigned})


@mend(NetworkInterfaceBackend, "unassign_private_ip_addresses")
@locked
def _unassign(theirs: Any, self: Any, eni_id: str, private_ip_address: Any = None) -> Any:
    eni = self.get_network_interface(eni_id)
    mine = {str(a["PrivateIpAddress"]) for a in eni.private_ip_addresses}
    for address in map(text_of, private_ip_address or []):
        if address == str(eni.private_ip_address):
            raise ec2_error("InvalidParameterValue", "The primary private IP address cannot be unassigned.")
        if address not in mine:
            raise ec2_error(
                "InvalidParameterValue",
                f"Some of the specified addresses are not assigned to interface {eni_id}",
            )
    return theirs(self, eni_id, [text_of(item) for item in private_ip_address or []])


@mend(Subnet, "get_available_subnet_ip")
@locked
def _lowest(_theirs: Any, self: Any, instance: Any) -> str:
    # Several instances of one call ask in turn: each has its interface before the next one asks.
    return free(self.ec2_backend, self, 1)[0]


@mend(Subnet, "request_ip")
@locked
def _request(_theirs: Any, self: Any, ip: str, instance: Any) -> None:
    check(self.ec2_backend, self, ip)


@mend_property(Subnet, "available_ip_address_count")
def _available(self: Any) -> int:
    return count_free(self.ec2_backend, self)


def check_count(backend: Any, eni: Any, count: int) -> None:
    """Refuse more addresses on an interface than its instance's type may have."""
    limit = known(backend).limits.get(eni.instance.instance_type) if eni.instance is not None else None
    if limit and count > limit[1]:
        raise ec2_error("PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
