"""RunInstances: as many as asked for or none, with all that the launch template says, of types and images that exist.

moto launches the least number, gives a profile to the first one only, and of a template takes neither profile, nor
metadata options, nor interfaces. EC2 API, RunInstances; wording of errors from AWS (memory).
"""

from __future__ import annotations

import contextvars
import re
from typing import Any

from moto.ec2.models.instances import InstanceBackend
from moto.ec2.responses.instances import InstanceResponse

from islanding.lab.region.mends import addresses
from islanding.lab.region.mends.patching import ec2_error, known, locked, mend

# The greatest number of the call that is being answered: moto's API layer does not hand it on.
_most: contextvars.ContextVar[int] = contextvars.ContextVar("most", default=0)
_AMI = re.compile(r"ami-[0-9a-f]{8}([0-9a-f]{9})?")


def check_type(backend: Any, name: str) -> None:
    """Refuse instance types that there are none of."""
    limits = known(backend).limits
    if limits and name and name not in limits:
        raise ec2_error("InvalidParameterValue", f"Invalid value '{name}' for InstanceType.")


def check_image(backend: Any, image: str) -> None:
    """Refuse images that are not there."""
    if not known(backend).images:
        return
    if not image:
        raise ec2_error("MissingParameter", "The request must contain the parameter ImageId")
    if not _AMI.fullmatch(image):
        raise ec2_error("InvalidAMIID.Malformed", f'Invalid id: "{image}" (expecting "ami-...")')
    if image not in backend.amis:
        raise ec2_error("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")


def from_template(backend: Any, arguments: dict[str, Any]) -> None:
    """Add to moto's arguments what the launch template says and the call does not."""
    given = arguments.get("launch_template") or {}
    data = backend._get_template_from_args(given).data if given else {}
    profile = data.get("IamInstanceProfile") or {}
    if not arguments.get("iam_instance_profile_name") and not arguments.get("iam_instance_profile_arn"):
        arguments.setdefault("template_profile", profile)
    if not arguments.get("metadata_options"):
        arguments["metadata_options"] = data.get("MetadataOptions") or {}
    if not arguments.get("nics") and not arguments.get("security_group_ids") and data.get("NetworkInterfaces"):
        subnet = arguments.get("subnet_id")
        arguments["nics"] = [
            {"DeviceIndex": number, **nic, **({"SubnetId": subnet} if subnet and not number else {})}
            for number, nic in enumerate(data["NetworkInterfaces"])
        ]
    zone = (data.get("Placement") or {}).get("AvailabilityZone")
    if zone and not arguments.get("placement") and not arguments.get("subnet_id"):
        arguments["placement"] = zone


def _subnet_of(backend: Any, arguments: dict[str, Any]) -> Any:
    """Where to launch; the default VPC's subnet of the zone when none is named, which is added to the arguments."""
    nics = arguments.get("nics") or []
    named = arguments.get("subnet_id") or next((n["SubnetId"] for n in nics if n.get("SubnetId")), None)
    if named:
        return backend.get_subnet(named)
    if any(n.get("NetworkInterfaceId") for n in nics):
        return None
    defaults = backend.get_default_subnets() if backend.get_default_vpc() is not None else {}
    zone = arguments.get("placement") or next(iter(sorted(defaults)), "")
    if zone not in defaults:
        raise ec2_error(
            "VPCIdNotSpecified",
            "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.",
        )
    (nics[0] if nics else arguments)["SubnetId" if nics else "subnet_id"] = defaults[zone].id
    return defaults[zone]


def _check(backend: Any, image: str, arguments: dict[str, Any]) -> Any:
    given = arguments.get("launch_template") or {}
    data = backend._get_template_from_args(given).data if given else {}
    check_image(backend, image or data.get("ImageId", ""))
    default = arguments.get("is_instance_type_default")
    check_type(backend, data.get("InstanceType") or "" if default else str(arguments.get("instance_type") or ""))
    key = arguments.get("key_name") or data.get("KeyName")
    if key and key not in backend.key_pairs:
        raise ec2_error("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")
    return _subnet_of(backend, arguments)


def _count(backend: Any, subnet: Any, least: int, most: int) -> int:
    """As many as there are addresses for, if that is enough."""
    room = addresses.count_free(backend, subnet) if subnet is not None else most
    if room < least:
        addresses.free(backend, subnet, least)  # raises what AWS says
    return max(least, min(most, room))


def _undo(backend: Any, reservations: set[str], interfaces: set[str]) -> None:
    """Take back what a call that failed has made; both sets are what was there before."""
    for name in [n for n in backend.reservations if n not in reservations]:
        del backend.reservations[name]
    launched = {i.id for r in backend.reservations.values() for i in r.instances}
    for eni in list(backend.enis.values()):
        if eni.id not in interfaces:
            backend.enis.pop(eni.id, None)
        elif eni.instance is not None and eni.instance.id not in launched:
            eni.instance.detach_eni(eni)


@mend(InstanceResponse, "run_instances")
def _answer(theirs: Any, self: Any) -> Any:
    most = _most.set(int(self._get_param("MaxCount") or 0))
    try:
        return theirs(self)
    finally:
        _most.reset(most)


@mend(InstanceBackend, "run_instances")
@locked
def _run(
    theirs: Any, self: Any, image_id: str, count: int, user_data: Any, security_group_names: list[str],
    **kwargs: Any,
) -> Any:  # fmt: skip
    count = int(count)
    from_template(self, kwargs)
    subnet = _check(self, image_id, kwargs)
    count = _count(self, subnet, count, max(count, _most.get()))
    profile = kwargs.pop("template_profile", {})
    before = (set(self.reservations), set(self.enis))
    try:
        made = theirs(self, image_id, count, user_data, security_group_names, **kwargs)
    except Exception:
        _undo(self, *before)
        raise
    name = kwargs.get("iam_instance_profile_name") or profile.get("Name")
    arn = kwargs.get("iam_instance_profile_arn") or profile.get("Arn")
    for instance in made.instances if profile else made.instances[1:]:
        if name or arn:  # moto's API layer does the first one of a call that names a profile
            self.associate_iam_instance_profile(
                instance_id=instance.id, iam_instance_profile_name=name, iam_instance_profile_arn=arn
            )
    return made
