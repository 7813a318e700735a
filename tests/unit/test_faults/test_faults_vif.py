"""The failover test of a Direct Connect virtual interface, by a client whose replies botocore checks with its model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.stub import Stubber

from islanding import faults
from islanding.aws import calls
from islanding.errors import IslandingError
from islanding.faults.apply import cut, site_file
from islanding.faults.heal import Outcome, heal
from islanding.model import AwsAccess, Site
from islanding.undo import State, UndoLog
from tests.unit.test_faults.bench import Bench

ID = "dxvif-ffabc123"


def interface(state: str, *statuses: str, id: str = ID) -> dict[str, Any]:
    """A virtual interface in that state, whose peers dxpeer-0, dxpeer-1, ... are up or down."""
    peers = [{"bgpPeerId": f"dxpeer-{n}", "bgpStatus": status} for n, status in enumerate(statuses)]
    return {"virtualInterfaceId": id, "virtualInterfaceState": state, "bgpPeers": peers}


class Account:
    """The stubbed API: what is expected to be called, in order, with the replies."""

    def __init__(self, bench: Bench, site: Site, stub: Stubber) -> None:
        self.bench, self.site, self._stub = bench, site, stub

    def allows_faults(self, id: str = ID) -> None:
        """The guardrails' look: the interface has the tag."""
        arn = f"arn:aws:directconnect:us-west-2:123456789012:dxvif/{id}"
        tags = [{"key": "islanding:faults", "value": "allowed"}]
        self._stub.add_response(
            "describe_tags", {"resourceTags": [{"resourceArn": arn, "tags": tags}]}, {"resourceArns": [arn]}
        )

    def describes(self, *interfaces: dict[str, Any], id: str = ID) -> None:
        asked = {"virtualInterfaceId": id} if id else {}
        self._stub.add_response("describe_virtual_interfaces", {"virtualInterfaces": list(interfaces)}, asked)

    def expects(self, operation: str, **asked: Any) -> None:
        self._stub.add_response(operation, {"virtualInterfaceTest": {"virtualInterfaceId": ID}}, asked)

    def refuses(self, operation: str, code: str) -> None:
        self._stub.add_client_error(operation, code)

    def done(self) -> None:
        self._stub.assert_no_pending_responses()


@pytest.fixture
def account(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """An account whose Direct Connect answers as told."""
    access = AwsAccess(region="us-west-2", account="123456789012", env={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    session = botocore.session.Session()
    session.set_credentials("nobody", "nothing")
    client = session.create_client("directconnect", region_name="us-west-2")
    sts = session.create_client("sts", region_name="us-west-2")
    monkeypatch.setattr(calls, "client", lambda _access, service: sts if service == "sts" else client)
    with Stubber(client) as stub, Stubber(sts) as who:
        who.add_response("get_caller_identity", {"Account": "123456789012"})
        yield Account(bench, bench.site.model_copy(update={"aws": access}), stub)


def test_the_test_is_started_seen_stopped_and_healed(account: Account) -> None:
    """All peers of the only interface go down; within its minutes the test is stopped, and all peers are up again."""
    account.describes(interface("available", "up", "up"), id="")
    account.allows_faults()
    account.expects("start_bgp_failover_test", virtualInterfaceId=ID, testDurationInMinutes=10)
    account.describes(interface("available", "up", "up"))
    account.describes(interface("testing", "down", "down"))
    account.expects("stop_bgp_failover_test", virtualInterfaceId=ID)
    account.describes(interface("testing", "down", "down"))
    account.describes(interface("available", "up", "down"))
    account.describes(interface("available", "up", "up"))
    with cut(account.site, faults.make("vif-failover-test"), account.bench.journal) as applied:
        pass

    account.done()
    assert applied.plan.target == f"{ID} (dxpeer-0, dxpeer-1)"
    assert faults.Plan.model_validate_json(applied.plan.model_dump_json()) == applied.plan


def test_a_test_of_one_peer_leaves_the_others(account: Account) -> None:
    """Named peers alone are taken down, and are what `is_applied` looks at."""
    fault = faults.make("vif-failover-test", virtual_interface_id=ID, bgp_peers=["dxpeer-1"], minutes=1)
    account.describes(interface("available", "up", "up"))
    plan = fault.plan(account.site)
    account.expects("start_bgp_failover_test", virtualInterfaceId=ID, testDurationInMinutes=1, bgpPeers=["dxpeer-1"])
    fault.apply(account.site, plan)
    account.describes(interface("testing", "up", "down"))
    account.describes(interface("testing", "up", "up"))
    seen = fault.is_applied(account.site, plan), fault.is_applied(account.site, plan)

    account.done()
    assert (seen[0].ok, seen[1].ok, seen[1].seen) == (True, False, "testing; up: dxpeer-1")


def test_a_test_that_has_ended_by_itself_is_undone(account: Account) -> None:
    """AWS refuses to stop what does not run; the interface decides whether all is well."""
    fault = faults.make("vif-failover-test", virtual_interface_id=ID)
    account.describes(interface("available", "up"))
    plan = fault.plan(account.site)
    account.refuses("stop_bgp_failover_test", "DirectConnectClientException")
    fault.undo(account.site, plan)
    account.describes(interface("available", "up"))
    healed = fault.is_healed(account.site, plan)
    account.refuses("stop_bgp_failover_test", "ThrottlingException")

    assert healed.ok
    with pytest.raises(IslandingError, match="ThrottlingException"):
        fault.undo(account.site, plan)


def test_a_killed_runs_test_is_stopped_from_the_record(account: Account) -> None:
    """The plan on disk is all that `heal` needs."""
    account.describes(interface("available", "up"))
    fault = faults.make("vif-failover-test", virtual_interface_id=ID)
    plan = fault.plan(account.site)
    file, params = site_file(account.site), {"virtual_interface_id": ID}
    account.site.save(file)
    log = UndoLog.for_site("lab-1")
    data = plan.model_dump(mode="json")
    log.planned(id=plan.id, kind=plan.kind, params=params, plan=data, site_id="lab-1", site_file=file, max_seconds=60)
    log.mark(plan.id, State.APPLIED)
    account.bench.orphan()
    account.expects("stop_bgp_failover_test", virtualInterfaceId=ID)
    account.describes(interface("available", "up"))
    account.describes(interface("available", "up"))
    healed = heal("lab-1")

    account.done()
    assert [one.outcome for one in healed] == [Outcome.HEALED], healed[0].text


@pytest.mark.parametrize(
    ("there", "params", "says"),
    [
        ([], {}, r"does not have one Direct Connect virtual interface in us-west-2\n.*; interfaces: none"),
        (
            [interface("available", "up"), interface("available", "up", id="dxvif-2")],
            {},
            r"give the parameter virtual_interface_id; interfaces: dxvif-ffabc123, dxvif-2",
        ),
        ([], {"virtual_interface_id": ID}, "there is no Direct Connect virtual interface dxvif-ffabc123"),
        ([interface("testing", "down")], {}, "is testing, not available\n.*islanding heal"),
        ([interface("available", "down")], {}, r"has no BGP peer .*that is up\n  up: none"),
        ([interface("available", "up", "down")], {"bgp_peers": ["dxpeer-1"]}, "no BGP peer dxpeer-1 that is up"),
    ],
)
def test_what_cannot_be_tested_is_named(
    account: Account, there: list[dict[str, Any]], params: dict[str, Any], says: str
) -> None:
    """Without an interface that is up there is nothing to cut, and nothing is called that changes anything."""
    account.describes(*there, id=params.get("virtual_interface_id", ""))
    with pytest.raises(faults.FaultError, match=says):
        faults.make("vif-failover-test", **params).plan(account.site)


@pytest.mark.parametrize("minutes", [0, -1, 4321])
def test_a_test_lasts_what_aws_allows(minutes: int) -> None:
    """Whole minutes, one at least and three days at most."""
    with pytest.raises(faults.FaultError, match="from 1 to 4320 whole minutes"):
        faults.make("vif-failover-test", minutes=minutes)
