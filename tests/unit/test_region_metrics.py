"""CloudWatch metrics of the Outpost, as boto3 and the AWS CLI read them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.region.metrics import LinkState, data_of
from islanding.lab.region.server import Region
from islanding.wait import wait_until
from tests.unit.region_support import REGION, connect, fresh_region

OP = "op-0123456789abcdef0"


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A Region of an account of its own."""
    yield from fresh_region(tmp_path)


def test_every_metric_of_the_user_guide_is_there() -> None:
    """ConnectedStatus by OutpostId; VIF metrics by both spellings, with the group for a local gateway's VIF."""
    state = LinkState(False, {"sl": 3, "lgw": 6}, {"lgw": "grp"})
    data = data_of(state, OP, datetime.now(UTC))
    said = {(d["MetricName"], tuple((x["Name"], x["Value"]) for x in d["Dimensions"])): d["Value"] for d in data}

    assert said == {
        ("ConnectedStatus", (("OutpostId", OP),)): 0.0,
        **{
            (metric, ((name, OP), *group, ("VirtualInterfaceId", vif))): value
            for name in ("OutpostId", "OutpostsId")
            for metric, vif, group, value in (
                ("VifBgpSessionState", "sl", (), 3.0),
                ("VifConnectionStatus", "sl", (), 0.0),
                ("VifBgpSessionState", "lgw", (("VirtualInterfaceGroupId", "grp"),), 6.0),
                ("VifConnectionStatus", "lgw", (("VirtualInterfaceGroupId", "grp"),), 1.0),
            )
        },
    }


@given(st.integers().filter(lambda n: not 1 <= n <= 6))
def test_a_state_that_bgp_does_not_know_is_refused(number: int) -> None:
    """Only 1 to 6 are BGP states."""
    with pytest.raises(ValueError, match="not 1 to 6"):
        data_of(LinkState(True, {"vif": number}), OP, datetime.now(UTC))


def test_a_cut_shows_as_an_average_below_one(region: Region) -> None:
    """A minute with samples of both kinds has an average below 1 and a minimum of 0."""
    now = [True]
    feed = region.feed(OP, lambda: LinkState(now[0], {"sl": 6 if now[0] else 3}), 3600)
    cloudwatch = connect(region, "cloudwatch")
    wait_until("first sample", lambda: cloudwatch.list_metrics(Namespace="AWS/Outposts")["Metrics"], timeout=5)
    now[0] = False
    feed.publish()
    window = {
        "StartTime": datetime.now(UTC) - timedelta(minutes=5),
        "EndTime": datetime.now(UTC) + timedelta(seconds=5),
    }
    dims = [{"Name": "OutpostId", "Value": OP}]
    outposts = {"Namespace": "AWS/Outposts"}
    points = cloudwatch.get_metric_statistics(
        **outposts,
        MetricName="ConnectedStatus",
        Dimensions=dims,
        Period=3600,
        Statistics=["Average", "Minimum", "Maximum"],
        **window,
    )["Datapoints"]
    partial = cloudwatch.get_metric_statistics(
        **outposts, MetricName="VifBgpSessionState", Dimensions=dims, Period=60, Statistics=["Minimum"], **window
    )["Datapoints"]
    vif = [{"Name": "OutpostsId", "Value": OP}, {"Name": "VirtualInterfaceId", "Value": "sl"}]
    metric = {**outposts, "MetricName": "VifBgpSessionState", "Dimensions": vif}
    queries = [
        {"Id": "m", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": "Minimum"}},
        {"Id": "e", "Expression": "m"},
    ]
    data = cloudwatch.get_metric_data(MetricDataQueries=queries, **window)["MetricDataResults"]

    assert sum(p["Average"] for p in points) / len(points) < 1
    assert min(p["Minimum"] for p in points) == 0
    assert all(p["Timestamp"].minute == 0 and p["Timestamp"].second == 0 for p in points)
    assert partial == []  # CloudWatch does not answer for a part of a metric's dimensions
    assert min(data[0]["Values"]) == 3


def test_each_metric_is_listed_once(region: Region) -> None:
    """Ten samples of one VIF are five metrics."""
    feed = region.feed(OP, lambda: LinkState(True, {"sl": 6}), 3600)
    for _ in range(10):
        feed.publish()
    cloudwatch = connect(region, "cloudwatch")

    assert len(cloudwatch.list_metrics(Namespace="AWS/Outposts")["Metrics"]) == 5


def test_old_points_are_forgotten(region: Region) -> None:
    """What is older than the limit is dropped, the rest stays."""
    from islanding.lab.region.metrics import NAMESPACE, lab_backend

    backend = lab_backend(region.account, REGION)
    now = datetime.now(UTC)
    for age in (10, 5, 1):
        backend.put_metric_data(NAMESPACE, data_of(LinkState(True), OP, now - timedelta(hours=age)))
    backend.forget(now - timedelta(hours=3))

    assert len(backend.metric_data) == 1
