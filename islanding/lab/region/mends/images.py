"""The AMIs of the lab: found by DescribeImages, under ids that do not change."""

from __future__ import annotations

from typing import Any

from islanding.lab.region.mends.patching import known, lock

# The owners of EKS-optimised and of Amazon Linux images (EKS and EC2 user guides).
_OWNERS = {"amazon-eks-": "602401143452", "amzn2-ami-": "137112412989", "al2023-ami-": "137112412989"}


def register(backend: Any) -> None:
    """Have the lab's images in one account's EC2, under the names that AWS gives such images."""
    from moto.ec2.models.amis import Ami

    with lock:
        if known(backend).images:  # moto's list of Amazon's is of some day, and the lab could not boot them
            for image in [i for i, ami in backend.amis.items() if ami.owner_alias == "amazon"]:
                del backend.amis[image]
        for image, name in known(backend).images.items():
            owner = next((o for begin, o in _OWNERS.items() if name.startswith(begin)), backend.account_id)
            backend.amis[image] = Ami(
                backend,
                image,
                name=name,
                description=name,
                owner_id=owner,
                owner_alias="amazon" if owner != backend.account_id else None,
                public=True,
                virtualization_type="hvm",
                architecture="x86_64",
                image_location=f"amazon/{name}",
                hypervisor="xen",
                root_device_type="ebs",
                root_device_name="/dev/xvda",
                region_name=f"{backend.region_name}a",
            )
