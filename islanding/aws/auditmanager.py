"""Manual evidence for an assessment of AWS Audit Manager: to the right controls, once, within the service's limits.

Sources: Audit Manager API reference, BatchImportEvidenceToAssessmentControl and ManualEvidence (1 to 50 pieces a call,
each a text of at most 1,000 characters or an S3 object; files of at most 100 MB; 100 pieces a control and day), and
user guide, "Adding manual evidence" (none for an inactive control). The service is open to accounts that had it on
2026-04-30 (user guide, "AWS Audit Manager availability change").
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from islanding.errors import IslandingError, SetupError

TEXT_LIMIT = 1000  # characters
FILE_LIMIT = 100 * 10**6  # bytes
DAILY_LIMIT = 100  # pieces for one control
BATCH = 50  # pieces in one call
_DAY = timedelta(days=1)  # AWS says "each day" and not of which zone: any 24 hours are within that
_S3 = re.compile(r"s3://[a-zA-Z0-9\-.()'*_!=+@:\s,?/]+")
_TOKEN = re.compile(r"[A-Za-z]{1,3}[-.]\d+(?:\.\d+)*(?:\(\d+\))?|\d+(?:\.\d+)+")


@dataclass(frozen=True)
class Piece:
    """A piece of evidence for a control of the assessment: a text, or the s3:// address of an object."""

    control: str
    text: str = ""
    s3: str = ""

    @property
    def digest(self) -> str:
        """What tells it from others: the same text for the same control is the same piece."""
        return hashlib.sha256(f"{self.control}\n{self.text}\n{self.s3}".encode()).hexdigest()

    def as_evidence(self) -> dict[str, str]:
        """The piece as the API has it."""
        return {"s3ResourcePath": self.s3} if self.s3 else {"textResponse": self.text}


@dataclass(frozen=True)
class AssessedControl:
    """A control of an assessment: its set, its id (a UUID), its name, and whether evidence can be added to it."""

    set_id: str
    id: str
    name: str
    active: bool


@dataclass
class Outcome:
    """What came of sending: how many were sent now, had been before, wait for another day, are unsure or refused."""

    sent: int = 0
    before: int = 0
    waiting: int = 0
    unsure: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def normal(control: str) -> str:
    """A control's id in one spelling: `sc-7.5`, `SC-07(05)` and `SC-7(5)` are one."""
    text = control.strip().upper()
    found = re.fullmatch(r"([A-Z]{2})-0*(\d+)(?:[.(]0*(\d+)\)?)?", text)
    if found is None:
        return text
    return f"{found[1]}-{found[2]}" + (f"({found[3]})" if found[3] else "")


def controls_in(assessment: Mapping[str, Any], only: str = "") -> tuple[AssessedControl, ...]:
    """The controls of a `GetAssessment` reply, of the control set `only` alone when that is given.

    Raises SetupError when the assessment has no such set.
    """
    sets: Sequence[Mapping[str, Any]] = assessment.get("framework", {}).get("controlSets") or ()
    if only and all(one.get("id") != only for one in sets):
        names = ", ".join(repr(one.get("id")) for one in sets) or "none"
        raise SetupError(f"the assessment has no control set {only!r}", f"There are: {names}.")
    return tuple(
        AssessedControl(str(one["id"]), str(raw["id"]), str(raw.get("name", "")), raw.get("status") != "INACTIVE")
        for one in sets
        if not only or one.get("id") == only
        for raw in one.get("controls") or ()
    )


def named(controls: Sequence[AssessedControl], identity: str) -> list[str]:
    """The ids of those controls whose name holds the control `identity` (`SC-7`) as a word of its own."""
    wanted = normal(identity)
    return [one.id for one in controls if wanted in {normal(word) for word in _TOKEN.findall(one.name)}]


class Record:
    """What was sent to an assessment, kept in a file beside the run: one JSON object a line, on disk before the call.

    A piece that was being sent when the program died is unsure: AWS does not say whether it has it.
    """

    def __init__(self, path: Path, assessment: str) -> None:
        self.path = path
        self._assessment = assessment
        self._state: dict[str, str] = {}
        self._when: list[tuple[str, datetime]] = []
        for line in self._lines():
            self._take(line)

    def state(self, piece: Piece) -> str:
        """`sent`, `sending` (unsure), `refused`, or empty for a piece that was never tried."""
        return self._state.get(piece.digest, "")

    def lately(self, control: str, now: datetime) -> int:
        """How many pieces were, or may have been, sent for the control within a day before `now`."""
        return sum(1 for one, at in self._when if one == control and now - at < _DAY)

    def write(self, state: str, pieces: Sequence[Piece], now: datetime) -> None:
        """Put the pieces' new state on the disk; raises SetupError when it cannot be kept."""
        lines = [
            {"assessment": self._assessment, "control": one.control, "digest": one.digest, "state": state}
            | {"at": now.isoformat(timespec="seconds")}
            for one in pieces
        ]
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write("".join(json.dumps(line) + "\n" for line in lines))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SetupError(
                f"{self.path}: the record of what was sent cannot be kept: {error.strerror}",
                "Nothing more was sent. Make room, then run the command again.",
            ) from error
        for line in lines:
            self._take(line)

    def _take(self, line: Mapping[str, str]) -> None:
        if line["assessment"] == self._assessment:
            self._state[line["digest"]] = line["state"]
            if line["state"] == "sending":
                self._when.append((line["control"], datetime.fromisoformat(line["at"])))

    def _lines(self) -> Iterator[Mapping[str, str]]:
        if not self.path.exists():
            return
        for number, text in enumerate(self.path.read_text(encoding="utf-8").splitlines(), 1):
            try:
                line = json.loads(text)
                datetime.fromisoformat(line["at"])
                _ = line["assessment"], line["control"], line["digest"], line["state"]
            except (ValueError, KeyError, TypeError) as error:
                raise SetupError(
                    f"{self.path}:{number}: the record of what was sent cannot be read",
                    "Mend or remove the line: without it a piece might be sent twice.",
                ) from error
            yield line


def checked(piece: Piece) -> Piece:
    """The piece, when the service can take it; raises SetupError for a text or an address that it cannot."""
    if piece.s3 and (len(piece.s3) > 1024 or not _S3.fullmatch(piece.s3)):
        raise SetupError(f"{piece.s3}: Audit Manager takes no such address", "Use letters, digits and - . _ / in it.")
    if not piece.s3 and not 1 <= len(piece.text) <= TEXT_LIMIT:
        raise SetupError(f"a text of {len(piece.text)} characters: Audit Manager takes 1 to {TEXT_LIMIT}")
    return piece


@dataclass(frozen=True)
class Sender:
    """Sends to one assessment: `client` is botocore's of auditmanager, without retries (a retry might send twice)."""

    client: Any
    assessment: str
    record: Record
    now: Callable[[], datetime]
    unsure_too: bool = False  # send again what may have been sent

    def send(self, controls: Sequence[AssessedControl], pieces: Sequence[Piece]) -> Outcome:
        """Send what was not sent yet, control by control, at most DAILY_LIMIT a day for each; returns what came of it.

        Raises IslandingError with AWS's message when a call fails; what was taken before it is on record, and what was
        in that call is unsure only when nobody knows whether AWS has it.
        """
        outcome = Outcome()
        for control in controls:
            mine = list(dict.fromkeys(checked(piece) for piece in pieces if piece.control == control.id))
            if mine and not control.active:
                outcome.refused.append(f"{control.name}: the control is inactive")
                continue
            todo = [piece for piece in mine if self._is_open(piece, control, outcome)]
            free = max(0, DAILY_LIMIT - self.record.lately(control.id, self.now()))
            outcome.waiting += max(0, len(todo) - free)
            for at in range(0, min(free, len(todo)), BATCH):
                self._batch(control, todo[at : min(at + BATCH, free)], outcome)
        return outcome

    def _is_open(self, piece: Piece, control: AssessedControl, outcome: Outcome) -> bool:
        state = self.record.state(piece)
        if state == "sent":
            outcome.before += 1
        elif state == "sending" and not self.unsure_too:
            outcome.unsure.append(control.name)
        else:
            return True
        return False

    def _batch(self, control: AssessedControl, pieces: list[Piece], outcome: Outcome) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        self.record.write("sending", pieces, self.now())
        try:
            reply = self.client.batch_import_evidence_to_assessment_control(
                assessmentId=self.assessment,
                controlSetId=control.set_id,
                controlId=control.id,
                manualEvidence=[piece.as_evidence() for piece in pieces],
            )
        except ClientError as error:  # AWS answered: it has none of them, unless it failed itself
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500) < 500:
                self.record.write("refused", pieces, self.now())
            raise IslandingError(f"{control.name}: Audit Manager refused the evidence: {error}") from error
        except BotoCoreError as error:
            what = f"{control.name}: Audit Manager was not reached, or did not answer: {error}"
            raise IslandingError(
                what, "Whether it has the evidence is not known: look, then see --resend-unsure."
            ) from error
        errors = list(reply.get("errors") or ())
        wrong = [one.get("manualEvidence") for one in errors]
        good = [piece for piece in pieces if piece.as_evidence() not in wrong]
        self.record.write("refused", [piece for piece in pieces if piece not in good], self.now())
        self.record.write("sent", good, self.now())
        outcome.sent += len(good)
        outcome.refused += [
            f"{control.name}: {one.get('errorCode', '')} {one.get('errorMessage', '')}".rstrip() for one in errors
        ]
