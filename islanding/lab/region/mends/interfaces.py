"""Network interfaces: groups of their own, MACs that are unique, limits, and what becomes of them with their instance.

moto gives an interface the groups of its instance too, lets any number be attached, and leaves the interfaces of a
terminated instance where they are. EC2 user guide, "Elastic network interfaces"; wording of errors from AWS (memory).
"""

from __future__ import annotations

import contextlib
import copy
from itertools import count
from typing import Any

from moto.ec2.models.elastic_network_interfaces import NetworkInterface, NetworkInterfaceBackend
from moto.ec2.models.instances import Instance
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from islanding.lab.region.mends.patching import ec2_error, known, lock, locked, mend, mend_property
from islanding.lab.vpc import service_names

_macs = (f"02:00:{n >> 24 & 255:02x}:{n >> 16 & 255:02x}:{n >> 8 & 255:02x}:{n & 255:02x}" for n in count(1))
_SERVICE = ("vpc_endpoint", "nat_gateway")  # interfaces that AWS manages for its services


def check_groups(backend: Any, subnet: Any, groups: list[str]) -> None:
    """Refuse security groups that are not there, or are of another VPC."""
    for group in groups:
        found = backend.get_security_group_from_id(group)
        if found is None:
            raise ec2_error("InvalidGroup.NotFound", f"The security group '{group}' does not exist")
        if found.vpc_id != subnet.vpc_id:
            raise ec2_error(
                "InvalidParameter", f"Security group {group} and subnet {subnet.id} belong to different networks."
            )


def free_mac(backend: Any) -> str:
    """A MAC that no interface has or had: 02 marks it as locally administered."""
    taken = {str(eni.mac_address) for eni in list(backend.enis.values())}
    return next(mac for mac in _macs if mac not in taken)


def managed(eni: Any) -> bool:
    """Whether an interface is one of AWS's services."""
    return str(eni.interface_type) in _SERVICE


@mend(NetworkInterfaceBackend, "create_network_interface")
@locked
def _create(theirs: Any, self: Any, subnet: Any, *args: Any, **kwargs: Any) -> Any:
    subnet = self.get_subnet(subnet) if isinstance(subnet, str) else subnet
    groups = kwargs.get("group_ids") or (args[2] if len(args) > 2 else None) or []  # the fourth
    check_groups(self, subnet, list(groups))
    eni = theirs(self, subnet, *args, **kwargs)
    # Another may have drawn the same one; the lock is held since before this one was made.
    eni.mac_address = free_mac(self)
    if str(self.get_vpc(subnet.vpc_id).enable_dns_support).lower() == "true":
        eni.private_dns_name = service_names.private_name(str(eni.private_ip_address), self.region_name)
    return eni


@mend_property(NetworkInterface, "group_set")
def _group_set(self: Any) -> list[Any]:
    return list(dict.fromkeys(self._group_set))


@mend(NetworkInterface, "get_filter_value")
def _filter_value(theirs: Any, self: Any, filter_name: str, method_name: str | None = None) -> Any:
    attached = self.instance is not None
    mine: dict[str, Any] = {
        "addresses.private-ip-address": [str(a["PrivateIpAddress"]) for a in self.private_ip_addresses],
        "addresses.primary": ["true"],
        "attachment.status": "attached" if attached else "detached",
        "attachment.device-index": str(self.device_index) if attached else None,
        "attachment.delete-on-termination": str(bool(self.delete_on_termination)).lower() if attached else None,
        "association.public-ip": self.public_ip,
        "group-id": [group.id for group in self.group_set],
        "group-name": [group.name for group in self.group_set],
        "interface-type": self.interface_type,
        "mac-address": self.mac_address,
        "owner-id": self.owner_id,
        "private-dns-name": getattr(self, "private_dns_name", None),
        "requester-managed": str(bool(self.requester_managed)).lower(),
        "source-dest-check": str(bool(self.source_dest_check)).lower(),
        "status": self.status,
    }
    return mine[filter_name] if filter_name in mine else theirs(self, filter_name, method_name)


# An instance has the groups of its first interface; until that is there, those that it is launched with.
def _groups_of(self: Any) -> list[Any]:
    first = vars(self).get("nics", {}).get(0)
    return list(first.group_set if first is not None else vars(self).get("_launch_groups", []))


def _give_groups(self: Any, groups: list[Any]) -> None:
    vars(self)["_launch_groups"] = list(groups)
    if (first := vars(self).get("nics", {}).get(0)) is not None:
        first._group_set = list(groups)


Instance.security_groups = property(_groups_of, _give_groups)  # type: ignore[assignment]  # moto has a plain attribute


@mend(ElasticNetworkInterfaces, "modify_network_interface_attribute")
@locked
def _modify(theirs: Any, self: Any) -> Any:
    eni = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
    check_groups(self.ec2_backend, eni.subnet, self._get_param("Groups", []))
    answer = theirs(self)
    ends = self._get_param("Attachment.DeleteOnTermination")
    if ends is not None:
        eni.delete_on_termination = str(ends).lower() == "true"
    return answer


@mend(NetworkInterfaceBackend, "attach_network_interface")
@locked
def _attach(theirs: Any, self: Any, eni_id: str, instance_id: str, device_index: int) -> Any:
    eni, instance = self.get_network_interface(eni_id), self.get_instance(instance_id)
    check_attachment(self, eni, instance, int(device_index))
    eni.delete_on_termination = False
    return theirs(self, eni_id, instance_id, device_index)


@mend(NetworkInterfaceBackend, "detach_network_interface")
@locked
def _detach(theirs: Any, self: Any, attachment_id: str) -> None:
    for eni in list(self.enis.values()):
        if eni.attachment_id == attachment_id and eni.device_index == 0:
            raise ec2_error(
                "OperationNotPermitted",
                "The network interface at device index 0 and networkCard index 0 cannot be detached.",
            )
    theirs(self, attachment_id)


@mend(NetworkInterfaceBackend, "delete_network_interface")
@locked
def _delete(theirs: Any, self: Any, eni_id: str) -> None:
    eni = self.get_network_interface(eni_id)
    if eni.instance is not None or eni.status == "in-use":
        raise ec2_error("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
    theirs(self, eni_id)


@mend(Instance, "prep_nics")
@locked
def _prepare(theirs: Any, self: Any, nic_spec: list[dict[str, Any]], *args: Any, **kwargs: Any) -> None:
    """Interfaces made with an instance end with it unless asked otherwise; those that were there before stay."""
    given = {int(spec.get("DeviceIndex", 0)): dict(spec) for spec in nic_spec}
    theirs(self, nic_spec, *args, **kwargs)
    for device, eni in self.nics.items():
        asked = given.get(device, {})
        default = "false" if asked.get("NetworkInterfaceId") else "true"
        eni.delete_on_termination = str(asked.get("DeleteOnTermination", default)).lower() == "true"


@mend(Instance, "terminate")
@locked
def _terminate(theirs: Any, self: Any) -> Any:
    """Its interfaces go with it, or become available again."""
    if self.state == "terminated":
        return copy.copy(self._state)
    ends = [eni for eni in self.nics.values() if eni.delete_on_termination]
    stays = [(device, eni) for device, eni in self.nics.items() if not eni.delete_on_termination]
    for eni in ends:
        _let_go_of_public(self.ec2_backend, eni)
        eni.delete_on_termination = False  # moto would ask us to delete what is in use
    previous = theirs(self)
    for eni in ends:
        eni.delete_on_termination = True
        self.ec2_backend.enis.pop(eni.id, None)
    for device, eni in stays:
        self.detach_eni(eni)
        if device == 0:  # moto asks a terminated instance for its first interface
            self.nics[0] = eni
    return previous


def _let_go_of_public(backend: Any, eni: Any) -> None:
    for address in [a for a in list(backend.addresses) if a.eni is eni]:
        address.eni = address.instance = address.association_id = None
        eni.public_ip = None


def check_attachment(backend: Any, eni: Any, instance: Any, device: int) -> None:
    """Refuse to attach what cannot be attached there."""
    if eni.instance is not None or managed(eni):
        raise ec2_error("InvalidNetworkInterface.InUse", f"Interface: [{eni.id}] in use.")
    if instance.state not in ("running", "stopped"):
        raise ec2_error("IncorrectState", f"Instance '{instance.id}' is not in a state that allows attachment.")
    if eni.availability_zone != instance.availability_zone:
        raise ec2_error(
            "InvalidParameterCombination",
            "You may not attach a network interface to an instance if they are not in the same availability zone",
        )
    if device in instance.nics:
        raise ec2_error(
            "InvalidParameterValue",
            f"Instance '{instance.id}' already has an interface attached at device index '{device}'.",
        )
    limit = known(backend).limits.get(instance.instance_type)
    if limit and len(instance.nics) >= limit[0]:
        raise ec2_error(
            "AttachmentLimitExceeded",
            f"Interface count {len(instance.nics) + 1} exceeds the limit for {instance.instance_type}",
        )


def remove(backend: Any, eni_ids: list[str]) -> None:
    """Take away interfaces of a service, whatever they are used for."""
    with lock:
        for eni_id in eni_ids:
            with contextlib.suppress(KeyError):
                eni = backend.enis.pop(eni_id)
                _let_go_of_public(backend, eni)
