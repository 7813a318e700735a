"""EC2 instances as the lab's machines must be: a quick view of moto's state, and what moto forgets of Outposts."""

from __future__ import annotations

import base64
import re
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from islanding.lab.region import mends
from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request, Response
from islanding.lab.region.operations import form, mutates

if TYPE_CHECKING:  # importing moto's EC2 takes 0.7 s: it is done in the warming thread
    from moto.ec2.models import EC2Backend

_SUBNET_ID = re.compile(rb"<subnetId>(subnet-\w+)</subnetId>")
_INSTANCE_ID = re.compile(rb"<instanceId>(i-\w+)</instanceId>")


@dataclass(frozen=True)
class Card:
    """A network interface of an instance: private addresses, the primary one first, with what its subnet and VPC are.

    `groups` are security groups as (id, name), `public` the public address of the primary one, or empty.
    """

    id: str
    device: int
    mac: str
    addresses: tuple[str, ...]
    subnet: str
    subnet_cidr: str
    vpc: str
    vpc_cidrs: tuple[str, ...]
    groups: tuple[tuple[str, str], ...] = ()
    public: str = ""


@dataclass(frozen=True)
class InstanceState:
    """One instance as EC2 has it now: `state` is running, stopped or terminated; `reboots` counts RebootInstances."""

    id: str
    name: str
    state: str
    private_address: str
    private_dns_name: str
    mac: str
    subnet: str
    subnet_cidr: str
    vpc: str
    vpc_cidr: str
    zone: str
    instance_profile: str  # ARN, or empty
    role: str  # name of the profile's role, or empty
    key_name: str
    public_key: str  # in OpenSSH's form, or empty
    image: str
    type: str
    launched: datetime
    outpost_arn: str
    reboots: int
    http_tokens: str = "optional"  # metadata options: `required` refuses IMDSv1
    http_endpoint: str = "enabled"
    hop_limit: int = 1  # how far a token's reply goes
    metadata_tags: bool = False
    cards: tuple[Card, ...] = ()  # network interfaces, by device index
    user_data: bytes = field(default=b"", repr=False)  # may hold secrets
    tags: tuple[tuple[str, str], ...] = ()


class Instances:
    """The instances of one account and Region."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region
        self._lock = threading.Lock()
        self._reboots: dict[str, int] = {}

    @property
    def _ec2(self) -> EC2Backend:
        from moto.ec2.models import ec2_backends

        return ec2_backends[self._account][self._region]

    def states(self) -> tuple[InstanceState, ...]:
        """All instances, terminated ones included, in the order of their launch."""
        ec2 = self._ec2
        return tuple(self._state(ec2, instance) for instance in ec2.all_instances())

    def at(self, address: str, vpc: str = "") -> InstanceState | None:
        """The instance that holds a private address (in that VPC, if given) and is not terminated, or None.

        Every address of every interface counts: a pod's secondary address belongs to its node.
        """
        ec2 = self._ec2
        for instance in ec2.all_instances():
            if instance.state != "terminated" and _holds(instance, address, vpc):
                return self._state(ec2, instance)
        return None

    def check(self, operation: str, request: Request, knows_outpost: Any) -> None:
        """Refuse what EC2 refuses and moto lets pass; raises AwsError."""
        mends.install(self._account, self._region)
        if mutates(operation):
            mends.refuse(self._account, self._region, operation, form(request))
        if operation == "CreateSubnet":
            arn = dict(form(request)).get("OutpostArn", "")
            if arn and not knows_outpost(arn):
                raise AwsError("InvalidParameterValue", f"The Outpost '{arn}' does not exist", 400)

    def observe(self, operation: str, request: Request, response: Response) -> None:
        """Keep what moto drops of a call that succeeded: reboots, and the Outpost of subnets and instances."""
        if mutates(operation):
            mends.settle(self._account, self._region)
        if operation == "RebootInstances":
            with self._lock:
                for name, value in form(request):
                    if name.startswith("InstanceId."):
                        self._reboots[value] = self._reboots.get(value, 0) + 1
        elif operation == "CreateSubnet":
            arn = dict(form(request)).get("OutpostArn", "")
            if arn and (found := _SUBNET_ID.search(response.body)):
                vars(self._ec2.get_subnet(found[1].decode()))["outpost_arn"] = arn
        elif operation == "RunInstances":
            for found in _INSTANCE_ID.finditer(response.body):
                instance = self._ec2.get_instance(found[1].decode())
                subnet = self._ec2.get_subnet(instance.subnet_id or "")
                if arn := vars(subnet).get("outpost_arn", ""):
                    vars(instance)["outpost_arn"] = arn

    def _state(self, ec2: EC2Backend, instance: Any) -> InstanceState:
        # An instance that has ended is told of for a while, and its subnet may be deleted before that.
        subnet = next(
            (zone[instance.subnet_id] for zone in list(ec2.subnets.values()) if instance.subnet_id in zone), None
        )
        vpc = ec2.get_vpc(subnet.vpc_id) if subnet else None
        tags = tuple(sorted((str(tag["key"]), str(tag["value"])) for tag in instance.get_tags()))
        association = next(
            (a for a in list(ec2.iam_instance_profile_associations.values()) if a.instance_id == instance.id), None
        )
        profile = association.iam_instance_profile if association else None
        key = ec2.key_pairs.get(instance.key_name) if instance.key_name else None
        public = key.material_public if key else b""
        data = instance.user_data
        return InstanceState(
            id=instance.id,
            name=dict(tags).get("Name", ""),
            state=instance.state,
            private_address=instance.private_ip or "",
            private_dns_name=instance.private_dns_name,
            mac=instance.nics[0].mac_address if 0 in instance.nics else "",
            subnet=subnet.id if subnet else "",
            subnet_cidr=subnet.cidr_block if subnet else "",
            vpc=vpc.id if vpc else "",
            vpc_cidr=vpc.cidr_block if vpc else "",
            zone=instance.availability_zone or "",
            instance_profile=profile.arn if profile else "",
            role=profile.roles[0].name if profile and profile.roles else "",
            key_name=instance.key_name or "",
            public_key=public.decode().strip(),
            image=instance.image_id or "",
            type=instance.instance_type,
            launched=instance.launch_time.replace(tzinfo=UTC),
            outpost_arn=str(vars(instance).get("outpost_arn", "")),
            reboots=self._reboots.get(instance.id, 0),
            http_tokens=str(instance.metadata_options.http_tokens or "optional"),
            http_endpoint=str(instance.metadata_options.http_endpoint or "enabled"),
            hop_limit=int(instance.metadata_options.http_put_response_hop_limit or 1),
            metadata_tags=instance.metadata_options.instance_metadata_tags == "enabled",
            cards=tuple(_card(ec2, device, nic) for device, nic in sorted(instance.nics.copy().items())),
            user_data=_decoded(data),
            tags=tags,
        )


def _addresses(nic: Any) -> tuple[str, ...]:
    """All private addresses of an interface, the primary one first."""
    listed = [str(item["PrivateIpAddress"]) for item in list(nic.private_ip_addresses)]
    primary = [str(nic.private_ip_address)] if nic.private_ip_address else []
    return tuple(dict.fromkeys(primary + listed))


def _holds(instance: Any, address: str, vpc: str) -> bool:
    nics = list(instance.nics.values())
    if not nics:
        return instance.private_ip == address and vpc in ("", instance.vpc_id)
    return any(vpc in ("", nic.subnet.vpc_id) and address in _addresses(nic) for nic in nics)


def _card(ec2: EC2Backend, device: int, nic: Any) -> Card:
    vpc = ec2.vpcs.get(nic.subnet.vpc_id)
    cidrs = [vpc.cidr_block] if vpc else []
    cidrs += [str(a["cidr_block"]) for a in list(vpc.cidr_block_association_set)] if vpc else []
    return Card(
        id=nic.id,
        device=int(device),
        mac=nic.mac_address,
        addresses=_addresses(nic),
        subnet=nic.subnet.id,
        subnet_cidr=nic.subnet.cidr_block,
        vpc=nic.subnet.vpc_id,
        vpc_cidrs=tuple(dict.fromkeys(cidrs)),
        groups=tuple(dict.fromkeys((str(g.id), str(g.name)) for g in nic.group_set)),
        public=str(nic.public_ip or ""),
    )


def _decoded(data: Any) -> bytes:
    if not data:
        return b""
    return base64.b64decode(data if isinstance(data, str) else data.as_bytes())
