"""Which cases ask for which fact: read from the suites' own text."""

from __future__ import annotations

from islanding import outpostconf
from islanding.accountconf import FACTS
from islanding.paths import content_dir
from islanding.target.needs import cases_for


def test_cases_are_found_by_what_they_ask_for() -> None:
    """A fact, an identity and a place; asked for by the case itself or by a function of its file."""
    assert cases_for("closed-vpc", "foreign_profile") == ("test_foreign_credentials_are_refused_at_the_endpoints",)
    assert "test_operator_is_let_in_by_its_mapping_alone" in cases_for("closed-vpc", "creator")
    assert "test_bastion_is_silent_to_others" in cases_for("closed-vpc", "bastion")
    assert cases_for("outpost-local", "bucket") == ()
    assert cases_for("outpost-local", "expired") == ("test_certificate_cannot_be_made_during_the_cut",)
    assert cases_for("outpost-local", "resolver") == ("test_a_hosts_entry_or_local_resolver_keeps_the_name",)
    assert "test_one_node_cut_off_is_evicted_from" in cases_for("outpost-extended", "region")


def test_every_fact_that_a_suite_asks_for_can_be_said() -> None:
    """What a case reads from the facts is among those that a file may name."""
    text = "\n".join(path.read_text() for path in content_dir("suites").rglob("test_*.py"))
    asked = {part.partition('"]')[0] for part in text.split('facts["')[1:]}

    assert asked <= set(FACTS) | set(outpostconf.FACTS)
