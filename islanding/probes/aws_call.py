"""A call of the aws command at an instance, with the instance's own role: answered, refused, or no way there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

from islanding.errors import SetupError
from islanding.probes.at_place import AtPlace, said
from islanding.probes.base import Reading
from islanding.redact import REDACTED, redact

_SHOWN = 600  # characters of an answer
_SECRET = re.compile(r"token|secret|password|privatekey|keymaterial|plaintext|signature", re.IGNORECASE)
_ENDPOINT = re.compile(r'Could not connect to the endpoint URL: "([^"]+)"')
_LOOK_UP = 15.0  # seconds
# The aws command ends with 255, as ssh does when it fails itself: a mark tells whether the place was entered.
_ENTERED = "islanding: entered\n"
_MARKING = ("sh", "-c", f"printf '{_ENTERED.strip()}\\n' >&2; exec \"$@\"", "sh")


@dataclass(frozen=True, kw_only=True)
class AwsCall(AtPlace):
    """`aws ARGS` at the place; `wait` seconds for a connection and for each answer, `attempts` tries.

    What AWS answers is shown without secrets: tokens and keys are taken out by the names of their fields.
    """

    kind: ClassVar[str] = "aws-call"

    args: tuple[str, ...]
    region: str = ""
    wait: float = 5.0
    attempts: int = 1
    aws: str = "aws"
    interval: float = 10.0
    timeout: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.args) < 2:
            raise SetupError(
                f"aws-call probe: {' '.join(self.args) or 'nothing'} is no call", "for example: ec2 describe-instances"
            )

    def target(self) -> str:
        """What is probed."""
        return " ".join(self.args) + (f" at {self.at}" if self.at else "")

    def command(self) -> str:
        """What a person would type."""
        return self.shown_at(["aws", *self.args])

    def sample(self) -> Reading:
        """Call once."""
        wait = str(max(1, round(self.wait)))
        bounds = ["--cli-connect-timeout", wait, "--cli-read-timeout", wait, "--output", "json"]
        where = ["--region", self.region] if self.region else []
        env = {"AWS_MAX_ATTEMPTS": str(self.attempts), "AWS_METADATA_SERVICE_TIMEOUT": "2", "AWS_PAGER": ""}
        prefix = ["env", *(f"{key}={value}" for key, value in env.items())]
        done = self.do([*_MARKING, *prefix, self.aws, *self.args, *where, *bounds], self.timeout)
        if done.exit_code == 0:
            return Reading(0, scrubbed(done.stdout))
        text = redact(said(done)).replace(_ENTERED, "").strip()
        if _ENTERED not in done.stderr:
            return Reading(done.exit_code, f"{self.at or 'this machine'} cannot be entered: {text}")
        if unresolved := self._unresolved(text):
            text = f"{unresolved}\n{text}"
        return Reading(done.exit_code, text)

    def _unresolved(self, text: str) -> str:
        """botocore words a name that does not resolve like a refused connection: the name is looked up beside it."""
        found = _ENDPOINT.search(text)
        host = urlsplit(found[1]).hostname if found else None
        if not host:
            return ""
        done = self.do(["getent", "ahostsv4", host], _LOOK_UP)
        return f"resolve: {host} has no address at {self.at or 'this machine'}" if done.exit_code == 2 else ""


def scrubbed(text: str) -> str:
    """An answer without its secrets, short enough for a timeline: JSON by the names of its fields, any text by form."""
    try:
        answer = json.loads(text)
    except ValueError:
        return redact(text.strip())[:_SHOWN]
    return redact(json.dumps(_without_secrets(answer)))[:_SHOWN]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: REDACTED if isinstance(inner, str) and _SECRET.search(str(key)) else _without_secrets(inner)
            for key, inner in value.items()
        }
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value
