"""Hands a request to moto, in this process, as if its server had received it."""

from __future__ import annotations

from dataclasses import replace

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from islanding.lab.region import signature
from islanding.lab.region.http import Request, Response
from islanding.lab.region.operations import environ_of
from islanding.lab.region.principals import Principal
from islanding.lab.region.signature import Claim

_HOP = frozenset({"connection", "transfer-encoding", "server"})


class Forwarder:
    """moto's services for one account: that of whoever signed a request, or `account` when nobody did."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, request: Request, claim: Claim | None = None, principal: Principal | None = None) -> Response:
        """moto's reply; a body that is too large for memory has to be taken care of before."""
        environ = environ_of(request)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = principal.account if principal else self._account
        if claim is not None and claim.presigned:  # moto finds service and account by the header only
            credential = f"{claim.access_key_id}/{claim.scope}"
            environ["HTTP_AUTHORIZATION"] = (
                f"{signature.ALGORITHM} Credential={credential}, SignedHeaders=host, Signature=0"
            )
        head: list[tuple[int, tuple[tuple[str, str], ...]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
            head.append((int(status.split(maxsplit=1)[0]), tuple(headers)))

        chunks = self._moto(environ, start_response)
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        status, headers = head[-1]
        kept = tuple((name, value) for name, value in headers if name.lower() not in _HOP)
        response = Response(status, kept, body)
        if request.method == "HEAD" and (length := response.header("content-length")).isdigit():
            return replace(response, length=int(length))
        return response

    def warm(self, service: str, action: str) -> None:
        """Load a service of moto's by a call that reads."""
        scope = f"{signature.ALGORITHM} Credential=warm/20260101/{self._region}/{service}/aws4_request, "
        headers = {"authorization": scope, "content-type": "application/x-www-form-urlencoded"}
        self(Request("POST", "/", headers=headers, body=f"Action={action}".encode()))
