"""Flow counters: what is counted for which endpoint, and that the node is left as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.probes import make
from islanding.probes.flow_counters import Count, FlowCounters, addresses_of, parse_counts, rules
from tests.unit.region_support import REGION
from tests.unit.test_faults.network import Network, closed_network

NFT = """#!/bin/sh
here=$(dirname "$0")
if [ "$1" = -j ]; then [ -e "$here/table" ] && cat "$here/counters" || { echo "No such file" >&2; exit 1; }; exit; fi
text=$(cat); case $text in *counter*) echo "$text" >"$here/table";; *) rm -f "$here/table";; esac
"""
ENDPOINTS = ("ecr.api=10.0.0.5,10.0.1.5", "s3=52.219.0.0/24")


def counters(**counts: tuple[int, int]) -> str:
    """nft's JSON with these counters."""
    listed = [{"counter": {"name": name, "packets": p, "bytes": b}} for name, (p, b) in counts.items()]
    return json.dumps({"nftables": [{"metainfo": {}}, *listed]})


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A closed network in a Region of its own."""
    with closed_network(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def node(tmp_path: Path) -> FlowCounters:
    """Counters at a node whose nft keeps one table."""
    (tmp_path / "nft").write_text(NFT)
    (tmp_path / "nft").chmod(0o755)
    said = counters(ecr_api_to=(3, 300), ecr_api_from=(2, 900), s3_to=(0, 0), s3_from=(0, 0))
    (tmp_path / "counters").write_text(said)
    (tmp_path / "id").write_text("#!/bin/sh\necho 0\n")
    (tmp_path / "id").chmod(0o755)
    made = make("flow-counters", endpoints=ENDPOINTS, at="w1", enter=("env", f"PATH={tmp_path}:/usr/bin:/bin"))
    assert isinstance(made, FlowCounters)
    return made


def test_counts_are_read_while_the_block_lasts_and_nothing_stays(node: FlowCounters, tmp_path: Path) -> None:
    """The table is there inside and gone after, also when the block fails."""
    with node.counting() as read:
        there, counts = (tmp_path / "table").exists(), read()
    after = (tmp_path / "table").exists()
    with pytest.raises(RuntimeError), node.counting():
        raise RuntimeError

    assert (there, after, (tmp_path / "table").exists()) == (True, False, False)
    assert counts == {"ecr.api": Count(3, 300, 2, 900), "s3": Count()}


def test_a_watch_sees_the_counts(node: FlowCounters) -> None:
    """Each tick is COUNTED with the sums; a table that somebody took away is not."""
    with node.session() as look:
        seen = look()
    gone = look()

    assert node.recognise(seen).name == "COUNTED"
    assert seen.text == "ecr.api 3 packets 300 bytes to, 2 packets 900 from; s3 0 packets 0 bytes to, 0 packets 0 from"
    assert node.recognise(gone).name == "UNKNOWN"


def test_rules_count_both_ways_and_drop_nothing() -> None:
    """Every endpoint has a counter each way, and every chain accepts."""
    text = rules("t", {"ecr.api": ("10.0.0.5/32",), "s3": ("52.219.0.0/24",)})

    assert 'ip daddr { 10.0.0.5/32 } counter name "ecr_api_to"' in text
    assert 'ip saddr { 52.219.0.0/24 } counter name "s3_from"' in text
    assert (text.count("policy accept"), "drop" in text) == (2, False)
    assert text.startswith("add table inet t\ndelete table inet t\ntable inet t {")


def test_odd_answers_and_odd_endpoints_are_refused() -> None:
    """What is no counter, and what is no address, is told."""
    with pytest.raises(SetupError, match="cannot be read"):
        parse_counts(counters(ecr_api_to=(1, 2)), {"ecr.api": ()})
    with pytest.raises(SetupError, match="write NAME=ADDRESS"):
        make("flow-counters", endpoints=("s3=here",))
    with pytest.raises(SetupError, match="no endpoints"):
        make("flow-counters", endpoints=())


def test_addresses_come_from_aws_state(network: Network) -> None:
    """An interface endpoint's are its interfaces' own, a gateway endpoint's those of its prefix list."""
    interface, gateway = addresses_of(network.site, ("ecr.api", "s3"))
    ec2 = network.client()
    ids = ec2.describe_vpc_endpoints(VpcEndpointIds=[network.ids["ecr.api"]])["VpcEndpoints"][0]["NetworkInterfaceIds"]
    own = [
        one["PrivateIpAddress"] for one in ec2.describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
    ]
    lists = ec2.describe_managed_prefix_lists()["PrefixLists"]
    id = next(one["PrefixListId"] for one in lists if one["PrefixListName"] == f"com.amazonaws.{REGION}.s3")
    cidrs = [one["Cidr"] for one in ec2.get_managed_prefix_list_entries(PrefixListId=id)["Entries"]]

    assert (interface, gateway) == (f"ecr.api={','.join(own)}", f"s3={','.join(cidrs)}")
    with pytest.raises(SetupError, match="has no available endpoint for sts"):
        addresses_of(network.site, ("sts",))
