"""The instance metadata service (IMDSv2) of a VPC: what an instance can ask about itself, told apart by its address.

Source of paths and rules: "Instance metadata categories" and "Use IMDS", EC2 user guide. IMDSv1 is refused where
`HttpTokens` is `required`; it is needed by cloud-init 22.4, which asks for a token only where it sees AWS's hypervisor.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from islanding.lab.region.http import HttpServer, Request, Response
from islanding.lab.region.instances import Card, InstanceState
from islanding.lab.region.seed import SessionCredentials
from islanding.lab.vpc import service_names

VERSIONS = (
    "1.0",
    "2009-04-04",
    "2014-11-05",
    "2016-09-02",
    "2018-09-24",
    "2020-10-27",
    "2021-03-23",
    "2021-07-15",
    "latest",
)
TTL_HEADER = "X-aws-ec2-metadata-token-ttl-seconds"
LONGEST = 21600  # seconds; the longest life of a token
_NOT_FOUND = (
    b'<?xml version="1.0" encoding="iso-8859-1"?>\n<html xmlns="http://www.w3.org/1999/xhtml">'
    b"<head><title>404 - Not Found</title></head><body><h1>404 - Not Found</h1></body></html>\n"
)


@dataclass(frozen=True)
class InstanceIdentity:
    """What the service tells one instance: its state, account, Region, and how its role's credentials are had."""

    instance: InstanceState
    account: str
    region: str
    credentials: Callable[[], SessionCredentials] | None = field(default=None, repr=False)


Lookup = Callable[[str], InstanceIdentity | None]


def serve(listener: socket.socket, lookup: Lookup, on_error: Callable[[str], None]) -> HttpServer:
    """Serve metadata on a listening socket until the returned server is closed; `lookup` gets the peer's address."""
    return HttpServer(listener, Metadata(lookup).handle, name="metadata", on_error=on_error).start()


class Metadata:
    """Answers metadata requests; tokens are sealed, not stored, and good for the address they were given to."""

    def __init__(self, lookup: Lookup, clock: Callable[[], float] = time.time) -> None:
        self._lookup = lookup
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def handle(self, request: Request) -> Response:  # noqa: PLR0911  # one return for each refusal reads best
        """The reply to one request."""
        address = request.peer[0]
        identity = self._lookup(address)
        if identity is None:
            return _text(404, _NOT_FOUND)
        if "x-forwarded-for" in request.headers:
            return _text(403, b"")  # the request came through a proxy
        if identity.instance.http_endpoint == "disabled":
            return _text(403, b"")
        path = request.path.rstrip("/")
        if request.method == "PUT":
            reply = self._token(request, address) if path == "/latest/api/token" else _text(404, _NOT_FOUND)
            return replace(reply, hops=identity.instance.hop_limit)
        if request.method not in ("GET", "HEAD"):
            return _text(405, b"")
        token = request.headers.get("x-aws-ec2-metadata-token")
        headers: tuple[tuple[str, str], ...] = ()
        if token is not None or identity.instance.http_tokens == "required":
            left = self._seconds_left(token or "", address)
            if left <= 0:
                return _text(401, b"")
            headers = ((TTL_HEADER, str(left)),)
        body = answer(request.path, identity)
        if body is None:
            return _text(404, _NOT_FOUND)
        return _text(200, body, headers)

    def _token(self, request: Request, address: str) -> Response:
        wanted = request.headers.get(TTL_HEADER.lower(), "")
        if not re.match(r"^[0-9]{1,5}$", wanted) or not 1 <= int(wanted) <= LONGEST:
            return _text(400, b"")
        end = (int(self._clock()) + int(wanted)).to_bytes(8, "big")
        token = base64.urlsafe_b64encode(end + self._seal(end, address))
        return _text(200, token, ((TTL_HEADER, wanted),))  # SDKs read the time to live from the reply

    def _seconds_left(self, token: str, address: str) -> int:
        try:
            raw = base64.urlsafe_b64decode(token)
        except ValueError:
            return 0
        if len(raw) != 40 or not hmac.compare_digest(raw[8:], self._seal(raw[:8], address)):
            return 0
        return int.from_bytes(raw[:8], "big") - int(self._clock())

    def _seal(self, end: bytes, address: str) -> bytes:
        return hmac.new(self._key, end + address.encode(), hashlib.sha256).digest()


def answer(path: str, identity: InstanceIdentity) -> bytes | None:
    """The body for a path, `/{version}/…` with or without its last slash; None when there is no such thing."""
    parts = [part for part in path.split("/") if part]
    if not parts:
        return "\n".join(VERSIONS).encode()
    if parts[0] not in VERSIONS:
        return None
    leaves = tree(identity)
    wanted = "/".join(parts[1:])
    if wanted in leaves:
        made = leaves[wanted]
        return made() if callable(made) else made
    names = _children(leaves, f"{wanted}/" if wanted else "")
    if wanted == "meta-data/public-keys" and names:
        return f"0={identity.instance.key_name}".encode()
    return "\n".join(names).encode() if names else None


def _children(leaves: Mapping[str, object], prefix: str) -> list[str]:
    names: set[str] = set()
    for leaf in leaves:
        if leaf.startswith(prefix):
            head, slash, _ = leaf[len(prefix) :].partition("/")
            names.add(head + slash)
    return sorted(names)


def tree(identity: InstanceIdentity) -> dict[str, bytes | Callable[[], bytes]]:
    """Everything below a version, by path; credentials are made only when they are read."""
    it = identity.instance
    first = it.cards[0] if it.cards else None
    meta: dict[str, str] = {
        "ami-id": it.image,
        "ami-launch-index": "0",
        "ami-manifest-path": "(unknown)",
        "block-device-mapping/ami": "/dev/xvda",
        "block-device-mapping/root": "/dev/xvda",
        "events/maintenance/history": "[]",
        "events/maintenance/scheduled": "[]",
        "hostname": it.private_dns_name,
        "instance-action": "none",
        "instance-id": it.id,
        "instance-life-cycle": "on-demand",
        "instance-type": it.type,
        "local-hostname": it.private_dns_name,
        "local-ipv4": it.private_address,
        "mac": it.mac,
        "placement/availability-zone": it.zone,
        "placement/region": identity.region,
        "profile": "default-hvm",
        "reservation-id": f"r-{it.id[2:]}",
        "services/domain": "amazonaws.com",
        "services/partition": "aws",
        "system": "nitro",
    }
    for card in it.cards:
        meta |= _card(card, identity)
    if first is not None and first.groups:
        meta["security-groups"] = "\n".join(name for _, name in first.groups)
    if first is not None and first.public:
        meta["public-ipv4"] = first.public
        meta["public-hostname"] = service_names.public_name(first.public, identity.region)
    if it.public_key:
        meta["public-keys/0/openssh-key"] = it.public_key
    if it.outpost_arn:
        meta["placement/outpost-arn"] = it.outpost_arn
    if it.metadata_tags:
        meta |= {f"tags/instance/{key}": value for key, value in it.tags if "/" not in key}
    leaves: dict[str, bytes | Callable[[], bytes]] = {f"meta-data/{name}": text.encode() for name, text in meta.items()}
    leaves["dynamic/instance-identity/document"] = _document(identity)
    if it.user_data:
        leaves["user-data"] = it.user_data
    if it.role and identity.credentials is not None:
        make = identity.credentials
        leaves["meta-data/iam/info"] = _pretty(
            {
                "Code": "Success",
                "LastUpdated": _iso(it.launched),
                "InstanceProfileArn": it.instance_profile,
                "InstanceProfileId": f"AIPA{it.id[2:].upper()}",
            }
        )
        leaves[f"meta-data/iam/security-credentials/{it.role}"] = lambda: _credentials(make())
    return leaves


def _card(card: Card, identity: InstanceIdentity) -> dict[str, str]:
    """What is told of one network interface."""
    primary = card.addresses[0] if card.addresses else ""
    told = {
        "device-number": str(card.device),
        "interface-id": card.id,
        "local-hostname": service_names.private_name(primary, identity.region),
        "local-ipv4s": "\n".join(card.addresses),
        "mac": card.mac,
        "network-card": "0",
        "owner-id": identity.account,
        "subnet-id": card.subnet,
        "subnet-ipv4-cidr-block": card.subnet_cidr,
        "vpc-id": card.vpc,
        "vpc-ipv4-cidr-block": card.vpc_cidrs[0] if card.vpc_cidrs else "",
        "vpc-ipv4-cidr-blocks": "\n".join(card.vpc_cidrs),
    }
    if card.groups:
        told["security-group-ids"] = "\n".join(group for group, _ in card.groups)
        told["security-groups"] = "\n".join(name for _, name in card.groups)
    if card.public:
        told["public-hostname"] = service_names.public_name(card.public, identity.region)
        told["public-ipv4s"] = card.public
        told[f"ipv4-associations/{card.public}"] = primary
    return {f"network/interfaces/macs/{card.mac}/{name}": text for name, text in told.items()}


def _credentials(session: SessionCredentials) -> bytes:
    return _pretty(
        {
            "Code": "Success",
            "LastUpdated": _iso(datetime.now(UTC)),
            "Type": "AWS-HMAC",
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "Token": session.session_token,
            "Expiration": _iso(session.expires),
        }
    )


def _document(identity: InstanceIdentity) -> bytes:
    it = identity.instance
    return _pretty(
        {
            "accountId": identity.account,
            "architecture": "x86_64",
            "availabilityZone": it.zone,
            "imageId": it.image,
            "instanceId": it.id,
            "instanceType": it.type,
            "kernelId": None,
            "pendingTime": _iso(it.launched),
            "privateIp": it.private_address,
            "region": identity.region,
            "version": "2017-09-30",
        }
    )


def _pretty(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, indent=2).encode()


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    return Response(status, (("Content-Type", "text/plain"), ("Server", "EC2ws"), *headers), body)
