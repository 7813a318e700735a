"""Somebody else's host on the internet: it answers by HTTP, HTTPS and DNS, so that silence means a closed network."""

from __future__ import annotations

from collections.abc import Callable

from islanding.lab import namespaces
from islanding.lab.doorkeeper import server_context
from islanding.lab.pki import Authority
from islanding.lab.region.http import HttpServer, Request, Response
from islanding.lab.vpc.names import Resolver
from islanding.lab.vpc.outside import ELSEWHERE

NAME = "elsewhere.example"


def serve(ca: Authority, address: str, on_error: Callable[[str], None]) -> tuple[HttpServer, ...]:
    """Answer on ports 80 and 443 of the host's address, until the lab ends; raises OSError when a port is taken."""
    tls = server_context(ca, [NAME], [address])
    return tuple(
        HttpServer(
            namespaces.listener_in(ELSEWHERE, address, port), _hello, tls=context, name=ELSEWHERE, on_error=on_error
        ).start()
        for port, context in ((80, None), (443, tls))
    )


def resolver(public: Resolver, address: str) -> Resolver:
    """The host's own DNS server: it knows what the public resolver does."""
    return Resolver(ELSEWHERE, (address,), public.answers)


def _hello(request: Request) -> Response:
    body = f"somebody else, to {request.peer[0]}\n".encode()
    return Response(200, (("Content-Type", "text/plain"),), body)
