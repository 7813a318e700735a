"""The two-person rule: a confirmation that a second person signs, bound to a site, to faults and to a time.

It is a small file: what is confirmed as JSON, and an Ed25519 signature over it by that person's own SSH key, whose
public half the site's guardrails name. Whoever runs the fault cannot make one, and it is worth nothing elsewhere or
later. Nothing of it is ever printed.
"""

from __future__ import annotations

import base64
import getpass
import json
import os
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from islanding.errors import SetupError
from islanding.guardconf import Production
from islanding.paths import state_dir

VARIABLE = "ISLANDING_CONFIRMATION"  # the file to use; by default that of the site below the state folder
PREFIX = "islanding-confirmation-v1"
LONGEST = timedelta(hours=8)
_SKEW = timedelta(minutes=2)  # that two people's clocks may be apart


@dataclass(frozen=True)
class Confirmation:
    """What somebody (`by`, their user name) confirmed: these kinds of fault on that site, within that time."""

    site: str
    faults: tuple[str, ...]
    since: str
    until: str
    by: str
    nonce: str

    def unfit(self, site: str, kind: str, now: datetime) -> str:
        """Why it does not hold for this fault now; empty when it does."""
        since, until = datetime.fromisoformat(self.since), datetime.fromisoformat(self.until)
        if self.site != site:
            return f"is for the site {self.site}, not {site}"
        if kind not in self.faults:
            return f"is for {', '.join(self.faults)}, not {kind}"
        if until - since > LONGEST:
            return f"is for more than {LONGEST.total_seconds() / 3600:g} hours"
        if now < since - _SKEW:
            return f"holds only from {self.since} on"
        return f"held until {self.until}" if now > until else ""


def make(site: str, faults: tuple[str, ...], since: datetime, seconds: float, key: Path, password: str = "") -> bytes:
    """The content of a confirmation, signed by the private key in a file (as ssh-keygen writes it).

    Raises SetupError when the file holds no Ed25519 key that can be read, or the time is too long.
    """
    if not 0 < seconds <= LONGEST.total_seconds():
        raise SetupError(f"a confirmation holds for at most {LONGEST.total_seconds() / 60:g} minutes")
    until = since + timedelta(seconds=seconds)
    said = Confirmation(site, faults, since.isoformat(), until.isoformat(), getpass.getuser(), secrets.token_hex(8))
    signer = _private(key, password)
    payload = json.dumps(asdict(said), sort_keys=True).encode()
    return b".".join((PREFIX.encode(), _text(payload), _text(signer.sign(_signed(payload))))) + b"\n"


def read(production: Production, site: str, who: str) -> Confirmation | str:
    """The confirmation for a site, from its file; why there is none otherwise. `who` is the user who runs the fault."""
    path = file_of(site)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"the confirmation {path} cannot be read: {error.strerror}"
    try:
        signer, said = _opened(production, content)
    except (ValueError, TypeError, KeyError):  # the cause could quote it
        return f"{path} is no confirmation"
    if not signer:
        return f"{path} is signed by none of {', '.join(production.confirmers)}"
    return f"{who} confirmed it and runs it: that takes two people" if who in (said.by, signer) else said


def write(path: Path, content: bytes) -> None:
    """Put a confirmation into a file that only its owner may read; raises SetupError when it cannot be written."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            os.fchmod(fd, 0o600)
            file.write(content)
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from error


def file_of(site: str) -> Path:
    """The file in which the confirmation for a site is looked for."""
    given = os.environ.get(VARIABLE)
    return Path(given) if given else state_dir() / "confirmations" / quote(site, safe="")


def _opened(production: Production, content: bytes) -> tuple[str, Confirmation]:
    """Who signed a confirmation (empty: no confirmer), and what it says; raises ValueError for what is none."""
    prefix, payload, signature = content.strip().split(b".")
    if prefix != PREFIX.encode():
        raise ValueError("no confirmation")
    said = _bytes(payload)
    raw: dict[str, Any] = json.loads(said)
    confirmation = Confirmation(**{**raw, "faults": tuple(raw["faults"])})
    for when in (confirmation.since, confirmation.until):
        if datetime.fromisoformat(when).tzinfo is None:
            raise ValueError("no zone")
    return _signer(production, said, _bytes(signature)), confirmation


def _signer(production: Production, payload: bytes, signature: bytes) -> str:
    """The name of the confirmer whose key signed it; empty for none."""
    from cryptography.exceptions import InvalidSignature  # takes a tenth of a second, and few sites need it
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    for name, line in production.confirmers.items():
        key = load_ssh_public_key(line.encode())
        if isinstance(key, Ed25519PublicKey):
            try:
                key.verify(signature, _signed(payload))
            except InvalidSignature:
                continue
            return name
    return ""


def _signed(payload: bytes) -> bytes:
    """What the signature is over: never the same as what the key signs as an SSH key."""
    return PREFIX.encode() + b"\0" + payload


def _private(path: Path, password: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    try:
        key = load_ssh_private_key(path.read_bytes(), password.encode() or None)
    except OSError as error:
        raise SetupError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # the cause could quote the key
        raise SetupError(
            f"{path} is no SSH private key that can be opened", "give its passphrase if it has one"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SetupError(f"{path} is no Ed25519 key", "make one: ssh-keygen -t ed25519")
    return key


def _text(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
