"""Where AWS services can be reached: listening addresses in network namespaces, each knowing by which way one came."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Via:
    """By which way a request reached the Region; all empty means by the internet."""

    endpoint: str = ""  # id of the VPC endpoint
    vpc: str = ""
    service: str = ""  # the endpoint's service name, com.amazonaws.REGION.NAME
    policy: str = ""  # the endpoint's policy (JSON) as it is when the request is judged; empty: full access


@dataclass(frozen=True)
class Door:
    """An address (port 443) in a network namespace at which some services answer."""

    netns: str
    address: str
    endpoint: str = ""  # id of the VPC endpoint whose door it is; empty for the public addresses
    services: tuple[str, ...] = ()  # names as in com.amazonaws.REGION.NAME; empty: every service
