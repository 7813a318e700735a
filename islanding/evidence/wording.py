"""The languages of the report: its texts by gettext catalogues, its numbers, durations and dates by Babel.

Texts of a run (messages, commands, claims, reasons) are evidence and stay as they are, whatever the language.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel import Locale
from babel.dates import format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from babel.numbers import format_decimal

from islanding.errors import SetupError
from islanding.evidence.said import Said
from islanding.model import Verdict
from islanding.paths import content_dir

LANGUAGES = {"en": "English", "ja": "日本語"}
_DOMAINS = ("islanding", "requirements")  # texts of the report; texts of the table of requirements


class Language:
    """How the report speaks: `code` is the page's `lang`."""

    def __init__(self, code: str, texts: NullTranslations, requirements: NullTranslations) -> None:
        self.code = code
        self.locale = Locale.parse(code)
        self._texts = texts
        self._requirements = requirements

    def gettext(self, text: str, **values: object) -> str:
        """`text` (English, as in the sources) in this language, filled in with `values`."""
        return self.template(text) % self._said(values)

    def ngettext(self, one: str, many: str, number: int, **values: object) -> str:
        """The form of the text for `number` things, filled in with `values` and with `number` as `%(num)s`."""
        return self.templates(one, many, number) % self._said({"num": self.number(number), **values})

    def template(self, text: str) -> str:
        """`text` in this language, not filled in."""
        return self._texts.gettext(text)

    def templates(self, one: str, many: str, number: int) -> str:
        """The form for `number` things in this language, not filled in."""
        return self._texts.ngettext(one, many, number)

    def say(self, text: str) -> str:
        """A sentence of ours in this language; any other text as it is."""
        return self.gettext(text.text, **text.values) if isinstance(text, Said) else text

    def requirement(self, text: str) -> str:
        """A text of the table of requirements; one that has no translation stays English."""
        return self._requirements.gettext(text)

    def verdict(self, verdict: Verdict) -> str:
        """The word for a verdict."""
        return {
            Verdict.PASS: self.gettext("pass"),
            Verdict.FAIL: self.gettext("fail"),
            Verdict.INCONCLUSIVE: self.gettext("inconclusive"),
            Verdict.SKIPPED: self.gettext("skipped"),
            Verdict.NOT_COVERED: self.gettext("not covered"),
        }[verdict]

    def target(self, name: str) -> tuple[str, str]:
        """What a run ran against (`lab` or `aws`), and what that is worth in a sentence."""
        known = {
            "lab": (
                self.gettext("Lab"),
                self.gettext(
                    "Real parts on one Linux machine, with AWS itself emulated: this says nothing about a live account."
                ),
            ),
            "aws": (self.gettext("AWS"), self.gettext("Evidence from a live AWS account.")),
        }
        return known.get(name, (name or self.gettext("unknown target"), self.gettext("The journal names no target.")))

    def number(self, value: float, digits: int = 0) -> str:
        """A number with this language's marks, `digits` of them after the point."""
        return format_decimal(value, "#,##0" + ("." + "0" * digits if digits else ""), locale=self.locale)

    def seconds(self, value: float | None) -> str:
        """A duration as people say it: `0.42 s`, `16.2 s`, `2 min 23 s`."""
        if value is None:
            return "–"
        if value < 60:
            return self.gettext("%(seconds)s s", seconds=self.number(value, 2 if value < 1 else 1))
        minutes, rest = divmod(round(value), 60)
        if minutes < 60:
            return self.gettext("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=rest)
        return self.gettext("%(hours)s h %(minutes)s min", hours=self.number(minutes // 60), minutes=minutes % 60)

    def offset(self, value: float) -> str:
        """A place on a time axis, in seconds from its zero: `+12.3 s`."""
        sign = "-" if value < 0 and round(value, 1) else "+"
        return f"{sign}{self.number(abs(value), 1)} s"  # the unit's symbol, as on the axis

    def clock(self, wall: str) -> str:
        """A wall-clock time of the journal to the second, in UTC; a text that is no time stays as it is."""
        try:
            moment = datetime.fromisoformat(wall).astimezone(UTC)
        except (ValueError, OverflowError):
            return wall
        return str(format_datetime(moment, self.gettext("yyyy-MM-dd HH:mm:ss 'UTC'"), tzinfo=UTC, locale=self.locale))

    def joined(self, values: Iterable[object]) -> str:
        """A list as words, with this language's commas."""
        return self.gettext(", ").join(map(str, values))

    def _said(self, values: dict[str, object]) -> dict[str, object]:
        return {name: self.say(value) if isinstance(value, str) else value for name, value in values.items()}


@cache
def language(code: str) -> Language:
    """The language of that code, one of LANGUAGES; its catalogues are read from reports/locales.

    Raises SetupError for a code that is not known, and for a catalogue that is missing or cannot be read.
    """
    if code not in LANGUAGES:
        raise SetupError(f"no language '{code}'", f"There are: {', '.join(LANGUAGES)}.")
    if code == "en":
        return Language(code, NullTranslations(), NullTranslations())
    folder = content_dir("reports") / "locales" / code / "LC_MESSAGES"
    texts, requirements = (_read(folder / f"{domain}.po", code) for domain in _DOMAINS)
    return Language(code, texts, requirements)


def _read(path: Path, code: str) -> NullTranslations:
    """A catalogue as gettext wants it: it is kept as text, and compiled here, in memory."""
    compiled = io.BytesIO()
    try:
        with path.open("rb") as source:
            write_mo(compiled, read_po(source, locale=code, abort_invalid=True))
    except (OSError, PoFileError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: cannot be read: {error}", "Restore the file from the project.") from error
    compiled.seek(0)
    return GNUTranslations(compiled)


ENGLISH = language("en")
