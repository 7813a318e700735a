"""What moto 5.2.5 lacks or gets wrong, mended in its own process: one idea a module.

`install` puts everything in place, `refuse` is asked before moto sees a call of EC2's, `settle` after a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module

from islanding.lab.region.mends import patching
from islanding.lab.region.mends.patching import Known

# Each mends moto's classes when it is imported, once in a process: not here, because importing moto's takes a second.
# The interfaces' mend wraps that of their addresses: it looks at the interface when it has its address.
_MODULES = (
    "addresses", "interfaces", "public", "endpoints", "routes", "peering", "groups", "vpcs", "acls", "launch_templates",
    "launching", "scaling", "scaling_calls", "local_gateways", "tags",
)  # fmt: skip
_made: set[tuple[str, str]] = set()


def install(
    account: str,
    region: str,
    limits: Mapping[str, tuple[int, int]] | None = None,
    images: Mapping[str, str] | None = None,
) -> None:
    """Mend moto for one account and Region; may be called again, which does nothing but take what is given.

    `limits` are {instance type: (interfaces, addresses an interface)}: other types are refused. `images` are the AMIs
    that there are, {id: name}; without one of them, any type, or any image, is good.
    """
    with patching.lock:
        if limits is not None or images is not None:
            before = patching.known_of(account, region)
            kept = Known(
                dict(before.limits if limits is None else limits), dict(before.images if images is None else images)
            )
            patching.know(account, region, kept)
        elif (account, region) in _made:
            return
        for name in _MODULES:
            import_module(f"{__name__}.{name}")
        from moto.ec2.models import ec2_backends

        from islanding.lab.region.mends import images as amis
        from islanding.lab.region.mends import vpcs

        backend = ec2_backends[account][region]
        if (account, region) not in _made:
            vpcs.drop_default(backend)
            _made.add((account, region))
        amis.register(backend)


def refuse(account: str, region: str, operation: str, form: Iterable[tuple[str, str]]) -> None:
    """Raise AwsError when EC2 refuses a call that moto would let pass; `form` are the call's parameters."""
    from moto.ec2.models import ec2_backends

    from islanding.lab.region.mends import refusals

    refusals.refuse(ec2_backends[account][region], operation, form)


def settle(account: str, region: str) -> None:
    """Have Auto Scaling see what became of its instances: after each change in EC2."""
    from moto.autoscaling.models import autoscaling_backends

    from islanding.lab.region.mends import scaling

    scaling.settle(autoscaling_backends[account][region])
