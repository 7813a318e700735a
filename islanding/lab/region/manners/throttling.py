"""Requests beyond a rate are refused: token buckets, filled at a steady rate.

EC2's sizes are those of "Request throttling for the Amazon EC2 API" (EC2 developer guide): each operation has a bucket
of its own, by category; one operation in several has another size. Where AWS documents no size, the one here is ours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from islanding.lab.region.errors import JSON_SERVICES, AwsError
from islanding.lab.region.http import Response
from islanding.lab.region.operations import form

if TYPE_CHECKING:
    from islanding.lab.region.manners import Onward
    from islanding.lab.region.manners.call import Call

Size = tuple[float, float]  # tokens that a bucket holds, and tokens that it gets in a second

READING: Size = (100, 20)
UNFILTERED: Size = (50, 10)  # reads everything at once: no filter, no ids, no MaxResults
CHANGING: Size = (50, 5)
RESOURCE_INTENSIVE: Size = (50, 5)
OPERATIONS: dict[str, Size] = {
    "RunInstances": (5, 2), "StartInstances": (5, 2), "StopInstances": (5, 2), "TerminateInstances": (100, 5),
    "CreateVpcEndpoint": (4, 0.3), "ModifyVpcEndpoint": (4, 0.3), "DeleteVpcEndpoints": (4, 0.3),
    "CreateDefaultVpc": (1, 1), "CreateDefaultSubnet": (1, 1),
}  # fmt: skip
_RESOURCE_INTENSIVE = frozenset(
    {
        "AcceptVpcPeeringConnection", "AuthorizeSecurityGroupIngress", "CancelSpotInstanceRequests", "CreateKeyPair",
        "CreateVpcPeeringConnection", "DeleteVpcPeeringConnection", "ReleaseAddress", "RevokeSecurityGroupIngress",
    }
)  # fmt: skip
OTHERS: dict[str, Size] = {  # by service; undocumented but for STS and ECR (600 and 500 calls a second)
    "sts": (600, 600), "ecr": (500, 500), "s3": (3500, 3500), "eks": (20, 5), "iam": (20, 10), "logs": (50, 20),
    "cloudformation": (20, 5), "autoscaling": (20, 5), "monitoring": (50, 20),
}  # fmt: skip
_REST: Size = (20, 10)
_PLAIN = ("NextToken", "Action", "Version", "DryRun")


class Bucket:
    """Tokens that requests take, as `clock` (seconds) goes on; full at the start."""

    def __init__(self, size: Size, clock: Callable[[], float]) -> None:
        self._capacity, self._refill = size
        self._clock = clock
        self._tokens = self._capacity
        self._at = clock()

    def take(self) -> bool:
        """Take a token; False when there is none."""
        now = self._clock()
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._refill)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Throttling:
    """Refuses what comes faster than AWS lets an account ask; `scale` makes all buckets larger (or smaller)."""

    def __init__(self, scale: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._scale = scale
        self._clock = clock
        self._buckets: dict[tuple[str, str, str], Bucket] = {}
        self._lock = threading.Lock()

    def __call__(self, call: Call, onward: Onward) -> Response:
        """Answer the call, if there is a token left for it."""
        if call.service == "ecr.dkr" or call.presigned:
            return onward(call.request)  # the buckets are of API calls; downloads have other limits
        name, size = category(call)
        with self._lock:
            key = (call.account, call.service, name)
            bucket = self._buckets.get(key)
            if bucket is None:
                scaled = (max(1.0, size[0] * self._scale), size[1] * self._scale)  # one without room would refuse all
                bucket = self._buckets[key] = Bucket(scaled, self._clock)
            taken = bucket.take()
        if not taken:
            raise throttled(call.service)
        return onward(call.request)


def category(call: Call) -> tuple[str, Size]:
    """The name of the bucket that a call takes from, and its size."""
    if call.service != "ec2":
        return "", OTHERS.get(call.service, _REST)
    name = call.operation
    if name in OPERATIONS:
        return name, OPERATIONS[name]
    if call.mutates:
        return name, RESOURCE_INTENSIVE if name in _RESOURCE_INTENSIVE else CHANGING
    narrowed = any(key not in _PLAIN for key, _ in form(call.request))
    return (name, READING) if narrowed else (f"{name} of everything", UNFILTERED)


def throttled(service: str) -> AwsError:
    """What a service says to a caller who asks too often."""
    if service == "ec2":
        return AwsError("RequestLimitExceeded", "Request limit exceeded.", 503)
    if service == "s3":
        return AwsError("SlowDown", "Please reduce your request rate.", 503)
    if service == "eks":
        return AwsError("TooManyRequestsException", "Too Many Requests", 429)
    if service in JSON_SERVICES - {"monitoring"}:
        return AwsError("ThrottlingException", "Rate exceeded", 400)
    return AwsError("Throttling", "Rate exceeded", 400)
