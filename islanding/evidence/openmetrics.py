"""A run's verdicts, counts and durations as metrics: OpenMetrics text, as node_exporter's textfile collector reads it.

Every family is a gauge without a timestamp: the textfile collector parses the older Prometheus format, which knows no
`info` and no `stateset`, and refuses times given by the client (github.com/prometheus/node_exporter, README, "Textfile
Collector"). So both parsers read the same bytes.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.exposition import generate_latest

from islanding.evidence.clean import clean
from islanding.evidence.record import RunResult
from islanding.model import Verdict

_OF_CASES = (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.SKIPPED)


def render_metrics(result: RunResult) -> bytes:
    """The metrics of one run, from its journal alone."""
    registry = CollectorRegistry()
    add_run(registry, result)
    return text_of(registry)


def text_of(registry: CollectorRegistry) -> bytes:
    """What was put into `registry` as text, ended by `# EOF`."""
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]  # the library gives this one no types
    return text


def add_run(registry: CollectorRegistry, result: RunResult) -> None:
    """Put the metrics of a run into `registry`."""
    info = gauge(
        registry, "islanding_run_info", "The run that the other metrics are about.", "run", "target", "revision"
    )
    info.labels(clean(result.run), clean(result.target), clean(result.revision)).set(1)
    verdict = gauge(registry, "islanding_run_verdict", "1 for the verdict of the run, 0 for the others.", "verdict")
    for each in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE):
        verdict.labels(each.value).set(each is result.verdict)
    gauge(registry, "islanding_run_exit_code", "Exit code of the run.").set(result.exit_code)
    gauge(registry, "islanding_run_complete", "1 when the journal is whole and says that the run ended.").set(
        result.complete
    )
    for name, wall, what in (("start", result.started_wall, "began"), ("end", result.ended_wall, "ended")):
        since = timestamp(wall)
        if since is not None:
            gauge(registry, f"islanding_run_{name}_timestamp_seconds", f"When the run {what}, Unix time.").set(since)
    gauge(registry, "islanding_run_duration_seconds", "How long the run took.").set(result.seconds)
    _sites(registry, result)
    _rows(registry, result)


def _sites(registry: CollectorRegistry, result: RunResult) -> None:
    cases = gauge(registry, "islanding_cases", "Cases of the run at a site by verdict.", "site", "verdict")
    ready = gauge(registry, "islanding_site_ready_seconds", "Seconds until the site could be used.", "site")
    took = gauge(registry, "islanding_case_duration_seconds", "How long a case took.", "site", "case")
    for name, site in result.sites.items():
        if not site.cases and name not in result.site_names:
            continue  # events that name no site
        counts = Counter(case.verdict for case in site.cases)
        for verdict in _OF_CASES:
            cases.labels(clean(name), verdict.value).set(counts[verdict])
        if site.ready_after is not None:
            ready.labels(clean(name)).set(site.ready_after)
        for case in site.cases:
            took.labels(clean(name), clean(case.id)).set(case.seconds)


def _rows(registry: CollectorRegistry, result: RunResult) -> None:
    rows = gauge(
        registry,
        "islanding_requirement_verdict",
        "1 for the verdict of a requirement row in the run, 0 for the others.",
        "requirement",
        "verdict",
    )
    for row in result.rows:
        for verdict in Verdict:
            rows.labels(row.requirement.id, verdict.value).set(verdict is row.verdict)


def gauge(registry: CollectorRegistry, name: str, text: str, *labels: str) -> Gauge:
    """A new gauge in `registry`."""
    return Gauge(name, text, labels, registry=registry)


def timestamp(wall: str) -> float | None:
    """A wall-clock time (ISO 8601) as Unix seconds; None for a text that is none."""
    try:
        return datetime.fromisoformat(wall).timestamp()
    except ValueError:
        return None
