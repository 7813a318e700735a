"""Cases whose verdict flips although nothing that they ran on was changed.

The rule: runs of one case are put together when target, site and settings, parts, their hashes, host and revision are
all the same; code that was changed since its revision is like no other, unless the hash of its files is known. A case
is flaky when such a group has a pass and also a fail or an inconclusive. `flips` counts the changes from one run to the
next between passed and not passed; the share of runs that did not pass is given with its 95 % Wilson interval, since a
group is often small. Skipped runs say nothing and are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

from islanding.history.database import Database

RULE = (
    "A case is flaky when runs of it passed and did not pass although target, site, settings, parts, hashes, host and "
    "revision were the same. Left out: skipped runs, and runs of changed code (+changes) whose hash is not known. "
    "Interval: Wilson score, 95 %."
)
_Z = 1.959964  # of the normal distribution, for 95 %


@dataclass(frozen=True)
class Flake:
    """A flaky case: its runs on one set-up, how many did not pass, and how often the verdict flipped in a row."""

    site: str
    case: str
    runs: int
    failed: int
    inconclusive: int
    flips: int
    low: float  # of the share of runs that did not pass: Wilson interval, 0 to 1
    high: float
    first: str  # start of the first and the last such run, UTC in ISO 8601
    last: str

    @property
    def share(self) -> float:
        """The share of runs that did not pass."""
        return (self.failed + self.inconclusive) / self.runs


def wilson(hits: int, runs: int, z: float = _Z) -> tuple[float, float]:
    """The Wilson score interval of `hits` in `runs` (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927); (0, 1) of none."""
    if runs == 0:
        return 0.0, 1.0
    share = hits / runs
    middle = (share + z * z / (2 * runs)) / (1 + z * z / runs)
    half = z * math.sqrt(share * (1 - share) / runs + z * z / (4 * runs * runs)) / (1 + z * z / runs)
    return max(0.0, middle - half), min(1.0, middle + half)


def flakes(database: Database, *, site: str = "", since: str = "") -> list[Flake]:
    """The flaky cases, those that flip most first; of `site` alone, of runs from `since` (ISO 8601) on alone."""
    suspects = (
        "SELECT DISTINCT c.subject_id, c.setup_id, s.site, s.case_name"
        " FROM cases c JOIN subjects s ON s.id = c.subject_id"
        " WHERE c.verdict IN ('fail', 'inconclusive') AND (? = '' OR s.site = ?)"
    )
    of_one = (
        "SELECT started, verdict FROM cases WHERE subject_id = ? AND setup_id = ? AND verdict <> 'skipped'"
        " AND started >= ? ORDER BY started, run_id, attempt"
    )
    found = []
    with database.reading() as connection:
        for subject, setup, at, case in connection.execute(suspects, (site, site)).fetchall():
            rows = connection.execute(of_one, (subject, setup, since)).fetchall()
            verdicts = [verdict for _, verdict in rows]
            passed = [verdict == "pass" for verdict in verdicts]
            if all(passed) or not any(passed):
                continue
            low, high = wilson(passed.count(False), len(passed))
            found.append(
                Flake(
                    site=at,
                    case=case,
                    runs=len(rows),
                    failed=verdicts.count("fail"),
                    inconclusive=verdicts.count("inconclusive"),
                    flips=sum(a != b for a, b in pairwise(passed)),
                    low=low,
                    high=high,
                    first=rows[0][0],
                    last=rows[-1][0],
                )
            )
    return sorted(found, key=lambda flake: (-flake.flips, -flake.share, flake.site, flake.case))
