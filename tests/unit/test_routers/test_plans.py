"""What drivers plan: whatever was configured before, and however far applying came, the inverse leads back to it."""

from __future__ import annotations

from copy import deepcopy
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.routers.driver import Ask, Change, End, RouterError
from islanding.routers.frr import Frr
from islanding.routers.ios_xe import IosXe
from islanding.routers.junos import Junos
from tests.unit.test_routers.configurations import CiscoLike, JunosLike, applied, undone

PEER = "169.254.10.1"
NAMES = st.none() | st.from_regex(r"[A-Z][A-Za-z0-9_-]{0,20}", fullmatch=True)
PREFIXES = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 32)).map(lambda one: str(IPv4Network(one, strict=False))),
    max_size=4,
    unique=True,
).map(tuple)
HOW_FAR = st.integers(0, 20)


def cisco(end: End, inbound: str | None, groups: dict[str, str], *, families: bool) -> CiscoLike:
    """A configuration with an inbound list, access groups, and the neighbor within an address family or not."""
    before = CiscoLike()
    context = [f"router bgp {end.asn}", *(["address-family ipv4"] if families else [])]
    before.enter([*context, f"neighbor {PEER} activate", f"neighbor {PEER} prefix-list TO-OUTPOST out"])
    before.enter([*context, f"neighbor {PEER} prefix-list {inbound} in"] if inbound else [])
    before.enter([f"interface {end.interface}", "description link"])
    before.enter([f"interface {end.interface}", *(f"ip access-group {name} {way}" for way, name in groups.items())])
    before.enter(["ip prefix-list TO-OUTPOST seq 5 permit 10.0.0.0/8"])
    return before


def ask_ios(end: End, inbound: str | None, groups: dict[str, str], *, families: bool) -> Ask:
    """What such a router answers."""
    listed = f"  Incoming update prefix filter list is {inbound}\n" if inbound else ""
    bgp = f"router bgp 65000\n{' address-family ipv4' if families else ''}\n"
    interface = "".join(f" ip access-group {name} {way}\n" for way, name in groups.items())
    answers = {
        f"show bgp ipv4 unicast neighbors {PEER}": f"BGP neighbor is {PEER},  remote AS 65001\n"
        f"  BGP state = Established, up for 1d\n{listed}",
        "show running-config | section ^router bgp": bgp,
        f"show running-config interface {end.interface}": f"interface {end.interface}\n description link\n{interface}",
    }
    return lambda command: answers[command]


def leads_back(before: CiscoLike | JunosLike, change: Change, far: int) -> None:
    """Applied to any point, undone, and undone once more, the configuration is as before; applied whole, it is not."""
    broken, lines = deepcopy(before), applied(change)
    broken.enter(lines)
    part = deepcopy(before)
    part.enter(lines[:far])
    part.enter(undone(change))
    once = deepcopy(part)
    part.enter(undone(change))
    broken_then_healed = deepcopy(broken)
    broken_then_healed.enter(undone(change))

    assert broken != before
    assert before == once == part == broken_then_healed


@given(inbound=NAMES, groups=st.dictionaries(st.sampled_from(["in", "out"]), st.just("OURS")), families=st.booleans(),
       prefixes=PREFIXES, far=HOW_FAR)  # fmt: skip
def test_ios_xe_is_put_back(
    inbound: str | None, groups: dict[str, str], families: bool, prefixes: tuple[str, ...], far: int
) -> None:
    """Shut, filtered, dropped, down: each change and its inverse."""
    end = End(65000, PEER, "GigabitEthernet2")
    ask = ask_ios(end, inbound, groups, families=families)
    before, driver = cisco(end, inbound, groups, families=families), IosXe()

    for change in (
        driver.shut(ask, end, "abc123", "why"),
        driver.drop(ask, end, "abc123"),
        driver.interface_down(ask, end),
        driver.withdraw(ask, end, "abc123", () if inbound else prefixes),
    ):
        assert (1, 1) == (len(change.apply), len(change.undo))  # one entry, under one timer
        leads_back(before, change, far)


@given(inbound=NAMES, prefixes=PREFIXES, far=HOW_FAR)
def test_frr_is_put_back(inbound: str | None, prefixes: tuple[str, ...], far: int) -> None:
    """Shut and filtered; interfaces and packet filters are the machine's."""
    end = End(65000, PEER, "sl")
    listed = f'"incomingUpdatePrefixFilterList": "{inbound}"' if inbound else ""
    answer = f'{{"{PEER}": {{"bgpState": "Established", "addressFamilyInfo": {{"ipv4Unicast": {{{listed}}}}}}}}}'
    before = cisco(end, inbound, {}, families=True)

    leads_back(before, Frr().shut(lambda _: answer, end, "abc123", "why"), far)
    leads_back(before, Frr().withdraw(lambda _: answer, end, "abc123", () if inbound else prefixes), far)


@given(own=st.lists(st.sampled_from(["A", "B", "C"]), unique=True), inherited=st.lists(st.sampled_from(["G", "H"]),
       unique=True), was=st.dictionaries(st.sampled_from(["input", "output"]), st.just("OURS")), prefixes=PREFIXES,
       unit=st.booleans(), far=HOW_FAR)  # fmt: skip
def test_junos_is_put_back(
    own: list[str], inherited: list[str], was: dict[str, str], prefixes: tuple[str, ...], unit: bool, far: int
) -> None:
    """Whatever import policies and filters were there, of the neighbor itself or of its group."""
    end = End(65000, PEER, "ge-0/0/1.0" if unit else "ge-0/0/1")
    peer = f"protocols bgp group OUTPOST neighbor {PEER}"
    before = JunosLike([f"{peer} description link", "interfaces ge-0/0/1 unit 0 family inet address 169.254.10.2/30"])
    before.enter([f"set {peer} import {name}" for name in own])
    before.enter([f"set interfaces ge-0/0/1 unit 0 family inet filter {way} {name}" for way, name in was.items()])
    in_force = own or inherited
    said = f"Peer: {PEER}+179 AS 65001 Local: 169.254.10.2+5 AS 65000\n  Group: OUTPOST   Routing-Instance: master\n"
    said += "  Type: External    State: Established    Flags: <Sync>\n"
    said += f"  Import: [ {' '.join(in_force)} ]\n" if in_force else ""

    def ask(command: str) -> str:
        if command == f"show bgp neighbor {PEER}":
            return said
        return before.display_set(command.removeprefix("show configuration ").removesuffix(" | display set"))

    driver = Junos()
    filtered = driver.withdraw(ask, end, "abc123", prefixes)
    for change in (
        driver.shut(ask, end, "abc123", "why"),
        driver.drop(ask, end, "abc123"),
        driver.interface_down(ask, end),
        filtered,
    ):
        assert (1, 1) == (len(change.apply), len(change.undo))  # one commit, under one timer
        leads_back(before, change, far)
    after = deepcopy(before)
    after.enter(applied(filtered))
    policies = [one.split()[-1] for one in after.statements if one.startswith(f"{peer} import ")]
    assert ["islanding-abc123", *in_force] == policies  # ours first, and the group's still judge the rest


def test_ios_xe_says_when_a_filter_is_in_the_way() -> None:
    """A list of somebody else's is not extended: it would have to be copied."""
    end = End(65000, PEER, "GigabitEthernet2")
    with pytest.raises(RouterError, match=r"has an inbound prefix list already \(OURS\)"):
        IosXe().withdraw(ask_ios(end, "OURS", {}, families=True), end, "abc123", ("10.0.0.0/8",))


def test_junos_says_when_filters_are_a_list() -> None:
    """A list of filters cannot be replaced by one and be put back by one."""
    listed = "set interfaces ge-0/0/1 unit 0 family inet filter input-list A\n"
    with pytest.raises(RouterError, match="has a list of filters already"):
        Junos().drop(lambda _: listed, End(65000, PEER, "ge-0/0/1"), "abc123")


def test_ios_xe_refuses_what_it_cannot_cut() -> None:
    """IPv6 sessions are refused while planning, in words."""
    end = End(65000, "fd00::1", "GigabitEthernet2")
    with pytest.raises(RouterError, match="only IPv4 sessions"):
        IosXe().shut(lambda _: "", end, "abc123", "why")
