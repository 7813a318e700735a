"""The signer whose key never leaves a PKCS#11 token (a smart card, an HSM), named by an RFC 7512 URI."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from islanding.attest.keys import KINDS, PublicKey, accepted
from islanding.errors import SetupError

PIN = "ISLANDING_PKCS11_PIN"
EXAMPLE = "pkcs11:token=audit;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so"


@dataclass(frozen=True)
class Uri:
    """What such a URI says: token, key (`object` or `id`), the library to load, and the file that holds the PIN."""

    token: str
    object: str
    id: bytes
    module: str
    pin_source: str


def parse(text: str) -> Uri:
    """Read a URI; raises SetupError for one that lacks something, or holds a PIN (which every user could see)."""
    scheme, _, rest = text.partition(":")
    path, _, query = rest.partition("?")
    if scheme != "pkcs11":
        raise SetupError("not a PKCS#11 URI", f"Write it as {EXAMPLE}")
    pairs = [pair.partition("=")[::2] for pair in (*path.split(";"), *query.split("&")) if pair]
    said = {name: unquote(value) for name, value in pairs}
    raw = dict(pairs)
    if "pin-value" in said:
        raise SetupError("the URI holds the PIN, which other users of this computer can see", f"Set {PIN} instead.")
    lacking = [name for name in ("token", "module-path") if not said.get(name)]
    if lacking or not (said.get("object") or said.get("id")):
        raise SetupError(f"the PKCS#11 URI lacks {', '.join(lacking) or 'object'}", f"Write it as {EXAMPLE}")
    key = unquote(raw.get("id", ""), encoding="latin-1").encode("latin-1")
    source = said.get("pin-source", "").removeprefix("file:").removeprefix("//")
    return Uri(said["token"], said.get("object", ""), key, said["module-path"], source)


class TokenSigner:
    """Signs by a key in a token; each signature is a session of its own."""

    def __init__(self, uri: str) -> None:
        """Find the key's public half; raises SetupError for whatever keeps the token from being used."""
        self._uri = parse(uri)
        self._pin = _pin(self._uri)
        self.public = PublicKey(self._with_session(self._public_key))

    def sign(self, data: bytes) -> bytes:
        return bytes(self._with_session(lambda session: self._sign(session, data)))

    def _sign(self, session: Any, data: bytes) -> bytes:
        from pkcs11 import Mechanism

        key = session.get_key(**self._wanted("PRIVATE_KEY"))
        if key.key_type.name == "EC_EDWARDS":
            return bytes(key.sign(data, mechanism=Mechanism.EDDSA))
        raw = bytes(key.sign(hashlib.sha256(data).digest(), mechanism=Mechanism.ECDSA))  # r and s, 32 bytes each
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))

    def _public_key(self, session: Any) -> Any:
        from pkcs11 import Attribute
        from pkcs11.util.ec import encode_ec_public_key

        key = session.get_key(**self._wanted("PUBLIC_KEY"))
        kind = key.key_type.name
        if kind not in ("EC", "EC_EDWARDS"):
            raise SetupError(f"the token's key is of a kind that is not taken: {kind}", f"Keys are {KINDS}.")
        if kind == "EC_EDWARDS":  # the point is an OCTET STRING in DER; its last 32 bytes are the key (RFC 8032)
            return Ed25519PublicKey.from_public_bytes(bytes(key[Attribute.EC_POINT])[-32:])
        return accepted(load_der_public_key(encode_ec_public_key(key)), "the token's key")

    def _wanted(self, kind: str) -> dict[str, Any]:
        from pkcs11 import ObjectClass

        named = {"label": self._uri.object} if self._uri.object else {"id": self._uri.id}
        return {"object_class": ObjectClass[kind], **named}

    def _with_session(self, work: Any) -> Any:
        try:
            import pkcs11
        except ImportError as error:
            raise SetupError("signing by a token needs python-pkcs11", "pip install 'islanding[pkcs11]'") from error
        try:
            token = pkcs11.lib(self._uri.module).get_token(token_label=self._uri.token)
            with token.open(user_pin=self._pin) as session:
                return work(session)
        except (pkcs11.PKCS11Error, RuntimeError) as error:  # RuntimeError: the library cannot be loaded
            said = " ".join(str(error).split()) or type(error).__name__
            raise SetupError(f"the token {self._uri.token!r} cannot be used: {said}", "Look: pkcs11-tool -O") from error


def _pin(uri: Uri) -> str:
    if uri.pin_source:
        try:
            return Path(uri.pin_source).read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"{uri.pin_source}: the PIN cannot be read from it") from error
    pin = os.environ.get(PIN, "")
    if not pin:
        raise SetupError("the token wants a PIN", f"Set {PIN}, or add pin-source=file:/… to the URI.")
    return pin
