"""A TCP connection on standard input and output: the ProxyCommand by which SSH from the host reaches a machine."""

from __future__ import annotations

import os
import select
import socket
import sys


def main() -> None:
    """`python -m islanding.lab.pipe ADDRESS PORT`: carry bytes both ways until one side ends."""
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as connection:
        connection.settimeout(None)
        while True:
            ready, _, _ = select.select([connection.fileno(), 0], [], [])
            for source in ready:
                data = os.read(source, 65536)
                if not data:
                    return
                if source != 0:
                    os.write(1, data)
                else:
                    connection.sendall(data)


if __name__ == "__main__":
    main()
