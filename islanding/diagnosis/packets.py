"""Asks at the instance itself: does the name resolve, does TCP connect, does TLS answer, what does HTTP say.

What is asked (`look_at`) is thin; what it means beside AWS's state (`fold`) is pure. curl's exit codes, from its
manual: 6 name, 7 refused or no route, 28 time limit, 35 TLS, 60 certificate.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network

from islanding.diagnosis import hops as h
from islanding.diagnosis.hops import Agreement, Diagnosis
from islanding.model import Place

_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))  # RFC 1918, 6598
CONNECT_TIMEOUT = 5  # seconds: AWS drops in silence, so a longer wait tells nothing more
_WHOLE = 10  # seconds for connection, TLS and the first answer
_SCRIPT = (
    'getent ahostsv4 "$1"; echo "name-exit $?"; '
    'curl --noproxy "*" -sS -o /dev/null --connect-timeout "$3" --max-time "$4" '
    '-w "http=%{http_code} connect=%{time_connect} tls=%{time_appconnect} address=%{remote_ip}\\n" '
    '"https://$1:$2/" 2>&1; echo "curl-exit $?"'
)


@dataclass(frozen=True)
class Packets:
    """What the instance saw; `curl` is curl's exit code, `http` the status (0: none), `reached` says TCP connected."""

    resolved: bool
    addresses: tuple[str, ...]
    curl: int
    http: int = 0
    reached: bool = False
    secured: bool = False


def look_at(place: Place, host: str, port: int = 443) -> Packets | None:
    """Ask at `place` for `host`:`port`; None when nothing could be run there. Takes at most 40 s."""
    command = ("sh", "-c", _SCRIPT, "sh", host, str(port), str(CONNECT_TIMEOUT), str(_WHOLE))
    return parse(place.run(command, timeout=40.0, check=False).stdout)


def parse(text: str) -> Packets | None:
    """What the script printed; None when it did not run to its end."""
    name, curl = (
        re.search(r"^name-exit (\d+)$", text, re.MULTILINE),
        re.search(r"^curl-exit (\d+)$", text, re.MULTILINE),
    )
    if name is None or curl is None:
        return None
    addresses = re.findall(rf"^({_OCTET}(?:\.{_OCTET}){{3}})\s", text[: name.start()], re.MULTILINE)
    told = dict(re.findall(r"\b(http|connect|tls)=([\d.]+)", text))
    code = int(curl[1])

    def spent(key: str) -> bool:
        return float(told.get(key) or 0) > 0

    return Packets(
        resolved=name[1] == "0" and bool(addresses),
        addresses=tuple(dict.fromkeys(addresses)),
        curl=code,
        http=int(told.get("http") or 0),
        reached=spent("connect") or code in (35, 60),
        secured=spent("tls") or code == 60,
    )


def fold(diagnosis: Diagnosis, packets: Packets | None) -> Diagnosis:
    """The diagnosis with what packets say of its hops, and whether they say the same as AWS's state."""
    if packets is None:
        note = "packets were not asked: nothing could be run at the instance"
        return replace(diagnosis, notes=(*diagnosis.notes, note))
    told = _say(diagnosis, packets)
    agreement, note = _agreement(diagnosis, packets)
    return replace(told, agreement=agreement, notes=(*told.notes, *([note] if note else [])))


def _say(diagnosis: Diagnosis, packets: Packets) -> Diagnosis:
    name = ", ".join(packets.addresses) if packets.resolved else "does not resolve"
    way = "TCP connects" if packets.reached else ("refused" if packets.curl == 7 else "silent")
    if not packets.resolved:
        way = "not tried"
    answer = f"HTTP {packets.http}" if packets.http else ("TLS answers" if packets.secured else "no answer")
    kind = ", ".join(sorted({_kind(a) for a in packets.addresses}))
    return (
        diagnosis.with_hop(h.NAME, seen=name)
        .with_hop(h.ADDRESS, seen=kind)
        .with_hop(h.ROUTE, seen=way)
        .with_hop(h.SERVICE, seen=answer)
    )


def _kind(address: str) -> str:
    private = any(IPv4Address(address) in block for block in _PRIVATE)
    return "private" if private else "public"


def _agreement(diagnosis: Diagnosis, packets: Packets) -> tuple[Agreement, str]:
    """Whether packets bear the diagnosis out, and what a reader should know if they do not, or only in part."""
    hop = diagnosis.failing
    failing = hop.name if hop else ""
    if failing == h.NAME:
        good = not packets.resolved
    elif not packets.resolved:
        good = False
    elif failing in ("", h.POLICY, h.SERVICE):
        good = packets.reached
    else:
        good = not packets.reached
    if not good:
        seen = "the name does not resolve" if not packets.resolved else _reach(packets)
        stated = f"a failure at the {failing}" if failing else "nothing wrong"
        return Agreement.DISAGREES, f"AWS's state says {stated}; at the instance {seen}"
    private = {_kind(address) for address in packets.addresses} == {"private"}
    if failing == h.ADDRESS and private:
        return Agreement.DISAGREES, "AWS's state says that the name is public here; at the instance it is private"
    if failing == h.POLICY:
        return Agreement.AGREES, "packets reach the service; a policy only shows in the answer to a signed request"
    return Agreement.AGREES, ""


def _reach(packets: Packets) -> str:
    return "TCP connects" if packets.reached else f"TCP does not connect (curl exit code {packets.curl})"
