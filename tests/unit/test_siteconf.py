"""Reading site.yaml: a good file is understood, and every mistake of a bad one is named where it stands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from islanding import siteconf, stackconf, yamldoc
from islanding.errors import SetupError

GOOD = """\
name: outpost-local
description: Region and Outpost over BGP, control plane on the Outpost
region:
  name: ap-northeast-1
  zone: ap-northeast-1a
  account: "111122223333"
  vpc_cidr: 10.2.0.0/16
  region_subnet: 10.2.0.0/24
  services: 198.51.100.0/24
outpost:
  id: op-0abcdef0123456789
  name: rack-1
  subnet: 10.2.1.0/24
  service_link_cidr: 10.20.0.0/26
lan: {cidr: 192.168.10.0/24, gateway: 192.168.10.1}
routers:
  outpost-network-device: {asn: 65100}
  customer-network-device: {asn: 65000}
  region-edge: {asn: 64512}
bgp: {keepalive: 1, hold: 3}
cluster:
  name: outpost-local
  version: "1.36"
  control_plane: outpost
  service_cidr: 172.20.0.0/16
  pod_cidr: 10.42.0.0/16
  node_status: 4
  node_lease: 12
  node_grace: 16
  eviction: 10
instances:
  - {name: cp-1, role: control-plane, address: 10.2.1.11}
  - {name: worker-1, role: worker, address: 10.2.1.21, where: outpost}
  - {name: gateway, role: proxy, address: 10.2.0.5, where: region}
desks:
  - {name: operator, role: operator, address: 192.168.10.10}
  - {name: client, role: client, address: 192.168.10.20}
resolver: {address: 192.168.10.53}
workload: {name: web, replicas: 3, node_port: 30080, manifest: workload.yaml}
"""

Load = Callable[[str], siteconf.SiteConf]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write a site.yaml beside a workload.yaml and load it."""
    (tmp_path / "workload.yaml").write_text("")

    def write_and_load(content: str) -> siteconf.SiteConf:
        path = tmp_path / "site.yaml"
        path.write_text(content)
        return siteconf.load(path)

    return write_and_load


@pytest.fixture
def mistakes(load: Load, tmp_path: Path) -> Callable[..., list[str]]:
    """The mistakes that are found after replacing text in the good file, without the path."""

    def find(*changes: tuple[str, str]) -> list[str]:
        content = GOOD
        for old, new in changes:
            assert content.count(old) == 1, f"{old!r} is not in the good file exactly once"
            content = content.replace(old, new)
        with pytest.raises(SetupError) as raised:
            load(content)
        return [line.removeprefix(f"  {tmp_path}/site.yaml:") for line in raised.value.what.splitlines()[1:]]

    return find


def test_a_good_file_is_understood(load: Load) -> None:
    """Values arrive with their types, and defaults fill what may be left out."""
    conf = load(GOOD)

    assert conf.region.vpc_cidr == IPv4Network("10.2.0.0/16")
    assert conf.routers.region_edge.asn == 64512
    assert conf.instances[0] == siteconf.Instance(
        name="cp-1", role="control-plane", address=IPv4Address("10.2.1.11"), where="outpost"
    )
    assert conf.cluster.large_cluster_size_threshold == 50


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("replicas: 3", "replica: 3", "39: workload.replica: unknown key; did you mean 'replicas'? Allowed: name, replicas, node_port, manifest"),
        ("  zone: ap-northeast-1a\n", "", "3: region.zone: missing; it is required"),
        ("replicas: 3", 'replicas: "3"', "39: workload.replicas: '3' is not a whole number"),
        ("replicas: 3", "replicas: 0", "39: workload.replicas: 0 is out of range; it must be at least 1"),
        ("replicas: 3", "replicas: .inf", "39: workload.replicas: inf is not a whole number"),
        ("node_port: 30080", "node_port: 80", "39: workload.node_port: 80 is out of range; it must be at least 30000"),
        ("desks:\n", "desks: {}\nspare:\n", "35: desks: {} is not a list\n36: spare: unknown key; Allowed: name, description, region, outpost, lan, routers, bgp, cluster, instances, desks, resolver, workload, fault_seconds, templates, guardrails, lab"),
        ("control_plane: outpost", "control_plane: moon", "24: cluster.control_plane: 'moon' is not allowed; allowed: outpost or region"),
        ("role: proxy", "role: 7", "34: instances[2].role: 7 is not allowed; allowed: control-plane, worker or proxy"),
        ('version: "1.36"', "version: 1.36", '23: cluster.version: 1.36 is not a version in quotes such as "1.36"'),
        ('account: "111122223333"', "account: 111122223333", "6: region.account: 111122223333 is not an account id: 12 digits in quotes"),
        ("op-0abcdef0123456789", "op-1", "11: outpost.id: 'op-1' is not an Outpost id: op- and 17 hexadecimal digits"),
        ("gateway: 192.168.10.1}", "gateway: 42}", "15: lan.gateway: 42 is not an IPv4 address such as 10.2.1.11"),
        ("10.42.0.0/16", "10.42.0.1/16", "26: cluster.pod_cidr: '10.42.0.1/16' has host bits set; the range is 10.42.0.0/16"),
        ("10.42.0.0/16", "10.42.0.0", "26: cluster.pod_cidr: '10.42.0.0' is not an IPv4 range such as 10.2.1.0/24"),
        ("10.42.0.0/16", "10.42.0.0/24", "26: cluster.pod_cidr: 10.42.0.0/24: the prefix length must be from /8 to /22"),
        ("10.20.0.0/26", "10.2.9.0/26", "14: outpost.service_link_cidr: 10.2.9.0/26 overlaps region.vpc_cidr 10.2.0.0/16 (line 7)"),
        ("198.51.100.0/24", "198.51.100.0/27", "9: region.services: 198.51.100.0/27: the prefix length must be from /8 to /26"),
        ("198.51.100.0/24", "203.0.113.0/24", "9: region.services: 203.0.113.0/24 overlaps 203.0.113.0/24, which the service link's anchor in the Region has"),
        ("region_subnet: 10.2.0.0/24", "region_subnet: 10.2.0.4/30", "8: region.region_subnet: 10.2.0.4/30 must hold the VPC's resolver 10.2.0.2\n8: region.region_subnet: 10.2.0.4/30: the prefix length must be from /16 to /28\n34: instances[2].address: 10.2.0.5 is kept by AWS: the first 4 addresses of 10.2.0.4/30 and its last"),
        ("10.42.0.0/16", "172.20.0.0/20", "26: cluster.pod_cidr: 172.20.0.0/20 overlaps cluster.service_cidr 172.20.0.0/16 (line 25)"),
        ("region_subnet: 10.2.0.0/24", "region_subnet: 10.2.0.0/23", "13: outpost.subnet: 10.2.1.0/24 overlaps region.region_subnet 10.2.0.0/23 (line 8)"),
        ("region_subnet: 10.2.0.0/24", "region_subnet: 10.3.0.0/24", "8: region.region_subnet: 10.3.0.0/24 is outside region.vpc_cidr 10.2.0.0/16\n34: instances[2].address: 10.2.0.5 is outside region.region_subnet 10.3.0.0/24"),
        ("10.2.1.21", "10.2.3.21", "33: instances[1].address: 10.2.3.21 is outside outpost.subnet 10.2.1.0/24"),
        ("10.2.1.21", "10.2.1.3", "33: instances[1].address: 10.2.1.3 is kept by AWS: the first 4 addresses of 10.2.1.0/24 and its last"),
        ("10.2.1.21", "10.2.1.255", "33: instances[1].address: 10.2.1.255 is kept by AWS: the first 4 addresses of 10.2.1.0/24 and its last"),
        ("10.2.1.21", "10.2.1.11", "33: instances[1].address: 10.2.1.11 is taken by instances[0].address (line 32)"),
        ("192.168.10.53", "192.168.10.20", "38: resolver.address: 192.168.10.20 is taken by desks[1].address (line 37)"),
        ("192.168.10.53", "192.168.10.255", "38: resolver.address: 192.168.10.255 is the network or broadcast address of 192.168.10.0/24"),
        ("192.168.10.53", "192.168.11.53", "38: resolver.address: 192.168.11.53 is outside lan.cidr 192.168.10.0/24"),
        ("name: client", "name: gateway", "37: desks[1].name: 'gateway' is taken by instances[2] (line 34)"),
        ("name: cp-1", "name: Cp_1", "32: instances[0].name: 'Cp_1' is not a name of up to 13 lower-case letters, digits and hyphens"),
        ("asn: 64512", "asn: 0", "19: routers.region-edge.asn: 0 is out of range; it must be at least 1"),
        ("asn: 64512", "asn: 4294967295", "19: routers.region-edge.asn: 4294967295 is out of range; it must be at most 4294967294"),
        ("asn: 64512", "asn: 23456", "19: routers.region-edge.asn: 23456 is reserved (AS_TRANS, RFC 6793)"),
        ("asn: 64512", "asn: 65100", "19: routers.region-edge.asn: 65100 is taken by routers.outpost-network-device.asn (line 17)"),
        ("hold: 3", "hold: 2", "20: bgp.hold: 2 is out of range; it must be at least 3"),
        ("keepalive: 1", "keepalive: 3", "20: bgp.hold: 3 must be more than bgp.keepalive 3"),
        ("node_grace: 16", "node_grace: 12", "29: cluster.node_grace: 12 must be more than cluster.node_lease 12"),
        ("role: worker", "role: proxy", "31: instances: no instance has the role worker; at least one is needed"),
        ("role: operator", "role: client", "35: desks: no desk has the role operator; at least one is needed"),
        ("where: outpost", "where: region", "33: instances[1].address: 10.2.1.21 is outside region.region_subnet 10.2.0.0/24\n33: instances[1].where: 'region', but workers are on the Outpost"),
        ("control_plane: outpost", "control_plane: region", "32: instances[0].where: 'outpost', but cluster.control_plane says 'region'"),
        ("zone: ap-northeast-1a", "zone: eu-west-1a", "5: region.zone: 'eu-west-1a' is not a zone of region.name 'ap-northeast-1'"),
        ("manifest: workload.yaml", "manifest: work.yaml", "39: workload.manifest: no file 'work.yaml' beside site.yaml; there are: workload.yaml"),
        ("manifest: workload.yaml", "manifest: ../x.yaml", "39: workload.manifest: '../x.yaml' must name a file beside site.yaml"),
        ("resolver:", "lan: {}\nresolver:", "38: lan: given twice, first on line 15"),
        ("resolver:", "? [a]\n: 1\nresolver:", "38: a key must be a plain name"),
        ("lan: {cidr: 192.168.10.0/24, gateway: 192.168.10.1}", "lan: here", "15: lan: 'here' is not a mapping of keys to values"),
    ],
    ids=lambda value: str(value).replace("\n", " ")[:40],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(
    mistakes: Callable[..., list[str]], old: str, new: str, expected: str
) -> None:
    """A change makes these mistakes and no others."""
    assert "\n".join(mistakes((old, new))) == expected


def test_an_override_takes_the_place_of_the_files_value(load: Load, tmp_path: Path) -> None:
    """A run may ask for another setting of a site, whether the file has the key or not."""
    load(GOOD)
    overrides = {"cluster.large_cluster_size_threshold": 100000, "cluster.eviction": 300, "bgp.hold": 9}
    conf = siteconf.load(tmp_path / "site.yaml", overrides)

    assert (conf.cluster.large_cluster_size_threshold, conf.cluster.eviction, conf.bgp.hold) == (100000, 300, 9)


def test_an_override_is_checked_like_the_file(load: Load, tmp_path: Path) -> None:
    """A wrong value, an unknown key and a place that holds no keys are named together with the file's line."""
    load(GOOD)
    with pytest.raises(SetupError) as raised:
        siteconf.load(tmp_path / "site.yaml", {"bgp.hold": 2, "cluster.evict": 1, "name.first": "x"})

    keys = ", ".join(siteconf.ClusterConf.model_fields)
    assert [line.removeprefix(f"  {tmp_path}/site.yaml:") for line in raised.value.what.splitlines()[1:]] == [
        "1: name.first: cannot be set to 'x': there is no such key",
        "20: bgp.hold: 2 is out of range; it must be at least 3",
        f"21: cluster.evict: unknown key; Allowed: {keys}",
    ]


def test_all_mistakes_are_reported_at_once_in_order_of_lines(mistakes: Callable[..., list[str]]) -> None:
    """Mistakes of schema and of rules, from one end of the file to the other, come in one error."""
    found = mistakes(
        ("replicas: 3", "replicas: many"),
        ("10.20.0.0/26", "10.2.9.0/26"),
        ("asn: 65000", "asn: 65100"),
        ("lan: {", "lan: {colour: blue, "),
    )

    assert [line.split(": ")[1] for line in found] == [
        "outpost.service_link_cidr",
        "lan.colour",
        "routers.customer-network-device.asn",
        "workload.replicas",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "1: nothing is not a site"),
        ("- a\n", "1: ['a'] is not a site"),
        ("name: [\n", "2: not valid YAML"),
        ("a: &x 1\nb: *x\n", "2: '*x': aliases are not allowed here"),
        ("[" * 100, f"1: nested more than {yamldoc.MAX_DEPTH} levels deep"),
        ("a: 1\n---\nb: 1\n", "2: not valid YAML"),
        ("a: !!python/name:os.system\n", "1: not valid YAML"),
        ("a: 1\nb: 2001-99-99\n", "2: b: '2001-99-99' looks like a number or a date but is none; put it in quotes"),
    ],
    ids=range(8),
)
def test_what_is_no_site_at_all(load: Load, tmp_path: Path, content: str, expected: str) -> None:
    """A file that YAML or sense refuses gives a message with its line."""
    with pytest.raises(SetupError) as raised:
        load(content)

    assert raised.value.what.splitlines()[1].startswith(f"  {tmp_path}/site.yaml:{expected}")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Neither a missing file nor a folder gives a traceback."""
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SetupError, match=f"cannot read {path}: "):
            siteconf.load(path)


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)


ODD: list[Any] = [
    [],
    {},
    [[]],
    {"a": []},
    None,
    True,
    0,
    -1,
    10**400,
    1e400,
    float("nan"),
    "",
    "\0",
    "0.0.0.0/0",
    "::1/64",
]
SCALARS = [
    *("0b_", "0x_", "0_", "1:99:99", "2001-99-99", "2001-01-01T99:99:99Z", "._", "=", "<<", "~", "9" * 5000),
    *("!!binary x", "!!timestamp x", "!!int x", "!!float x", "!!bool x", "!!set {a}", "!!omap [a]", "!!pairs [a]"),
    *("!!python/object:os.system {}", "!own x", "! x", "!!str", "!!null x", "!!merge x", "!!value x"),
]


def _loads_or_setup_error(content: bytes, folder: Path) -> None:
    path = folder / "site.yaml"
    path.write_bytes(content)
    try:
        siteconf.load(path)
    except SetupError as error:
        assert str(path) in error.what  # noqa: PT017 - loading may also succeed


def _checks_or_setup_error(data: Any, folder: Path) -> None:
    """The same for values that have been read already: much faster than by way of a file."""
    with contextlib.suppress(SetupError):
        siteconf.check(yamldoc.Document(folder / "site.yaml", data))


no_reset = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@no_reset
@given(JSON_LIKE)
def test_no_value_raises_anything_else(tmp_path: Path, value: Any) -> None:
    """Whatever a YAML file holds, loading it ends in a site or in SetupError."""
    _loads_or_setup_error(yaml.safe_dump(value).encode(), tmp_path)


@no_reset
@given(st.binary() | st.text(st.sampled_from("[]{}:,-?!&*#|>'\"%@ \n\ta01._xbe~<=")).map(str.encode))
def test_no_bytes_raise_anything_else(tmp_path: Path, content: bytes) -> None:
    """Neither do bytes that are not YAML, or YAML that nobody would write."""
    _loads_or_setup_error(content, tmp_path)


@no_reset
@given(st.data())
def test_no_value_in_a_good_site_raises_anything_else(tmp_path: Path, data: st.DataObject) -> None:
    """The same holds for a good file in which any one value, however deep, is replaced by any other."""
    site = yaml.safe_load(GOOD)
    holder, key = data.draw(st.sampled_from(list(_slots(site))))
    holder[key] = data.draw(
        JSON_LIKE | st.sampled_from(["0.0.0.0/0", "10.2.1.11", "::1/64", "region", 1e400, "999.1.1.1"])
    )

    _checks_or_setup_error(site, tmp_path)


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_an_odd_value_anywhere_raises_nothing_else(tmp_path: Path, value: Any) -> None:
    """Each value of a good file in turn is replaced by one of another kind."""
    for number in range(len(_slots(yaml.safe_load(GOOD)))):
        site = yaml.safe_load(GOOD)
        holder, key = _slots(site)[number]
        holder[key] = value
        _checks_or_setup_error(site, tmp_path)


@pytest.mark.parametrize("scalar", SCALARS)
def test_a_scalar_that_is_none_raises_nothing_else(tmp_path: Path, scalar: str) -> None:
    """What only looks like a number, a date or a tagged value is named, as a value and as a key."""
    for content in (f"name: {scalar}\n", f"{scalar}: 1\n", f"instances: [{scalar}]\n"):
        with pytest.raises(SetupError):
            siteconf.check(yamldoc.parse(content, tmp_path / "site.yaml"))


def _slots(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of nested dicts and lists."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [slot for key, inner in pairs for slot in ((value, key), *_slots(inner))]


def test_an_unknown_site_is_answered_with_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip in a site's name gives the nearest and the list; a path is no name."""
    for name in ("outpost-local", "outpost-extended"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "site.yaml").touch()
    monkeypatch.setattr(siteconf, "content_dir", lambda _: tmp_path)

    assert siteconf.names() == ("outpost-extended", "outpost-local")
    assert siteconf.find("outpost-local") == tmp_path / "outpost-local" / "site.yaml"
    for wrong in ("outpost-locl", "../outpost-local", "", "outpost-local/"):
        with pytest.raises(SetupError, match="The sites are: outpost-extended, outpost-local"):
            siteconf.find(wrong)


@pytest.mark.parametrize("name", siteconf.names())
def test_every_reference_site_is_valid_and_named_after_its_folder(name: str) -> None:
    """The sites below fixtures/ pass their own schema."""
    assert stackconf.load(siteconf.find(name)).name == name
