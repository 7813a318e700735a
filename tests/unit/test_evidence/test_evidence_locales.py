"""The report's languages: complete catalogues, equal placeholders, numbers and dates as each language writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.pofile import read_po

from islanding.errors import SetupError
from islanding.evidence.html import render_html
from islanding.evidence.requirements import load_requirements
from islanding.evidence.results import evaluate, load_result
from islanding.evidence.said import Said
from islanding.evidence.wording import ENGLISH, LANGUAGES, language
from islanding.model import Verdict
from tests.unit.test_evidence.conftest import IO, UNAUTHORIZED, Writer

ROOT = Path(__file__).resolve().parents[3]
LOCALES = ROOT / "reports" / "locales"
OTHERS = [code for code in LANGUAGES if code != "en"]
PLACEHOLDER = re.compile(r"%\((\w+)\)s")


@cache
def texts_of_the_report() -> frozenset[str | tuple[str, ...]]:
    """Every text that the sources and templates give to be translated."""
    with (LOCALES / "babel.cfg").open(encoding="utf-8") as config:
        methods, options = parse_mapping_cfg(config)
    found: set[str | tuple[str, ...]] = set()
    keywords = {"gettext": None, "ngettext": (1, 2), "_": None, "Said": None}
    for folder in ("islanding/evidence", "reports/templates"):
        here = [(f"{pattern.removeprefix(folder + '/')}", method) for pattern, method in methods]
        there = {pattern.removeprefix(folder + "/"): given for pattern, given in options.items()}
        for _, _, text, _, _ in extract_from_dir(ROOT / folder, here, there, keywords):
            found.add(tuple(text) if isinstance(text, tuple | list) else text)
    return frozenset(found)


@cache
def catalogue(code: str, domain: str) -> Catalog:
    """A catalogue as it lies in the tree."""
    with (LOCALES / code / "LC_MESSAGES" / f"{domain}.po").open("rb") as source:
        return read_po(source, locale=code, abort_invalid=True)


def entries(code: str, domain: str) -> list[Message]:
    """The catalogue's messages, without its header."""
    return [message for message in catalogue(code, domain) if message.id]


def forms_of(text: str | Iterable[str] | None) -> list[str]:
    """A text, or its forms for one and for many, as a list."""
    return [text or ""] if isinstance(text, str | None) else list(text)


@pytest.mark.parametrize("code", OTHERS)
def test_each_text_is_translated_and_none_is_stale(code: str) -> None:
    """What sources and templates say is what the catalogue holds."""
    held = {tuple(m.id) if isinstance(m.id, tuple | list) else m.id for m in entries(code, "islanding")}

    assert "What was not proven" in texts_of_the_report()
    assert "no case ran" in texts_of_the_report()
    assert sorted(map(str, texts_of_the_report() - held)) == []
    assert sorted(map(str, held - texts_of_the_report())) == []


@pytest.mark.parametrize("code", OTHERS)
def test_each_requirement_is_translated_and_none_is_stale(code: str) -> None:
    """Texts of rows and titles of areas, word for word as in the table."""
    texts = {text for row in load_requirements() for text in (row.text, row.area_title)}

    assert texts == {message.id for message in entries(code, "requirements")}


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("domain", ["islanding", "requirements"])
def test_translations_are_finished_and_keep_their_placeholders(code: str, domain: str) -> None:
    """Nothing is empty, nothing is fuzzy, and each form is filled in with the same values."""
    for message in entries(code, domain):
        wanted = forms_of(message.id)[-1]
        forms = forms_of(message.string)

        assert all(forms), message.id
        assert not message.fuzzy, message.id
        assert [set(PLACEHOLDER.findall(wanted))] * len(forms) == [set(PLACEHOLDER.findall(form)) for form in forms]


def test_identifiers_survive_translation() -> None:
    """Names of commands, files and conditions in a requirement are the same in each language."""
    name = re.compile(r"[a-z0-9]+(?:[-_.:/][a-z0-9]+)+|[a-z]+(?:[A-Z][a-z]+)+")
    for code in OTHERS:
        for message in entries(code, "requirements"):
            known, kept = (set(name.findall(forms_of(text)[0])) for text in (message.id, message.string))

            assert [] == [word for word in known - kept if "_" in word or ":" in word], message.id


def test_a_run_in_japanese_keeps_its_own_words(run_folder: Path) -> None:
    """The page's texts are Japanese; messages, claims, commands and reasons stand as they were recorded."""
    page = render_html(load_result(run_folder), lang="ja")

    assert '<html lang="ja">' in page
    for said in ("実証できたこと", "実証できていないこと", "前回の実行からの変化", "サービスリンク"):
        assert said in page
    for kept in (UNAUTHORIZED, IO, "UNAUTHORIZED from 5 s after the cut until the link is back"):
        assert kept in page
    for english in ("What was proven", "What users saw", "Skip to", ">pass<", "requirements covered"):
        assert english not in page


def test_a_sentence_of_ours_is_said_in_each_language(writer: Writer) -> None:
    """What is wrong with a run is English in the terminal, and Japanese in a Japanese page, with the same values."""
    writer.start("s")
    writer.add(1, "case-started", site="s", case="c", title="t", requirements=[])
    result = load_result(writer.save())

    assert "incomplete: the journal ends before the run did" in result.problems
    assert "未完了：実行が終わる前にジャーナルが途切れています" in render_html(result, lang="ja")
    inner = Said("was applied and not undone")
    outer = Said("%(site)s: fault %(fault)s (%(id)s) %(trouble)s", site="100%", fault="f", id=7, trouble=inner)
    assert outer == "100%: fault f (7) was applied and not undone"
    assert language("ja").say(outer) == "100%：障害 f（7）は適用されたまま、元に戻されていません"
    assert language("ja").say("no case ran") == "no case ran"


def test_numbers_durations_and_dates_are_the_languages_own() -> None:
    """Seconds, minutes, thousands, calendar dates."""
    japanese = language("ja")

    assert ENGLISH.clock("2026-11-21T10:05:41.651+00:00") == "2026-11-21 10:05:41 UTC"
    assert japanese.clock("2026-11-21T19:05:41+09:00") == "2026年11月21日 10:05:41 UTC"
    assert japanese.clock("no time") == "no time"
    assert [japanese.seconds(value) for value in (0.42, 143, 7260)] == ["0.42 秒", "2 分 23 秒", "2 時間 1 分"]
    assert ENGLISH.number(200000) == "200,000"
    assert [ENGLISH.offset(value) for value in (-0.01, 0.0, 12.34, -6)] == ["+0.0 s", "+0.0 s", "+12.3 s", "-6.0 s"]
    assert japanese.verdict(Verdict.NOT_COVERED) == "未検証"
    assert ENGLISH.ngettext("%(num)s case", "%(num)s cases", 1) == "1 case"


def test_an_unknown_language_names_those_that_there_are() -> None:
    """A mistyped code is answered with the list."""
    with pytest.raises(SetupError, match="en, ja"):
        language("jp")


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_same_run_gives_the_same_page(code: str, run_folder: Path) -> None:
    """Made twice from one journal, byte for byte the same, in each language."""
    first = render_html(load_result(run_folder), lang=code)

    assert render_html(load_result(run_folder), lang=code) == first
    assert evaluate([]).run == ""
