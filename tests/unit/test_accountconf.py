"""The file of a site on a real account: every mistake is named with its line, and what is right is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from islanding import accountconf, yamldoc
from islanding.errors import SetupError

GOOD = """\
name: mine
account: "123456789012"
region: ap-northeast-1
cluster: closed-1
reach: {bastion: 203.0.113.5, key: KEY}
"""


@pytest.fixture
def good(tmp_path: Path) -> str:
    """A file without a mistake."""
    (tmp_path / "key").write_text("")
    return GOOD.replace("KEY", str(tmp_path / "key"))


def check(text: str) -> accountconf.AccountConf:
    """The site that a text describes."""
    return accountconf.check(yamldoc.parse(text, Path("my-site.yaml")))


def test_little_is_enough(good: str) -> None:
    """Name, account, Region, cluster and the way in; all else has a default."""
    conf = check(good)

    assert (conf.like, conf.reach.kind, conf.reach.user, conf.facts) == ("closed-vpc", "ssh", "ec2-user", {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ('account: "123456789012"', "account: 123456789012"),
            "site.yaml:2: account: 123456789012 is not an account",
        ),
        (("region: ap-northeast-1", "region: tokyo"), "my-site.yaml:3: region: 'tokyo' is not a Region's name"),
        (("cluster: closed-1", "clustre: closed-1"), "my-site.yaml:4: clustre: unknown key; did you mean 'cluster'?"),
        (("bastion: 203.0.113.5, ", ""), "reach.bastion: missing; `kind: ssh` needs the bastion's public address"),
        (("{bastion:", "{kind: direct, bastion:"), "reach.bastion: `kind: direct` goes through no bastion"),
        (("{bastion:", "{kind: telnet, bastion:"), "reach.kind: 'telnet' is not allowed; allowed: ssh, ssm or direct"),
        (("/key}", "/none}"), "reach.key: there is no file"),
        (("cluster: closed-1", "cluster: a b"), "my-site.yaml:4: cluster: 'a b' is not a cluster's name"),
    ],
)
def test_a_mistake_is_named(good: str, change: tuple[str, str], said: str) -> None:
    """Line, key, what is wrong and what is allowed."""
    with pytest.raises(SetupError) as caught:
        check(good.replace(*change))

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("like: closed\n", "my-site.yaml:6: like: 'closed' is no reference site; there are: closed-vpc, "),
        ("external_id: x\n", "my-site.yaml:6: external_id: is of use with `role` alone"),
        ("role: me\n", "my-site.yaml:6: role: 'me' is not the ARN of a role"),
        (
            "facts: {buckets: b}\n",
            "my-site.yaml:6: facts.buckets: is no fact that a case asks for; there are: vpc_id, ",
        ),
        ("operator: {instance: 10.0.0.1}\n", "operator.instance: '10.0.0.1' is not an instance's id"),
        (
            "sessions: [{name: wan, router: r1, neighbor: 10.0.0.1, neighbor_router: r2, interface: eth0}]\n",
            "my-site.yaml:6: sessions[0].router: 'r1' is none of the routers of this file",
        ),
        ("name: other\n", "my-site.yaml:6: name: given twice, first on line 1"),
    ],
)
def test_what_does_not_fit_together_is_named(good: str, more: str, said: str) -> None:
    """Values that another value, or the harness, does not allow."""
    with pytest.raises(SetupError) as caught:
        check(good + more)

    assert said in str(caught.value)


def test_all_mistakes_at_once(good: str) -> None:
    """Nobody has to find them one by one."""
    with pytest.raises(SetupError, match=r"my-site\.yaml has 3 mistakes:"):
        check(good.replace("closed-1", "a b").replace("203.0.113.5", "bastion.example") + "external_id: x\n")


OUTPOST = """\
name: mine
like: outpost-local
account: "123456789012"
region: eu-north-1
cluster: on-site
reach: {kind: direct, key: KEY}
routers: [{name: cnd, role: customer-network-device, asn: 65000, address: 10.1.1.1, user: net}]
sessions: [{name: wan, router: cnd, neighbor: 10.0.0.1, neighbor_router: isp, interface: eth0}]
"""


def test_an_outposts_site_names_its_routers(good: str) -> None:
    """Routers alone are enough; FRR's shell by sudo is the default, and facts are those of an Outpost's site."""
    conf = check(OUTPOST.replace("KEY", good.partition("key: ")[2].rstrip("}\n")) + "facts: {metric_period: '60'}\n")

    assert conf.has_routers
    assert ("frr", 22, "", "") == (
        conf.routers[0].driver, conf.routers[0].port, conf.routers[0].vtysh, conf.routers[0].key
    )  # fmt: skip
    assert {"metric_period": "60"} == conf.facts


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("user: net", "user: net, password_variable: P"), "password_variable: is of no use with `driver: frr`"),
        (("user: net", "user: net, driver: junos, vtysh: vtysh"), "vtysh: is of no use with `driver: junos`"),
        (("user: net", "user: net, driver: ios"), "routers[0].driver: 'ios' is not allowed"),
        (("name: cnd", "name: region"), "routers[0].name: 'region' names something else already"),
        (("router: cnd", "router: ond"), "sessions[0].router: 'ond' is none of the routers of this file"),
        (("kind: direct", "bastion: 203.0.113.5"), "reach.kind: an Outpost's site is adopted from its own network"),
        (("like: outpost-local", "facts: {bucket: b}"), "facts.bucket: is no fact that a case asks for"),
        (
            ("like: outpost-local", "identities: [{name: operator, kind: iam, kubeconfig: k}]"),
            "identities[0].name: 'operator' is named by adoption itself",
        ),
        (("like: outpost-local", "outpost_arn: op-1"), "outpost_arn: 'op-1' is not an Outpost's ARN"),
    ],
)
def test_a_mistake_in_an_outposts_file_is_named(good: str, change: tuple[str, str], said: str) -> None:
    """Routers, sessions and identities that do not fit together."""
    text = OUTPOST.replace("KEY", good.partition("key: ")[2].rstrip("}\n"))
    with pytest.raises(SetupError) as caught:
        check(text.replace(*change))

    assert said in str(caught.value)


def test_this_computer_needs_no_key_to_be_the_operator(good: str) -> None:
    """Only where nothing is entered by SSH the key may be left out."""
    here = re.sub(r"reach: .*", "reach: {kind: direct}", good)

    assert check(here).reach.key == ""
    for text in (re.sub(r"key: [^}]*", "user: me", good), here + "operator: {instance: i-0123456789abcdef0}\n"):
        with pytest.raises(SetupError, match=r"reach\.key: missing"):
            check(text)
