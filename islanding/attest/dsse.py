"""DSSE envelopes: what is signed, and the one form in which this project writes it.

After the DSSE protocol 1.0 (github.com/secure-systems-lab/dsse, protocol.md and envelope.md). The envelope is
stricter than the protocol: one signature, keys in one order, base64 in its canonical form. Otherwise bytes could be
changed that no signature covers (the key's id, unused bits of base64), and every changed byte must be found.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class MalformedError(ValueError):
    """The bytes are no envelope of the form that this project writes; the text says in what."""


@dataclass(frozen=True)
class Envelope:
    """A signed payload: its bytes, their type, the id of the key and the signature."""

    payload: bytes
    keyid: str
    signature: bytes
    payload_type: str = PAYLOAD_TYPE

    def encode(self) -> bytes:
        """The envelope as it lies in a bundle."""
        body = {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": self.keyid, "sig": base64.b64encode(self.signature).decode()}],
        }
        return json.dumps(body, indent=1).encode() + b"\n"

    @property
    def signed(self) -> bytes:
        """The bytes that the signature is made over."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """The pre-authentication encoding: `DSSEv1`, then length and bytes of type and payload, spaces between."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def decode(data: bytes) -> Envelope:
    """The envelope that `data` is; raises MalformedError when it is not written exactly as `encode` writes it."""
    try:
        body = json.loads(data)
        (signature,) = body["signatures"]
        envelope = Envelope(
            base64.b64decode(body["payload"], validate=True),
            str(signature["keyid"]),
            base64.b64decode(signature["sig"], validate=True),
            str(body["payloadType"]),
        )
    except (ValueError, KeyError, TypeError, binascii.Error, RecursionError) as error:
        raise MalformedError("is no DSSE envelope with one signature") from error
    if envelope.encode() != data:
        raise MalformedError("is not written as it was signed: bytes outside the signed text were changed")
    if envelope.payload_type != PAYLOAD_TYPE:
        raise MalformedError(f"holds {envelope.payload_type}, not {PAYLOAD_TYPE}")
    return envelope
