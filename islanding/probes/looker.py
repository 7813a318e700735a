"""Runs at an instance, given to its Python on standard input: tries to reach an address, or to resolve a name, once.

It knows nothing but the standard library of Python 3.7, which Amazon Linux 2 has. Arguments: what to try (tcp, http,
udp, dns, icmp, resolve), address or name, port, seconds. Writes one line in the words of this project's probes, then
the route that was taken; exits with 0 when something answered.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import time


def words(phase: str, error: OSError) -> str:
    """`phase: timed out`, `phase: [Errno N] message`, or `resolve: ...` for a name."""
    return f"resolve: {error}" if isinstance(error, socket.gaierror) else f"{phase}: {error}"


def tcp(host: str, port: int, seconds: float) -> str:
    """Connect and close."""
    with socket.create_connection((host, port), seconds) as connection:
        return "connected to {}:{}".format(*connection.getpeername()[:2])


def http(host: str, port: int, seconds: float) -> str:
    """Ask for / and read the status line."""
    with socket.create_connection((host, port), seconds) as connection:
        connection.sendall(f"GET / HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        status = connection.recv(200).decode("latin-1").split("\r\n")[0]
        return "HTTP " + status.partition(" ")[2] if status else f"connected to {host}:{port}, and it says nothing"


def ask(host: str, port: int, seconds: float, data: bytes) -> bytes:
    """Send a datagram and wait for one; connected, so that an ICMP error comes back as an error."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(seconds)
        datagrams.connect((host, port))
        datagrams.send(data)
        return datagrams.recv(4096)


def udp(host: str, port: int, seconds: float) -> str:
    """Any datagram that comes back is an answer."""
    return f"answer: {len(ask(host, port, seconds, b'islanding'))} bytes from {host}:{port}"


def dns(host: str, port: int, seconds: float) -> str:
    """Ask a name server for the root's name servers (RFC 1035, 4.1): every name server has an answer to that."""
    question = os.urandom(2) + struct.pack(">5H", 0x0100, 1, 0, 0, 0) + b"\0" + struct.pack(">2H", 2, 1)
    reply = ask(host, port, seconds, question)
    return f"answer: {len(reply)} bytes from {host}:{port}, rcode {reply[3] & 15 if len(reply) > 3 else '?'}"


def icmp(host: str, _port: int, seconds: float) -> str:
    """Send one echo request (RFC 792) and wait for its reply; needs root."""
    number = struct.pack(">H", os.getpid() & 0xFFFF)
    body = number + b"\0\1islanding-probe-"
    total = 0x0800 + sum(struct.unpack(f">{len(body) // 2}H", body))
    total = (total >> 16) + (total & 0xFFFF)
    check = ~(total + (total >> 16)) & 0xFFFF
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.settimeout(seconds)
        raw.connect((host, 0))
        raw.send(struct.pack(">2BH", 8, 0, check) + body)
        while True:
            raw.settimeout(max(deadline - time.monotonic(), 0.001))
            packet = raw.recv(1500)
            head = (packet[0] & 15) * 4
            if packet[head] == 0 and packet[head + 4 : head + 6] == number:
                return f"reply: from {host}"
            if packet[head] == 3:
                raise OSError(f"unreachable, code {packet[head + 1]}")


def resolve(name: str, _port: int, _seconds: float) -> str:
    """Resolve as programs do, by the instance's own resolver and hosts file; its own limits count."""
    found = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
    return "addresses: " + ", ".join(sorted({str(entry[4][0]) for entry in found}))


def route(host: str) -> str:
    """The route that the kernel takes to an address: evidence that the packet left."""
    try:
        done = subprocess.run(["ip", "route", "get", host], capture_output=True, timeout=2, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"route unknown: {error}"
    return done.stdout.decode().strip().split("\n")[0].strip() or f"no route: {done.stderr.decode().strip()}"


WAYS = {
    "tcp": ("connect", tcp),
    "http": ("connect", http),
    "udp": ("query", udp),
    "dns": ("query", dns),
    "icmp": ("echo", icmp),
    "resolve": ("resolve", resolve),
}


def main(what: str, host: str, port: str, seconds: str) -> int:
    """Try once and say what was seen."""
    start = time.monotonic()
    phase, way = WAYS[what]
    try:
        text, code = way(host, int(port), float(seconds)), 0
    except OSError as error:
        text, code = words(phase, error), 1
    sys.stdout.write(text + "\n")
    if what != "resolve":
        sys.stdout.write(f"{what} {host} port {port}, {time.monotonic() - start:.1f} s; {route(host)}\n")
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
