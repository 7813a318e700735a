"""The report of a sweep, as Markdown."""

from __future__ import annotations

from collections import Counter, defaultdict
from statistics import median

from tests.killsweep.kept import Kept, Result
from tests.killsweep.strikes import Victim


def report(kept: Kept) -> str:
    """What a sweep came to: totals, a table by fault, a table by victim and signal, each difference word for word."""
    results = kept.results
    bad = [result for result in results if result.differences]
    early = sum(result.was_open and result.victim is Victim.RUNNER and result.healed is None for result in results)
    times = sorted(result.healed for result in results if result.healed is not None)
    lines = [
        "# Reliability",
        "",
        "Written by `make killsweep`. In each run an experiment is started on a running site and killed at a random",
        "instant: its runner, its watchdog, or both, by one of six signals. Then the watchdog puts things right, or",
        "`islanding heal` where it was killed too, and the account (by AWS's API), the kernel state of every network",
        "namespace of the lab, the routers' configuration and sessions, and the process table are compared with those",
        "before the first run.",
        "",
        f"- Site: {kept.head['site']}; seed {kept.seed}; {len(results)} runs",
        *(f"- Sitting: {one['date']}, revision {one['revision']}, {one['machine']}" for one in kept.sittings),
        f"- **Runs after which something was otherwise than before: {len(bad)}**",
        f"- Runs that left a fault behind for others to undo: {sum(result.was_open for result in results)}",
    ]
    if times:
        lines.append(
            f"- From a runner's death until the watchdog had healed what it left ({len(times)} runs):"
            f" median {median(times):.2f} s, at most {times[-1]:.2f} s"
        )
    if early:
        lines.append(
            f"- Runners that died with their fault on record, before they had a watchdog and so before they changed"
            f" anything: {early}"
        )
    lines += ["", "| fault | runs | left behind | differences | healed by the watchdog: median, most (s) |"]
    lines += ["|---|--:|--:|--:|---|"]
    by_fault: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_fault[result.action].append(result)
    for fault, some in sorted(by_fault.items()):
        healed = sorted(r.healed for r in some if r.healed is not None)
        took = f"{median(healed):.2f}, {healed[-1]:.2f}" if healed else "–"
        left, bad_ones = sum(r.was_open for r in some), sum(bool(r.differences) for r in some)
        lines.append(f"| {fault} | {len(some)} | {left} | {bad_ones} | {took} |")
    lines += ["", "| killed | signal | runs | runner ended | left behind |", "|---|---|--:|---|--:|"]
    kinds = Counter((r.victim, r.signal) for r in results)
    for (victim, name), count in sorted(kinds.items()):
        these = [r for r in results if r.victim is victim and r.signal == name]
        ends = ", ".join(f"{how} ({n})" for how, n in Counter(r.ended for r in these).most_common())
        lines.append(f"| {victim} | {name} | {count} | {ends} | {sum(r.was_open for r in these)} |")
    if bad:
        lines += ["", "## What was otherwise"]
        for result in bad:
            lines += ["", f"Run {result.number}, {result}; the runner ended {result.ended}:", "", "```"]
            lines += [*result.differences[:40], "```"]
    return "\n".join(lines) + "\n"
