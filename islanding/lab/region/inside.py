"""boto3 clients of AWS's own services: their requests go straight to the Region's handler, signed like any other."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from islanding.lab.region.http import Request, Response
from islanding.lab.region.seed import SessionCredentials


class _Raw(io.BytesIO):
    """A reply's body as botocore reads it: all at once, or in pieces."""

    def stream(self, **_: object) -> Iterator[bytes]:
        """Everything that has not been read yet."""
        yield self.read()


def body_of(reply: Response) -> bytes:
    """The whole body of a reply, one that is sent piece by piece too."""
    if reply.stream is None:
        return reply.body
    try:
        return b"".join(reply.stream)
    finally:
        close = getattr(reply.stream, "close", None)
        if close is not None:
            close()


def client(handle: Callable[[Request], Response], service: str, region: str, who: SessionCredentials) -> Any:
    """A client of `service` as `who`, without a socket between."""
    session = botocore.session.Session()
    session.set_credentials(who.access_key_id, who.secret_access_key, who.session_token)
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    made: Any = session.create_client(service, region_name=region, config=config)

    def send(request: Any, **_: object) -> AWSResponse:
        url = urlsplit(request.url)
        headers = {n.lower(): v.decode() if isinstance(v, bytes) else str(v) for n, v in request.headers.items()}
        headers["host"] = url.netloc
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        if hasattr(body, "read"):
            body = body.read()
        reply = handle(Request(request.method, url.path or "/", url.query, headers, body, ("aws", 0)))
        given = HTTPHeaders()
        for name, value in reply.headers:
            given[name] = value
        return AWSResponse(request.url, reply.status, given, _Raw(body_of(reply)))

    made.meta.events.register("before-send.*.*", send)
    return made
