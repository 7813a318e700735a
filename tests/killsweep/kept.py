"""Results of a sweep as they come, a line each in a file: a sweep of a thousand goes on where it was broken off."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.errors import SetupError
from tests.killsweep.strikes import Strike, Victim


@dataclass(frozen=True)
class Result:
    """What became of one run. `healed` is seconds from the runner's death until nothing was open, by the watchdog."""

    number: int
    action: str  # the fault, without what is another in each lab
    victim: Victim
    signal: str
    share: float
    ended: str  # how the runner ended
    was_open: bool  # whether it left a fault behind
    healed: float | None
    differences: list[str]

    @classmethod
    def of(cls, strike: Strike, *, ended: str, was_open: bool, healed: float | None, differences: list[str]) -> Result:
        """The result of a strike."""
        return cls(
            strike.number, strike.choice.name, strike.victim, strike.signal.name, strike.share,
            ended, was_open, healed, differences,
        )  # fmt: skip

    def __str__(self) -> str:
        return f"{self.action}: {self.victim} {self.signal} at {self.share:.2f}"


@dataclass
class Kept:
    """The file of a sweep: what it is a sweep of, its sittings, and its results."""

    path: Path
    head: dict[str, Any]  # seed and site
    sittings: list[dict[str, Any]]  # date, revision, machine of each
    results: list[Result]

    @classmethod
    def open(cls, path: Path, seed: int | None, site: str) -> Kept:
        """The sweep in a file, or a new one; raises SetupError for a file of another sweep, or of something else."""
        if not path.exists():
            made = cls(path, {"seed": seed, "site": site}, [], [])
            made._add({"sweep": made.head})
            return made
        found = cls(path, {}, [], [])
        try:
            for line in path.read_text().splitlines():
                found._take(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise SetupError(f"{path} holds no results of a sweep: {error}", "name another file") from error
        if found.head.get("site") != site or seed not in (None, found.head["seed"]):
            raise SetupError(
                f"{path} is of another sweep: site {found.head.get('site')}, seed {found.head.get('seed')}",
                "name another file, or the same site and seed",
            )
        return found

    @property
    def seed(self) -> int:
        """From which the strikes are drawn."""
        return int(self.head["seed"])

    def sit(self, **what: Any) -> None:
        """Begin a sitting."""
        self.sittings.append(what)
        self._add({"sitting": what})

    def add(self, result: Result) -> None:
        """Keep a result."""
        self.results.append(result)
        self._add({"result": vars(result)})

    def _add(self, line: dict[str, Any]) -> None:
        with self.path.open("a") as out:
            out.write(json.dumps(line) + "\n")

    def _take(self, line: dict[str, Any]) -> None:
        if "sweep" in line:
            self.head = line["sweep"]
        elif "sitting" in line:
            self.sittings.append(line["sitting"])
        else:
            raw = line["result"]
            signal.Signals[raw["signal"]]  # a name that is none says that the file is not ours
            self.results.append(Result(**{**raw, "victim": Victim(raw["victim"])}))
