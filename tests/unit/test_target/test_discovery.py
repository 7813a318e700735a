"""Adopting an existing site: what its file and AWS's API say is what the stacks that made it say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from islanding.accountconf import FACTS, OPTIONAL, AccountConf
from islanding.errors import SetupError
from islanding.target import discovery, state


def discovered(made: Any, conf: AccountConf, image: str = "") -> discovery.Discovered:
    """What is found out of the site by a file."""
    return discovery.discover(conf, state.read(conf, made.client), image=image)


def test_all_that_the_stacks_know_is_found(made: Any) -> None:
    """Account, Region, cluster and bastion are enough: every fact is the one that the stacks' outputs give."""
    found = discovered(made, made.file(), made.site.resolved(made.conf.workload.image))

    assert found.facts == made.site.facts
    assert set(found.lacking) == set(FACTS) - set(made.site.facts) - OPTIONAL


def test_what_the_file_says_goes_first(made: Any) -> None:
    """A fact of the file is taken as it stands, and what follows from it follows."""
    subnet = made.site.facts["operator_subnet_id"]
    found = discovered(made, made.file(f"facts: {{worker_subnet_ids: {subnet}, foreign_profile: visitor}}\n"))

    assert found.facts["worker_subnet_ids"] == subnet
    assert found.facts["worker_route_table_id"] == made.site.facts["operator_route_table_id"]
    assert found.facts["foreign_profile"] == "visitor"


def test_a_bastion_of_somebody_else_takes_its_facts_along(made: Any) -> None:
    """What hangs on a bastion that is not found is not known, with the reason; all the rest is."""
    found = discovered(made, made.file(bastion="198.51.100.9"))
    reason = "there is no instance with the address 198.51.100.9 in this account and Region"

    assert {name for name, why in found.lacking.items() if why == reason} == {
        "bastion_vpc_id",
        "bastion_group_id",
        "bastion_instance_id",
        "peering_id",
    }
    assert found.facts["asg"] == made.site.facts["asg"]


def test_several_are_named(made: Any) -> None:
    """Two Auto Scaling groups with nodes: neither is taken, both are named with the key by which the file decides."""
    read = state.read(made.file(), made.client)
    group = read.groups[0]
    two = replace(read, groups=(group, replace(group, name="other")))

    assert discovery.discover(made.file(), two).lacking["asg"] == (
        f"there are 2, not one Auto Scaling group with nodes of the cluster: {group.name}, other"
        " (say which by `facts: asg`)"
    )


def test_the_operator_is_who_lets_ssh_in_from_the_bastion(made: Any) -> None:
    """Another instance of the VPC without that rule is not taken for it; one with the operator's group makes two."""
    read = state.read(made.file(), made.client)
    operator = read.view.instance(made.site.facts["operator_instance_id"])
    assert operator is not None
    card = next(one for one in read.view.interfaces if one.instance == operator.id)

    def beside(group: str) -> discovery.Discovered:
        other = replace(operator, id="i-0other", address="10.20.255.99")
        its = replace(card, id="eni-0other", instance="i-0other", addresses=("10.20.255.99",), groups=(group,))
        view = replace(read.view, instances=(*read.view.instances, other), interfaces=(*read.view.interfaces, its))
        return discovery.discover(made.file(), replace(read, view=view))

    assert beside(made.site.facts["endpoint_group_id"]).facts["operator_instance_id"] == operator.id
    assert (
        "(say which by `operator.instance`)"
        in beside(made.site.facts["operator_group_id"]).lacking["operator_instance_id"]
    )


@pytest.mark.parametrize(
    ("file", "changed", "what"),
    [
        ("", {"account": "210987654321"}, "these credentials are of account"),
        ("tags: {stage: test}\n", {}, "cluster closed-1 does not carry stage=test"),
    ],
)
def test_another_site_is_refused(made: Any, file: str, changed: dict[str, str], what: str) -> None:
    """Credentials of another account, or a cluster without the tags of the file: nothing more is asked."""
    with pytest.raises(SetupError, match=what):
        state.read(made.file(file, **changed), made.client)


def test_a_cluster_that_is_not_there_is_told_with_those_that_are(made: Any) -> None:
    """A misspelt cluster is answered with the account's clusters."""
    conf = made.file().model_copy(update={"cluster": "closed-2"})

    with pytest.raises(SetupError, match=r"has no cluster closed-2 in ap-northeast-1\n  there are: closed-1"):
        state.read(conf, made.client)
