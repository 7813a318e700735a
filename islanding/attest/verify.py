"""Checks a bundle offline: signature, manifest, every file, the journal's chain, inputs, time stamp, key's validity.

Whatever is not checked is said: a bundle that nobody signed, or a time stamp whose authority is not known here, is no
success unless the caller asked for exactly that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography.x509 import Certificate

from islanding import chain
from islanding.attest import dsse, manifest, stamp, statement
from islanding.attest.keys import PublicKey
from islanding.attest.layout import ATTESTATION, INPUTS, JOURNAL, MANIFEST, OUTSIDE, TIMESTAMP
from islanding.attest.manifest import Manifest
from islanding.attest.opened import Opened, Problem, UnreadableError
from islanding.errors import SetupError

CLOCKS_MAY_DIFFER = timedelta(minutes=5)


What = Literal["stamp", "signature"]


@dataclass
class Verified:
    """What a check came to: `problems` are wrong, `unchecked` could not be checked, `notes` are worth knowing."""

    problems: list[Problem] = field(default_factory=list)
    unchecked: list[tuple[What, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    keyid: str = ""
    stamped: datetime | None = None
    files: int = 0
    run: dict[str, object] = field(default_factory=dict)
    result: str = ""

    def unchecked_but(self, *, stamp: bool, signature: bool) -> list[str]:
        """What could not be checked, without that which the verifier does not ask for."""
        waived = {"stamp": stamp, "signature": signature}
        return [text for what, text in self.unchecked if not waived[what]]


@dataclass(frozen=True)
class Trust:
    """What the verifier trusts: the signer's key, the time stamp authority's certificates, and the time now (UTC)."""

    key: PublicKey | None
    authority: Sequence[Certificate] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


def verify(bundle: Opened, trust: Trust) -> Verified:
    """Check all of a bundle; nothing is raised for what is wrong with it."""
    done = Verified(problems=list(bundle.problems))
    told = _read_manifest(bundle, done)
    if told is None:
        return done
    done.run = dict(told.run)
    done.files = len(told.files)
    payload = _signature(bundle, trust, done)
    _files(bundle, told, done)
    if not any(name == JOURNAL for name, _ in done.problems):
        _journal(bundle, told, done)
    if payload is not None:
        _subjects(bundle, told, payload, done)
    _time(bundle, trust, done)
    _clock(told, trust, done)
    return done


def _read_manifest(bundle: Opened, done: Verified) -> Manifest | None:
    if MANIFEST not in bundle.sizes:
        if not done.problems:
            done.problems.append((MANIFEST, "is missing: this is no bundle, or it was taken out"))
        return None
    try:
        return manifest.read(bundle.read(MANIFEST))
    except (UnreadableError, manifest.MalformedError) as error:
        done.problems.append((MANIFEST, str(error)))
        return None


def _signature(bundle: Opened, trust: Trust, done: Verified) -> bytes | None:
    """The signed statement, when its signature holds; the rest is noted in `done`."""
    if ATTESTATION not in bundle.sizes:
        done.unchecked.append(("signature", "nobody signed this bundle: whoever had it could change all of it"))
        return None
    try:
        envelope = dsse.decode(bundle.read(ATTESTATION))
    except (UnreadableError, dsse.MalformedError) as error:
        done.problems.append((ATTESTATION, str(error)))
        return None
    if trust.key is None:
        done.unchecked.append(("signature", "the signature is not checked: no key is given"))
        return envelope.payload
    if envelope.keyid != trust.key.id:
        done.problems.append(
            (ATTESTATION, f"was signed by another key: {envelope.keyid[:16]}…, not by {trust.key.id[:16]}…")
        )
        return None
    if not trust.key.verifies(envelope.signature, envelope.signed):
        done.problems.append((ATTESTATION, "the signature is not of this text and this key"))
        return None
    done.keyid = envelope.keyid
    return envelope.payload


def _subjects(bundle: Opened, told: Manifest, payload: bytes, done: Verified) -> None:
    """The signed statement must be about this manifest, and say of the run what the manifest says."""
    try:
        named = statement.subjects(payload)
        done.result = str(statement.predicate(payload)["result"])
        digest = bundle.sha256(MANIFEST)
    except (UnreadableError, ValueError, KeyError, TypeError) as error:
        done.problems.append((ATTESTATION, str(error) if isinstance(error, ValueError) else "is no test result"))
        return
    if named.pop(MANIFEST, None) != digest:
        done.problems.insert(0, (MANIFEST, "is not the one that was signed"))
    for name, wanted in sorted(named.items()):
        if name not in told.files or told.files[name].sha256 != wanted:
            done.problems.append((name, "is not the one that was signed"))
    if done.result == "PASSED" and told.run.get("verdict") != "pass":
        done.problems.append((ATTESTATION, "says PASSED, the manifest does not"))


def _files(bundle: Opened, told: Manifest, done: Verified) -> None:
    for name in sorted(told.files.keys() - bundle.sizes.keys()):
        done.problems.append((name, "is missing"))
    for name in sorted(bundle.sizes.keys() - told.files.keys() - OUTSIDE):
        done.problems.append((name, "was added: the manifest does not name it"))
    for name in sorted(told.files.keys() & bundle.sizes.keys()):
        entry = told.files[name]
        try:
            if bundle.sizes[name] != entry.size:
                done.problems.append((name, f"was changed: {bundle.sizes[name]} bytes, not {entry.size}"))
            elif bundle.sha256(name) != entry.sha256:
                done.problems.append((name, "was changed: its SHA-256 is not the manifest's"))
        except UnreadableError as error:
            done.problems.append((name, str(error)))


def _journal(bundle: Opened, told: Manifest, done: Verified) -> None:
    """The chain must hold, and say of the run's end what the manifest says; inputs must be those it was given."""
    if JOURNAL not in told.files:
        done.problems.append((JOURNAL, "is not in the manifest"))
        return
    try:
        lines = bundle.read(JOURNAL).removesuffix(b"\n").split(b"\n")
    except UnreadableError as error:
        done.problems.append((JOURNAL, str(error)))
        return
    found = chain.inspect(lines)
    complete = bool(told.run.get("complete"))
    if found.altered or (found.problems and complete):
        done.problems.append((JOURNAL, found.problems[0]))
    if complete and not found.finished:
        done.problems.append((JOURNAL, "has no end, and the manifest says that the run is complete"))
    if not found.chained:
        done.notes.append("the journal is of version 1, whose entries are not chained: the manifest alone protects it")
    if not complete:
        why = told.run.get("problems")
        done.notes.append(f"the run is incomplete, nothing of it counts as passed: {_first(why)}")
    for name, digest in sorted(_given(lines).items()):
        entry = told.files.get(f"{INPUTS}/{name}")
        if entry is None:
            done.problems.append((f"{INPUTS}/{name}", "is missing: the run was given it"))
        elif entry.sha256 != digest:
            done.problems.append((f"{INPUTS}/{name}", "is not what the run was given: the journal has another SHA-256"))


def _given(lines: Sequence[bytes]) -> dict[str, str]:
    """The SHA-256 of the run's inputs by name, as its first entry has them; empty for a run before there were any."""
    for line in lines:
        try:
            event = json.loads(line)
            if event["type"] == "run-started":
                return {str(name): str(digest) for name, digest in (event.get("inputs") or {}).items()}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
    return {}


def _time(bundle: Opened, trust: Trust, done: Verified) -> None:
    """The time stamp, if there is one, and whether the key's certificate was valid then, or is now."""
    if TIMESTAMP in bundle.sizes:
        signed = ATTESTATION if ATTESTATION in bundle.sizes else MANIFEST
        try:
            if trust.authority:
                done.stamped = stamp.verify(bundle.read(TIMESTAMP), bundle.read(signed), trust.authority)
            else:
                said = stamp.stated(bundle.read(TIMESTAMP), bundle.read(signed))
                text = f"the time stamp ({said:%Y-%m-%d %H:%M:%S} UTC) is not checked: no certificate of its authority"
                done.unchecked.append(("stamp", text))
        except SetupError as error:  # what reads time stamps is not installed
            done.unchecked.append(("stamp", f"the time stamp is not checked: {error.what}"))
        except (UnreadableError, stamp.WrongStampError) as error:
            done.problems.append((TIMESTAMP, str(error)))
    if trust.key is not None and done.keyid and (reason := trust.key.lapsed(done.stamped or trust.now)):
        when = "when it was stamped" if done.stamped else "now, and no time stamp shows that it signed before"
        done.problems.append((ATTESTATION, f"the key's certificate {reason}; looked at {when}"))


def _clock(told: Manifest, trust: Trust, done: Verified) -> None:
    """Times that contradict each other: some clock was wrong, the evidence's or ours."""
    try:
        ended = datetime.fromisoformat(str(told.run.get("ended")))
        ended = ended if ended.tzinfo else ended.replace(tzinfo=UTC)
    except ValueError:
        done.notes.append("the manifest does not say when the run ended")
        return
    if done.stamped and ended - done.stamped > CLOCKS_MAY_DIFFER:
        done.problems.append(
            (TIMESTAMP, f"is from before the end of the run, {ended:%Y-%m-%d %H:%M} UTC: a clock was wrong")
        )
    elif (done.stamped or ended) - trust.now > CLOCKS_MAY_DIFFER:
        done.notes.append("it is from the future by this computer's clock: this clock is wrong, or that one was")


def _first(problems: object) -> str:
    return str(problems[0]) if isinstance(problems, list) and problems else "its journal has no end"
