"""Which operation of which service a request calls, and whether that operation changes anything."""

from __future__ import annotations

import io
import re
from urllib.parse import unquote_to_bytes

from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from islanding.lab.region.http import Request
from islanding.lab.region.signature import parameters

_READING = (
    "Describe", "Get", "List", "Head", "Lookup", "Search", "Query", "Scan", "Select", "Check", "Estimate", "Simulate",
    "BatchGet", "BatchCheck", "Assume", "Decode", "Test", "Validate", "Poll",
)  # fmt: skip
_TARGET = re.compile(r"[\w-]+\.(\w+)$")
_RPC = re.compile(r"^/service/\w+/operation/(\w+)$")
MODELS = {"monitoring": "cloudwatch"}  # signing name -> name of botocore's model, where they differ


class _ServerRequest(MotoRequest):
    from_wsgi_server = True  # the raw path is in RAW_URI


def operation_of(request: Request, service: str) -> str:
    """The operation's name as AWS documents it, or `METHOD path` when the request names none."""
    if target := _TARGET.search(request.headers.get("x-amz-target", "")):
        return target[1]
    if rpc := _RPC.search(request.path):
        return rpc[1]
    for name, value in form(request):
        if name == "Action":
            return value
    try:
        router = get_service_router(MODELS.get(service, service))
        operation, _ = router.match(_ServerRequest(environ_of(request)))
        return str(operation.name)
    except (HTTPException, NotImplementedError, LookupError, OSError, ValueError):
        return f"{request.method} {request.path}"
    except Exception as error:  # botocore's UnknownServiceError has no narrower base that is importable cheaply
        if type(error).__name__ in ("UnknownServiceError", "DataNotFoundError"):
            return f"{request.method} {request.path}"
        raise


def form(request: Request) -> list[tuple[str, str]]:
    """Parameters of the query string and of a form body, decoded."""
    pairs = parameters(request.query)
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        pairs += parameters(request.body.decode("utf-8", "replace"))
    return pairs


def mutates(operation: str) -> bool:
    """Whether an operation of that name may change the Region's state."""
    return not operation.startswith(_READING) and " " not in operation


def environ_of(request: Request) -> dict[str, object]:
    """The WSGI environment of a request, as moto's applications want it."""
    builder = EnvironBuilder(method=request.method, path="/", query_string=request.query)
    environ: dict[str, object] = dict(builder.get_environ())
    builder.close()
    host = request.headers.get("host", "localhost")
    environ.update(
        {
            "PATH_INFO": _decoded(request.path),
            "RAW_URI": request.path + (f"?{request.query}" if request.query else ""),
            "REQUEST_URI": request.path + (f"?{request.query}" if request.query else ""),
            "SERVER_NAME": host.split(":")[0],
            "SERVER_PORT": "443",
            "REMOTE_ADDR": request.peer[0],
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(request.body),
            "CONTENT_LENGTH": str(len(request.body)),
        }
    )
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_LENGTH", "X_MOTO_ACCOUNT_ID", "CONNECTION", "EXPECT", "TRANSFER_ENCODING"):
            environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
    return environ


def _decoded(path: str) -> str:
    return unquote_to_bytes(path).decode("latin-1")  # PEP 3333: bytes as latin-1
