"""An ICMP echo from a network namespace of the lab: how the Outpost knows that the Region is there."""

from __future__ import annotations

import os
import socket
import struct
import time

from islanding.lab.namespaces import in_netns


def ping(netns: str, address: str, timeout: float) -> bool:
    """Send one echo request from a namespace and say whether its answer came within `timeout` seconds."""

    def attempt() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            identity = int.from_bytes(os.urandom(2), "big")
            try:
                raw.sendto(_echo(identity), (address, 0))
            except OSError:  # no route at all: as good as no answer
                return False
            deadline = time.monotonic() + timeout
            while (left := deadline - time.monotonic()) > 0:
                raw.settimeout(left)
                try:
                    packet = raw.recv(256)
                except OSError:
                    return False
                kind, _, _, got = struct.unpack("!BBHH", packet[20:26])
                if kind == 0 and got == identity:
                    return True
            return False

    return in_netns(netns, attempt)


def _echo(identity: int) -> bytes:
    body = struct.pack("!BBHHH", 8, 0, 0, identity, 1)
    total = sum(struct.unpack("!4H", body))
    total = (total & 0xFFFF) + (total >> 16)
    return body[:2] + struct.pack("!H", ~total & 0xFFFF) + body[4:]
