"""Who signs, as the bundle sees it, and the signer whose key is in a PEM file.

Tokens and AWS KMS have modules of their own, so that what they need is imported only where they are used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from islanding.attest.keys import KINDS, PublicKey, accepted
from islanding.errors import SetupError

PASSPHRASE = "ISLANDING_KEY_PASSPHRASE"


class Signer(Protocol):
    """Whoever holds a private key and signs by it."""

    @property
    def public(self) -> PublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """The signature over `data`: 64 bytes for Ed25519, DER of r and s for ECDSA with SHA-256."""
        ...


class FileSigner:
    """Signs by the private key in a PEM file."""

    def __init__(self, path: Path, passphrase: bytes | None) -> None:
        """Read the key; raises SetupError when it cannot be read, decrypted, or is of a kind that is not taken."""
        try:
            key = load_pem_private_key(path.read_bytes(), passphrase)
        except OSError as error:
            raise SetupError(f"{path}: cannot be read: {error.strerror}", "Name a private key in PEM.") from error
        except TypeError as error:  # a passphrase is missing, or given for a key that has none
            fix = f"Set {PASSPHRASE}, or name a file by --passphrase-file." if passphrase is None else ""
            raise SetupError(f"{path}: {str(error).lower().rstrip('.')}", fix) from error
        except (ValueError, UnsupportedAlgorithm) as error:
            raise SetupError(f"{path}: is no private key in PEM, or the passphrase is wrong") from error
        if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey):
            raise SetupError(f"{path}: a key of a kind that is not taken", f"Keys are {KINDS}.")
        self._key = key
        self.public = PublicKey(accepted(key.public_key(), str(path)))

    def sign(self, data: bytes) -> bytes:
        """The signature; that of ECDSA is drawn by RFC 6979 where OpenSSL can, so that it is the same each time."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        try:
            return self._key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        except UnsupportedAlgorithm:
            return self._key.sign(data, ec.ECDSA(hashes.SHA256()))


def passphrase(file: Path | None) -> bytes | None:
    """The first line of `file`, else $ISLANDING_KEY_PASSPHRASE, else None; never an argument, which others can see."""
    if file is not None:
        try:
            return file.read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
        except OSError as error:
            raise SetupError(f"{file}: cannot be read: {error.strerror}", "Its first line is what it holds.") from error
    return os.environb.get(PASSPHRASE.encode()) or None
