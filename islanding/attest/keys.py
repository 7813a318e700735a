"""Public keys that check signatures: Ed25519 and ECDSA on P-256, from PEM files of a key or of an X.509 certificate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from islanding.errors import SetupError

Key = ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey
KINDS = "Ed25519 and ECDSA on the curve P-256"


@dataclass(frozen=True)
class PublicKey:
    """A key that checks signatures; `valid_from` and `valid_until` are its certificate's, None for a bare key."""

    key: Key
    valid_from: datetime | None = None
    valid_until: datetime | None = None

    @property
    def id(self) -> str:
        """SHA-256 of the key's SubjectPublicKeyInfo in DER, hexadecimal."""
        return hashlib.sha256(self.key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    def verifies(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` was made over `data` by the private half of this key."""
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, data)
            else:
                self.key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def lapsed(self, at: datetime) -> str:
        """Why the certificate is not valid at that time; empty when it is, and for a bare key."""
        if self.valid_from and at < self.valid_from:
            return f"is valid only from {_date(self.valid_from)}"
        if self.valid_until and at > self.valid_until:
            return f"expired on {_date(self.valid_until)}"
        return ""


def load(path: Path) -> PublicKey:
    """The public key, or the certificate, in a PEM file.

    Raises SetupError when the file cannot be read, holds neither, or holds a key of a kind that is not taken.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}", "Name the signer's public key in PEM.") from error
    if b"PRIVATE KEY-----" in data:
        raise SetupError(
            f"{path}: is a private key; whoever verifies needs the public one",
            f"openssl pkey -in {path} -pubout -out public.pem",
        )
    try:
        if b"-----BEGIN CERTIFICATE-----" in data:
            certificate = x509.load_pem_x509_certificate(data)
            valid = certificate.not_valid_before_utc, certificate.not_valid_after_utc
            return PublicKey(accepted(certificate.public_key(), str(path)), *valid)
        return PublicKey(accepted(load_pem_public_key(data), str(path)))
    except ValueError as error:
        raise SetupError(
            f"{path}: is no public key and no certificate in PEM", "The signer makes it: openssl pkey -pubout"
        ) from error


def accepted(key: object, name: str) -> Key:
    """The key, when it is of a kind that is taken; raises SetupError otherwise."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise SetupError(f"{name}: a key of a kind that is not taken", f"Keys are {KINDS}.")


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
