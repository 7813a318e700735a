"""Which service a host name leads to, which names a service has, and how its requests are signed. Pure.

Sources: "Service endpoints and quotas" (AWS General Reference), "Virtual hosting of general purpose buckets" (S3 user
guide), "Access an AWS service using an interface VPC endpoint" (PrivateLink guide).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from islanding.lab.vpc import service_names

# How a service is named in signatures, where that is not its endpoint's name. The registry (ecr.dkr) is not signed for.
_SIGNING = {"ecr.api": "ecr", "ecr.dkr": ""}
_VPCE = re.compile(r"^(?:(?P<below>.+)\.)?vpce-[0-9a-z-]+\.(?P<service>.+)$")
_REGION = re.compile(r"^[a-z]{2}(-[a-z]+)+-\d$")
_ACCOUNT = re.compile(r"^[0-9]{12}$")


@dataclass(frozen=True)
class Target:
    """What a host name stands for.

    `service` is named as in com.amazonaws.REGION.NAME, empty for a name that is none of AWS's; `account` is that of a
    registry, `bucket` that of a virtual-hosted request to S3, `region` is empty in global names.
    """

    service: str = ""
    account: str = ""
    bucket: str = ""
    region: str = ""

    @property
    def signing(self) -> str:
        """The service's name in signatures; empty when requests to it are not signed, or the host says nothing."""
        return signing_name(self.service)


def signing_name(service: str) -> str:
    """The name in signatures of a service that is named as in com.amazonaws.REGION.NAME; empty: it is not signed."""
    return _SIGNING.get(service, service)


def target(host: str) -> Target:
    """What a Host header stands for; names that are none of AWS's, and addresses, give an empty one."""
    name = re.sub(r":\d*$", "", host).lower().rstrip(".")
    if name.endswith(".api.aws"):
        return _named(name.removesuffix(".api.aws"))
    if name.endswith(".vpce.amazonaws.com"):
        match = _VPCE.match(name.removesuffix(".vpce.amazonaws.com"))
        if match is None:
            return Target()
        below = (match["below"] or "").removesuffix("bucket").rstrip(".")
        return _named(f"{below}.{match['service']}" if below else match["service"])
    return _named(name.removesuffix(".amazonaws.com")) if name.endswith(".amazonaws.com") else Target()


def _named(name: str) -> Target:
    """The target of `BELOW.SERVICE.REGION` or `SERVICE`: labels in DNS order."""
    labels = name.split(".")
    region = labels.pop() if len(labels) > 1 and _REGION.match(labels[-1]) else ""
    if len(labels) > 1 and labels[-1] == "dualstack":
        labels.pop()
    if labels[-1] == "s3":
        return Target("s3", bucket=".".join(labels[:-1]), region=region)
    if labels[-2:] == ["dkr", "ecr"]:
        account = labels[0] if len(labels) == 3 and _ACCOUNT.match(labels[0]) else ""
        return Target("ecr.dkr", account=account, region=region)
    service = ".".join(reversed(labels))
    return Target("ecr.api" if service == "ecr" else service, region=region)


def certificate_names(region: str, services: Iterable[str] = ()) -> tuple[str, ...]:
    """The names for a certificate: of some services (as in com.amazonaws.REGION.NAME), or of all that there are."""
    chosen = tuple(services)
    names: list[str] = []
    for service in chosen or _all_services():
        own = service_names.private_names(f"com.amazonaws.{region}.{service}", region)
        names += own
        names += [f"*.{name.removesuffix('.amazonaws.com')}.vpce.amazonaws.com" for name in own[:1]]
        if service == "s3":
            stems = [name.format(region=region) for name in service_names.BUCKETS]
            names += [name for stem in stems for name in (stem, f"*.{stem}")]
        if service == "ecr.api":
            names.append(f"ecr.{region}.api.aws")
        if chosen and service in service_names.GLOBAL:
            names.append(f"{service}.amazonaws.com")
    names += [] if chosen else [f"{service}.amazonaws.com" for service in service_names.GLOBAL]
    return tuple(dict.fromkeys(names))


def _all_services() -> tuple[str, ...]:
    regional = [".".join(reversed(name.split("."))) for name in service_names.REGIONAL]
    return (*regional, "s3", "ecr.dkr", "eks-auth")
