"""The service link as AWS tells it: CloudWatch's ConnectedStatus of the Outpost, read through boto3."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar

from islanding.probes.base import Probe, Reading

_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class ServiceLink(Probe):
    """The newest datapoint of AWS/Outposts ConnectedStatus (average over `period` s) of the last `window` s.

    On AWS the metric has one value a minute: it tells that the link was lost, and is too coarse to tell when
    (docs/facts.md 2). `env` are the variables with which boto3 finds endpoint and credentials.
    """

    kind: ClassVar[str] = "service-link"

    outpost_id: str
    region: str
    env: dict[str, str] = field(default_factory=dict)
    period: int = 60
    window: float = 300.0
    interval: float = 1.0
    timeout: float = 10.0

    def target(self) -> str:
        """What is probed."""
        return self.outpost_id

    def command(self) -> str:
        """What a person would type."""
        return (
            "aws cloudwatch get-metric-statistics --namespace AWS/Outposts --metric-name ConnectedStatus "
            f"--dimensions Name=OutpostId,Value={self.outpost_id} --statistics Average --period {self.period}"
        )

    def sample(self) -> Reading:
        """Ask CloudWatch once."""
        from botocore.exceptions import BotoCoreError, ClientError  # here: no other probe needs it, and it loads slowly

        now = datetime.now(UTC)
        try:
            answer = _client(self.region, self.timeout, tuple(sorted(self.env.items()))).get_metric_statistics(
                Namespace="AWS/Outposts",
                MetricName="ConnectedStatus",
                Dimensions=[{"Name": "OutpostId", "Value": self.outpost_id}],
                StartTime=now - timedelta(seconds=self.window),
                EndTime=now + timedelta(seconds=self.period),
                Period=self.period,
                Statistics=["Average"],
            )
        except (BotoCoreError, ClientError) as error:
            return Reading(1, f"{type(error).__name__}: {error}")
        return newest([dict(point) for point in answer["Datapoints"]], self.window)


@cache
def _client(region: str, timeout: float, env: tuple[tuple[str, str], ...]) -> Any:
    """A client for the life of the sampler: making one takes a third of a second of work."""
    import os

    import boto3
    from botocore.config import Config

    from islanding.aws import recording

    os.environ.update(env)  # the sampler is a process of its own, and botocore reads its environment
    # Throttled, or failed on AWS's side, a sample is taken again at once: neither says anything about the link.
    share = timeout / _ATTEMPTS
    retries: Any = {"mode": "standard", "total_max_attempts": _ATTEMPTS}
    patience = Config(connect_timeout=share, read_timeout=share, retries=retries)
    client = boto3.client("cloudwatch", region_name=region, config=patience)
    recording.attach(client.meta.events)
    return client


def newest(datapoints: list[dict[str, Any]], window: float) -> Reading:
    """The newest datapoint as text: `ConnectedStatus=1 at TIME`."""
    if not datapoints:
        return Reading(1, f"no datapoint of ConnectedStatus in the last {window:g} s")
    point = max(datapoints, key=lambda each: each["Timestamp"])
    return Reading(0, f"ConnectedStatus={point['Average']:g} at {point['Timestamp'].isoformat()}")
