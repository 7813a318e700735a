"""CloudWatch metrics of the Outpost, fed from the real state of its links, and statistics as CloudWatch computes them.

Names, dimensions and values: "CloudWatch metrics for Outposts racks", AWS Outposts user guide. AWS publishes
ConnectedStatus once a minute and the VIF metrics every five; the lab publishes at the interval that it is given.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.metric_data_expression_parser import parse_expression
from moto.cloudwatch.models import CloudWatchBackend, MetricDatumBase, Statistics, cloudwatch_backends

NAMESPACE = "AWS/Outposts"
ESTABLISHED = 6  # BGP states as CloudWatch numbers them: 1 Idle, 2 Connect, 3 Active, 4 OpenSent, 5 OpenConfirm
KEPT = timedelta(hours=6)  # older data points are dropped, so that a long-lived lab does not grow


@dataclass(frozen=True)
class LinkState:
    """The Outpost's links at one moment.

    `connected`: the service link carries traffic to the Region. `vifs`: BGP state (1 to 6) by virtual interface id.
    `groups`: virtual interface group id of each local gateway VIF; a VIF without one belongs to the service link.
    """

    connected: bool
    vifs: Mapping[str, int] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


def data_of(state: LinkState, outpost_id: str, at: datetime) -> list[dict[str, Any]]:
    """The data points that CloudWatch gets for `state` at time `at`, as PutMetricData takes them.

    VIF metrics are there twice, with the dimension OutpostId and with the older OutpostsId, as the user guide says
    ("Monitoring local gateway connectivity").
    """
    stamp = at.astimezone(UTC).replace(tzinfo=None)
    data = [_datum("ConnectedStatus", float(state.connected), [("OutpostId", outpost_id)], stamp)]
    for vif, number in state.vifs.items():
        if not 1 <= number <= ESTABLISHED:
            raise ValueError(f"BGP state of {vif} is {number}, not 1 to 6")
        group = [("VirtualInterfaceGroupId", state.groups[vif])] if vif in state.groups else []
        for name in ("OutpostId", "OutpostsId"):
            dimensions = [(name, outpost_id), *group, ("VirtualInterfaceId", vif)]
            data.append(_datum("VifConnectionStatus", float(number == ESTABLISHED), dimensions, stamp))
            data.append(_datum("VifBgpSessionState", float(number), dimensions, stamp))
    return data


def _datum(name: str, value: float, dimensions: Iterable[tuple[str, str]], stamp: datetime) -> dict[str, Any]:
    pairs = [{"Name": key, "Value": val} for key, val in dimensions]
    return {"MetricName": name, "Value": value, "Dimensions": pairs, "Timestamp": stamp, "Unit": "Count"}


class Feed:
    """Puts the Outpost's metrics into CloudWatch every `interval` seconds, from `read()`, in a thread of its own.

    What `read` raises goes to `on_error` and leaves a gap in the metric, as a lost sample does.
    """

    def __init__(
        self,
        account: str,
        region: str,
        outpost_id: str,
        read: Callable[[], LinkState],
        interval: float,
        on_error: Callable[[str], None],
    ) -> None:
        self._backend = lab_backend(account, region)
        self._outpost_id = outpost_id
        self._read = read
        self._interval = interval
        self._on_error = on_error
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outpost-metrics", daemon=True)

    def start(self) -> Feed:
        """Begin to publish; returns itself."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop publishing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def publish(self) -> None:
        """Read the state once and publish it."""
        now = datetime.now(UTC)
        self._backend.put_metric_data(NAMESPACE, data_of(self._read(), self._outpost_id, now))
        self._backend.forget(now - KEPT)

    def _run(self) -> None:
        failing = ""
        while True:
            try:
                self.publish()
                failing = ""
            except Exception as error:  # the reader is the lab's: its failure must show, not end the metric
                told, failing = failing, f"{type(error).__name__}: {error}"
                if told != failing:
                    self._on_error(f"metrics of {self._outpost_id}: {failing}")
            if self._stop.wait(self._interval):
                return


def lab_backend(account: str, region: str) -> LabCloudWatch:
    """The CloudWatch backend of that account and Region, replaced by ours on first use."""
    backend = cloudwatch_backends[account][region]
    if not isinstance(backend, LabCloudWatch):
        backend = LabCloudWatch(region, account)
        cloudwatch_backends[account][region] = backend
    return backend


class LabCloudWatch(CloudWatchBackend):
    """moto's CloudWatch with AWS's rules for statistics.

    A metric is named by its exact set of dimensions (moto takes any metric that has those asked for), and data points
    stand at whole periods of the clock (moto counts periods from the first sample).
    """

    def forget(self, before: datetime) -> None:
        """Drop the data points older than `before`."""
        limit = before.astimezone(UTC).replace(tzinfo=None)
        data = self.metric_data
        keep = next((index for index, datum in enumerate(data) if datum.timestamp >= limit), len(data))
        if keep:
            del data[:keep]  # in place and by prefix: another thread may be reading or appending

    def get_metric_statistics(  # noqa: PLR0917  # as the class above has it
        self,
        namespace: str,
        metric_name: str,
        start_time: datetime,
        end_time: datetime,
        period: int,
        stats: list[str],
        dimensions: list[dict[str, str]],
        unit: str | None = None,
    ) -> list[Statistics]:
        """Statistics of one metric for each period that has data, oldest first."""
        if start_time >= end_time:
            raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
        return self._aggregate(namespace, metric_name, dimensions, start_time, end_time, period, stats, unit)

    def get_metric_data(
        self,
        queries: list[dict[str, Any]],
        start_time: datetime,
        end_time: datetime,
        scan_by: str = "TimestampAscending",
    ) -> list[dict[str, Any]]:
        """Results of metric queries and of expressions over them; SELECT queries are left to moto."""
        if any(str(query.get("Expression", "")).startswith("SELECT") for query in queries):
            return super().get_metric_data(queries, start_time, end_time, scan_by)
        results: dict[str, dict[str, Any]] = {}
        for query in sorted(queries, key=lambda q: "Expression" in q):
            if "MetricStat" in query:
                stat, metric = query["MetricStat"], query["MetricStat"]["Metric"]
                found = self._aggregate(
                    metric["Namespace"],
                    metric["MetricName"],
                    metric.get("Dimensions", []),
                    start_time,
                    end_time,
                    int(stat["Period"]),
                    [stat["Stat"]],
                    stat.get("Unit"),
                )
                values: list[Any] = [each.get_statistics_for_type(stat["Stat"]) for each in found]
                stamps: list[datetime] = [each.timestamp for each in found]
                label = query.get("Label") or metric["MetricName"]
            elif query["Expression"] not in results:  # moto would answer with no values at all
                raise NotImplementedError(f"metric math: {query['Expression']}")
            else:
                values, stamps = parse_expression(query["Expression"], list(results.values()))
                label = query.get("Label") or query["Id"]
            results[query["Id"]] = {
                "id": query["Id"],
                "label": label,
                "values": list(values),
                "timestamps": list(stamps),
                "status_code": "Complete",
            }
        wanted = [results[query["Id"]] for query in queries if query.get("ReturnData", True)]
        if scan_by == "TimestampDescending":
            return [{**r, "values": r["values"][::-1], "timestamps": r["timestamps"][::-1]} for r in wanted]
        return wanted

    def _aggregate(  # noqa: PLR0917  # what CloudWatch takes
        self,
        namespace: str,
        name: str,
        dimensions: Sequence[Mapping[str, str]],
        start: datetime,
        end: datetime,
        period: int,
        stats: list[str],
        unit: str | None,
    ) -> list[Statistics]:
        wanted = {(dimension["Name"], dimension["Value"]) for dimension in dimensions}
        begin, finish = _whole(_naive(start), period), _naive(end)
        buckets: dict[datetime, Statistics] = {}
        for datum in self.get_all_metrics():
            if datum.name != name or datum.namespace != namespace or not begin <= datum.timestamp < finish:
                continue
            if {(d.name, d.value) for d in datum.dimensions} != wanted or (unit and datum.unit != unit):
                continue
            at = _whole(datum.timestamp, period)
            bucket = buckets.setdefault(at, Statistics(stats, at, datum.unit))
            bucket.metric_data.append(datum)
        return [buckets[at] for at in sorted(buckets)]

    def get_filtered_metrics(
        self, metric_name: str, namespace: str, dimensions: list[dict[str, str]]
    ) -> list[MetricDatumBase]:
        """One datum for each metric that matches (ListMetrics), in one pass over the data."""
        found: dict[tuple[Any, ...], MetricDatumBase] = {}
        for datum in self.get_all_metrics():
            key = (datum.namespace, datum.name, *sorted((str(d.name), str(d.value)) for d in datum.dimensions))
            if key not in found and datum.filter(namespace, metric_name, dimensions):
                found[key] = datum
        return list(found.values())


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def _whole(at: datetime, period: int) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    if period > 86400:
        midnight = datetime(1970, 1, 1)  # noqa: DTZ001  # moto keeps naive UTC
    return midnight + timedelta(seconds=(at - midnight).total_seconds() // period * period)
