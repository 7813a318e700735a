"""The registry's front door (ecr.dkr): who asks, for which account's repository, and what goes on to the real registry.

The wire is that of the OCI distribution specification 1.1; statuses and words are Amazon ECR's.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from islanding.lab.region.ecr import USER, Ecr
from islanding.lab.region.errors import AwsError
from islanding.lab.region.hostnames import Target
from islanding.lab.region.http import Request, Response
from islanding.lab.region.principals import Principal
from islanding.lab.region.signature import parameters

Backend = Callable[[Request], Response]

_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+|/)[a-z0-9]+)*"
_REST = r"uploads/[\w=-]*|\w[\w:+.=-]*"
_RESOURCE = re.compile(rf"^/v2/(?P<name>{_NAME})/(?P<kind>manifests|blobs|tags)/(?P<rest>{_REST})$", re.ASCII)
_VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")
# What ECR's API calls each request of the wire: these names stand in policies ("Amazon ECR actions", IAM).
_BLOBS = {"POST": "InitiateLayerUpload", "PATCH": "UploadLayerPart", "PUT": "CompleteLayerUpload"}
LOGIN = "GetAuthorizationToken"


@dataclass(frozen=True)
class Asked:
    """What a request is for: repository (without account), kind of resource, and which one: tag, digest or upload."""

    name: str
    kind: str
    rest: str


def asked(request: Request) -> Asked | None:
    """What a request is for; None for the root, the catalogue, and what is no resource."""
    match = _RESOURCE.match(unquote(request.path))
    return Asked(match["name"], match["kind"], match["rest"]) if match else None


class Registry:
    """The registries of all accounts in one Region, before one registry process that `connect` gives the way to."""

    def __init__(self, region: str, ecr: Ecr) -> None:
        self._region = region
        self._ecr = ecr
        self._backend: Backend | None = None

    def connect(self, backend: Backend) -> None:
        """Have requests answered by the registry process that `backend` passes them on to."""
        self._backend = backend

    def operation(self, request: Request) -> str:
        """The name in ECR's API of what is asked."""
        wanted = asked(request)
        if wanted is None:
            return "DescribeRepositories" if request.path.startswith("/v2/_catalog") else LOGIN
        reads = request.method in ("GET", "HEAD")
        if wanted.kind == "tags":
            return "ListImages"
        if wanted.kind == "manifests":
            return "BatchGetImage" if reads else "BatchDeleteImage" if request.method == "DELETE" else "PutImage"
        if reads and not wanted.rest.startswith("uploads/"):
            return "GetDownloadUrlForLayer" if request.method == "GET" else "BatchCheckLayerAvailability"
        return _BLOBS.get(request.method, "UploadLayerPart")

    def authenticate(self, request: Request, target: Target) -> Principal:
        """Whose token a request carries; raises AwsError for none, a wrong one, or one that has ended."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        user, _, password = _decoded(given).partition(":")
        principal = self._ecr.principal_of(password) if scheme.lower() == "basic" and user == USER else None
        if principal is None or target.region != self._region or not target.account:
            raise AwsError("UNAUTHORIZED", "Not Authorized", 401)
        return principal

    def refusal(self, error: AwsError, target: Target) -> Response:
        """An error in the registry's own form; 401 tells where to log in."""
        if error.status == 401:
            host = f"{target.account}.dkr.ecr.{target.region}.amazonaws.com"
            challenge = ("Www-Authenticate", f'Basic realm="https://{host}/",service="ecr.amazonaws.com"')
            headers = (challenge, _VERSION, ("Content-Type", "text/plain; charset=utf-8"))
            return Response(401, headers, b"Not Authorized\n")
        code = "DENIED" if error.code in ("AccessDenied", "AccessDeniedException") else error.code
        body = json.dumps({"errors": [{"code": code, "message": error.message}]}).encode()
        return Response(error.status, (("Content-Type", "application/json; charset=utf-8"), _VERSION), body)

    def answer(self, request: Request, target: Target) -> Response:
        """The reply to a request whose sender is known, and may ask for it."""
        wanted = asked(request)
        if wanted is None:
            return self._root(request, target)
        self._ecr.repository(target.account, wanted.name)
        if wanted.kind == "manifests":
            return self._manifest(request, target, wanted)
        if wanted.kind == "tags":
            return self._tags(target, wanted)
        return self._passed_on(request, target, wanted)

    def _root(self, request: Request, target: Target) -> Response:
        headers = (("Content-Type", "application/json; charset=utf-8"), _VERSION)
        if request.path in ("/v2", "/v2/"):
            return Response(200, headers, b"{}")
        if request.path == "/v2/_catalog":
            return Response(200, headers, json.dumps({"repositories": self._ecr.names(target.account)}).encode())
        raise AwsError("UNSUPPORTED", "The operation is unsupported.", 404)

    def _tags(self, target: Target, wanted: Asked) -> Response:
        images = self._ecr.repository(target.account, wanted.name).images
        tags = sorted({tag for image in images for tag in image.image_tags})
        headers = (("Content-Type", "application/json; charset=utf-8"), _VERSION)
        return Response(200, headers, json.dumps({"name": wanted.name, "tags": tags}).encode())

    def _manifest(self, request: Request, target: Target, wanted: Asked) -> Response:
        """What ECR has is decided by ECR's own state; the registry is asked by digest, for what ECR has."""
        if request.method == "PUT":
            if request.upload is not None:
                raise AwsError("MANIFEST_INVALID", "The manifest is too large", 400)
            digest = f"sha256:{hashlib.sha256(request.body).hexdigest()}"
            self._ecr.check_put(target.account, wanted.name, wanted.rest, digest)
            response = self._passed_on(request, target, wanted)
            if response.status == 201:
                media_type = request.headers.get("content-type", "")
                self._ecr.put(target.account, wanted.name, wanted.rest, request.body, media_type)
            return response
        image = self._ecr.image(target.account, wanted.name, wanted.rest)
        if image is None or request.method not in ("GET", "HEAD"):
            if request.method in ("GET", "HEAD"):
                raise AwsError("MANIFEST_UNKNOWN", "Requested image not found", 404)
            raise AwsError("UNSUPPORTED", "The operation is unsupported.", 405)
        return self._passed_on(request, target, replace(wanted, rest=image.get_image_digest()))

    def _passed_on(self, request: Request, target: Target, wanted: Asked) -> Response:
        """The registry's reply; it keeps the repositories of an account below the account's number."""
        if self._backend is None:
            raise AwsError("UNAVAILABLE", "The registry is not available", 503)
        path = f"/v2/{target.account}/{wanted.name}/{wanted.kind}/{quote(wanted.rest, safe='/:@+=')}"
        pairs = [
            (name, f"{target.account}/{value}" if name == "from" else value)
            for name, value in parameters(request.query)
        ]
        query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
        headers = {name: value for name, value in request.headers.items() if name != "authorization"}
        response = self._backend(replace(request, path=path, query=query, headers=headers))
        own = f"/v2/{target.account}/"
        rewritten = tuple(
            (name, value.replace(own, "/v2/", 1) if name.lower() == "location" and value.startswith(own) else value)
            for name, value in response.headers
        )
        return replace(response, headers=rewritten)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:
        return ""
