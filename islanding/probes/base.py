"""What every probe is: a frozen description with an interval and a time limit, and one thin doing, `sample`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, NamedTuple, Self

from islanding.errors import SetupError
from islanding.outcomes import Outcome, recognise


class Reading(NamedTuple):
    """What one sample saw: exit code (0 worked, None stopped at the time limit) and the text word for word."""

    exit_code: int | None
    text: str


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Parameters that all probes share; times are in seconds.

    `name` labels the lane in timeline and report; `place` is the site's place at which it samples ("" = this machine);
    `overlap` is how many samples may be in flight at once: ticks that find them all busy are held back and counted.
    """

    kind: ClassVar[str] = ""

    name: str = ""
    place: str = ""
    interval: float = 1.0
    timeout: float = 5.0
    overlap: int = 1

    def __post_init__(self) -> None:
        if self.interval <= 0 or self.timeout <= 0 or self.overlap < 1:
            raise SetupError(
                f"{self.kind} probe {self.label!r}: interval {self.interval:g} s, timeout {self.timeout:g} s, "
                f"overlap {self.overlap}",
                "interval and timeout must be above 0 s, overlap at least 1",
            )

    @property
    def label(self) -> str:
        """The lane's name: as given, else what is probed."""
        return self.name or f"{self.kind} {self.target()}".strip()

    def target(self) -> str:
        """What is probed, in a few words, for the default name."""
        return ""

    def command(self) -> str:
        """What a person would type to see the same, for the report."""
        return self.target()

    def sample(self) -> Reading:
        """Look once; never raises for a failure of what is probed."""
        raise NotImplementedError

    def session(self) -> AbstractContextManager[Callable[[], Reading]]:
        """What a watch calls at each tick; a probe that keeps a connection from tick to tick keeps it here."""
        return nullcontext(self.sample)

    def recognise(self, reading: Reading) -> Outcome:
        """The named outcome of a reading."""
        return recognise(self.kind, reading.exit_code, reading.text)

    def to_json(self) -> dict[str, Any]:
        """The probe as JSON, to be made again by islanding.probes.load in another process."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The probe described by `data`; raises SetupError for a parameter that this kind does not have."""
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(data) - known - {"kind"})
        if unknown:
            raise SetupError(
                f"a {cls.kind} probe has no parameter {', '.join(map(repr, unknown))}",
                f"its parameters: {', '.join(sorted(known))}",
            )
        values: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in data.items() if key != "kind"
        }
        try:
            return cls(**values)
        except TypeError as missing:
            raise SetupError(f"{cls.kind} probe: {str(missing).removeprefix(f'{cls.__name__}.__init__() ')}") from None
