"""ECR's own state: tokens that are random, belong to somebody and end; repositories and images as moto keeps them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.ecr.models import ECRBackend, Image, Repository, ecr_backends

from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request, Response
from islanding.lab.region.principals import Principal

LIFE = timedelta(hours=12)  # "Registry authentication", ECR user guide
USER = "AWS"


@dataclass(frozen=True)
class _Token:
    principal: Principal
    expires: datetime


class Ecr:
    """ECR in one Region; `now` gives the time, which ends tokens."""

    def __init__(self, account: str, region: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._account = account
        self._region = region
        self._now = now
        self._tokens: dict[bytes, _Token] = {}  # by their hashes: a token is not kept
        self._lock = threading.Lock()

    # -- tokens ----------------------------------------------------------------------------------------------------

    def authorization_token(self, request: Request, principal: Principal) -> Response:
        """The reply of GetAuthorizationToken: one token, good for every registry that its owner may use."""
        registries = json.loads(request.body or b"{}").get("registryIds") or [principal.account]
        password, expires = self.new_token(principal)
        token = base64.b64encode(f"{USER}:{password}".encode()).decode()
        data = [
            {
                "authorizationToken": token,
                "expiresAt": expires.timestamp(),
                "proxyEndpoint": f"https://{registry}.dkr.ecr.{self._region}.amazonaws.com",
            }
            for registry in registries
        ]
        headers = (("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", str(uuid.uuid4())))
        return Response(200, headers, json.dumps({"authorizationData": data}).encode())

    def new_token(self, principal: Principal) -> tuple[str, datetime]:
        """A new password for the registry, and when it ends. Never to be printed."""
        password, now = secrets.token_urlsafe(96), self._now()
        with self._lock:
            old = [key for key, token in self._tokens.items() if token.expires < now - LIFE]
            for key in old:  # for as long again it is known to have been one, so that its owner is told the truth
                del self._tokens[key]
            self._tokens[_hash(password)] = _Token(principal, now + LIFE)
        return password, now + LIFE

    def principal_of(self, password: str) -> Principal | None:
        """Whose token it is, None for no token; raises AwsError for one that has ended."""
        with self._lock:
            token = self._tokens.get(_hash(password))
        if token is None:
            return None
        if self._now() >= token.expires:
            text = "Your authorization token has expired. Reauthenticate and try again."
            raise AwsError("DENIED", text, 403)
        return token.principal

    # -- repositories and images -----------------------------------------------------------------------------------

    def repository(self, account: str, name: str) -> Repository:
        """A repository; raises AwsError NAME_UNKNOWN in the registry's words."""
        found = self._backend(account).repositories.get(name)
        if found is None:
            text = f"The repository with name '{name}' does not exist in the registry with id '{account}'"
            raise AwsError("NAME_UNKNOWN", text, 404)
        return found

    def names(self, account: str) -> list[str]:
        """The names of an account's repositories."""
        return sorted(self._backend(account).repositories)

    def create(self, account: str, name: str) -> None:
        """Make a repository if there is none of that name."""
        backend: Any = self._backend(account)
        if name not in backend.repositories:
            backend.create_repository(name, None, None, None, None, None)  # all options as they are by default

    def image(self, account: str, name: str, reference: str) -> Image | None:
        """The image with that tag or digest."""
        for image in list(self.repository(account, name).images):
            if reference in (image.get_image_digest(), *image.image_tags):
                return image
        return None

    def check_put(self, account: str, name: str, reference: str, digest: str) -> None:
        """Check that a tag may be written; raises AwsError TAG_INVALID where tags are immutable."""
        repository = self.repository(account, name)
        present = self.image(account, name, reference)
        if present is None or ":" in reference or present.get_image_digest() == digest:
            return
        if repository.is_tag_immutable():
            text = (
                f"The image tag '{reference}' already exists in the '{name}' repository and cannot be overwritten "
                "because the repository is immutable."
            )
            raise AwsError("TAG_INVALID", text, 400)

    def put(self, account: str, name: str, reference: str, manifest: bytes, media_type: str) -> None:
        """Record a pushed image, by tag or by digest; an image that loses its last tag by this stays, untagged."""
        repository = self.repository(account, name)
        digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
        tag = None if ":" in reference else reference
        with self._lock:
            image: Any = next((i for i in repository.images if i.get_image_digest() == digest), None)
            if image is None:
                untagged: Any = tag  # moto's types leave out that there may be none
                image = _Pushed(account, untagged, manifest.decode(), name, media_type, digest)
                repository.images.append(image)
            if tag is not None:
                others: list[Any] = repository.images
                for other in others:
                    if other is not image and tag in other.image_tags:
                        other.remove_tag(tag)
                        other.image_tag = other.image_tags[-1] if other.image_tags else None
                image.update_tag(tag)
            repository.layers |= _layers(image)

    def _backend(self, account: str) -> ECRBackend:
        return ecr_backends[account][self._region]


class _Pushed(Image):
    """An image whose size is that of its layers: moto gives the config's."""

    def get_image_size_in_bytes(self) -> int | None:
        return sum(_layers(self).values())


def _layers(image: Image) -> dict[str, int]:
    manifest = json.loads(image.image_manifest)
    return {str(layer["digest"]): int(layer["size"]) for layer in manifest.get("layers", [])}


def _hash(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()
