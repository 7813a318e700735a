"""Manners as a user names them."""

from __future__ import annotations

import pytest

from islanding import manners
from islanding.errors import SetupError
from islanding.siteconf import MANNERS, MannersConf


def test_names_and_values() -> None:
    """Each value goes to its own setting."""
    assert manners.parse("iam, consistency=2.5s,throttling,pages=5,failures=0.02,seed=7") == {
        "on": ("iam", "consistency", "throttling", "pages", "failures"),
        "delay": 2.5,
        "page": 5,
        "rate": 0.02,
        "seed": 7,
    }


@pytest.mark.parametrize(("text", "on"), [("all", MANNERS), ("none", ()), ("pages", ("pages",))])
def test_all_none_and_one(text: str, on: tuple[str, ...]) -> None:
    """`all` is all of them, and `none` says so where a site file has some."""
    assert manners.parse(text) == {"on": on}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("manners", "'manners' is no manner; there are: iam, consistency"),
        ("iam=1", "'iam=1' is no manner"),
        ("pages=many", "'many' is no number"),
        ("failures=2", "rate: Input should be less than or equal to 0.5"),
        ("pages=0", "page: Input should be greater than or equal to 1"),
        ("consistency=nan", "delay"),
    ],
)
def test_what_is_none_is_named(text: str, says: str) -> None:
    """A mistake says what is allowed."""
    with pytest.raises(SetupError, match=says) as raised:
        manners.parse(text)

    assert "consistency=2s" in str(raised.value.fix)


def test_what_is_given_goes_before_the_environment() -> None:
    """And the environment before the site file, which is left alone where neither says anything."""
    env = {manners.ENV: "iam"}

    assert manners.overrides("pages=3", env) == {"lab.manners.on": ["pages"], "lab.manners.page": 3}
    assert manners.overrides("", env) == {"lab.manners.on": ["iam"]}
    assert manners.overrides("", {}) == {}


def test_they_are_said_with_the_seed() -> None:
    """So that a run can be made again as it was."""
    text = manners.said(MannersConf(on=("iam", "pages"), page=3, seed=9))

    assert (text, manners.said(MannersConf())) == ("iam,pages=3,seed=9", "")
    assert manners.parse(text) == {"on": ("iam", "pages"), "page": 3, "seed": 9}
