"""Time stamps of an authority (RFC 3161): asked for by HTTP, kept in the bundle, checked offline."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509

from islanding.errors import SetupError

if TYPE_CHECKING:
    from rfc3161_client import TimeStampResponse

ASK_SECONDS = 30.0
MOST_BYTES = 1 << 20  # of an answer: a time stamp with its certificates has a few thousand

# What of a CMS SignedData no signature covers: two version numbers, and the name of the algorithm, which OpenSSL knows
# from the key. They are held to what RFC 3161 and RFC 5652 (5.1, 5.3) lead to, so that no byte can change unseen.
_VERSION_OF_DATA, _VERSION_OF_SIGNER = b"\x03", b"\x01"
_ALGORITHMS = frozenset(
    bytes.fromhex(identifier)
    for identifier in (
        *(f"06082a8648ce3d0403{last}" for last in ("02", "03", "04")),  # ecdsa-with-SHA256, 384, 512 (RFC 5758)
        *(f"06092a864886f70d0101{last}0500" for last in ("01", "0b", "0c", "0d")),  # RSA, with SHA-256, 384, 512
        "06032b6570",  # Ed25519 (RFC 8410)
    )
)


class WrongStampError(ValueError):
    """The bytes are no time stamp, or not one of this text by this authority; the text says in what."""


def ask(url: str, data: bytes) -> bytes:
    """A time stamp over `data` (its SHA-256) from the authority at `url`.

    Raises SetupError when it cannot be reached, refuses, or answers something else than what it was asked.
    """
    import requests

    client = _client()
    request = client.TimestampRequestBuilder().data(data).hash_algorithm(client.HashAlgorithm.SHA256).build()
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    fix = "The bundle can be made without: leave --timestamp-url out."
    try:
        answer = requests.post(url, request.as_bytes(), headers=headers, timeout=ASK_SECONDS)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise SetupError(f"the time stamp authority at {url} does not answer: {error}", fix) from error
    try:
        if len(answer.content) > MOST_BYTES:
            raise WrongStampError("is too long")
        response = _decoded(answer.content, data)
        if response.tst_info.nonce != request.nonce:
            raise WrongStampError("answers another request")
    except WrongStampError as error:
        raise SetupError(f"the answer of the time stamp authority at {url} {error}", fix) from error
    return answer.content


def stated(stamp: bytes, data: bytes) -> datetime:
    """The time that a stamp over `data` states, its authority's signature not checked; raises WrongStampError."""
    return _decoded(stamp, data).tst_info.gen_time.astimezone(UTC)


def verify(stamp: bytes, data: bytes, authority: Sequence[x509.Certificate]) -> datetime:
    """The time of a stamp over `data` that one of these authorities made; raises WrongStampError otherwise.

    A certificate that signed itself is a root; the others may stand between it and the one that stamps. When there is
    no root among them, each is trusted as it is.
    """
    client = _client()
    response = _decoded(stamp, data)
    roots = [each for each in authority if each.issuer == each.subject] or list(authority)
    builder = client.VerifierBuilder()
    for each in authority:
        builder = builder.add_root_certificate(each) if each in roots else builder.add_intermediate_certificate(each)
    try:
        builder.build().verify_message(response, data)
    except (client.VerificationError, ValueError) as error:
        raise WrongStampError(f"is not of this text and this authority: {' '.join(str(error).split())}") from error
    _check_unsigned(stamp)
    return response.tst_info.gen_time.astimezone(UTC)


def certificates(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file; raises SetupError when there are none."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}", "Name the authority's certificate.") from error
    except ValueError as error:
        raise SetupError(f"{path}: holds no certificate in PEM", "Name the authority's certificate.") from error


def _decoded(stamp: bytes, data: bytes) -> TimeStampResponse:
    client = _client()
    try:
        response: TimeStampResponse = client.decode_timestamp_response(stamp)
        imprint, status = response.tst_info.message_imprint.message, response.status
    except ValueError as error:
        raise WrongStampError("is no time stamp of RFC 3161") from error
    if status != client.PKIStatus.GRANTED:
        raise WrongStampError("was not granted by the authority")
    if imprint != hashlib.sha256(data).digest():
        raise WrongStampError("is over another text")
    return response


def _check_unsigned(stamp: bytes) -> None:
    """Hold what no signature covers to the values that it must have; raises WrongStampError."""
    try:
        ((_, response),) = _elements(stamp)
        data = _elements(_elements(_elements(_elements(response)[1][1])[1][1])[0][1])
        (signer,) = _elements(data[-1][1])
        parts = _elements(signer[1])
        held = (data[0][1], parts[0][1]) == (_VERSION_OF_DATA, _VERSION_OF_SIGNER)
    except (IndexError, ValueError) as error:
        raise WrongStampError("is no time stamp of RFC 3161") from error
    if not held or parts[4][1] not in _ALGORITHMS or len(parts) != 6:
        raise WrongStampError(
            "has something in it that its authority did not sign, or is signed in a way not known here"
        )


def _elements(der: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of each element of a DER text, one after the other."""
    found, at = [], 0
    while at < len(der):
        more = der[at + 1] & 0x7F if der[at + 1] & 0x80 else 0
        start = at + 2 + more
        length = int.from_bytes(der[at + 2 : start]) if more else der[at + 1]
        found.append((der[at], der[start : start + length]))
        at = start + length
    return found


def _client() -> Any:
    try:
        import rfc3161_client
    except ImportError as error:
        raise SetupError("time stamps need rfc3161-client", "pip install 'islanding[timestamp]'") from error
    return rfc3161_client
