"""What pytest and Allure write about a case, without secrets: the failure, what was printed, names and parameters."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import allure_commons
import pytest

from islanding.redact import redact


class Scrubbed:
    """A failure's text without its secrets, as pytest's terminal and its summary take it."""

    def __init__(self, text: str, crash: Any) -> None:
        self._text = text
        self.reprcrash = crash

    def __str__(self) -> str:
        return self._text

    def toterminal(self, terminal: Any) -> None:
        """Write it down; pytest calls this."""
        terminal.line(self._text)


def scrub(call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Take the secrets out of a phase's report, and out of its exception for plugins that read that.

    What holds none is left as it is. To be called when the verdict has been taken from the exception.
    """
    report.sections = [(name, redact(text)) for name, text in report.sections]
    text = report.longreprtext
    if redact(text) != text and not isinstance(report.longrepr, tuple):  # a skip's reason is (file, line, reason)
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = redact(crash.message)
        report.longrepr = Scrubbed(redact(text), crash)  # type: ignore[assignment]  # pytest asks for toterminal only
    elif isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, redact(reason))
    if call.excinfo is not None and redact(said := call.excinfo.exconly()) != said:
        shadow = _like(call.excinfo.value, redact(str(call.excinfo.value)))
        call.excinfo = pytest.ExceptionInfo.from_exc_info((type(shadow), shadow, call.excinfo.tb))


def _like(error: BaseException, text: str) -> Exception:
    """An exception of the same name and kind (a failed check or something else) that says `text`."""
    base = next((kind for kind in (AssertionError, pytest.fail.Exception) if isinstance(error, kind)), Exception)
    made: Exception = type(type(error).__name__, (base,), {"__module__": type(error).__module__})(text)
    return made


def scrub_allure() -> None:
    """Have Allure's results scrubbed before they are written, from now on."""
    if not allure_commons.plugin_manager.has_plugin(_NAME):
        allure_commons.plugin_manager.register(_Allure(), _NAME)


_NAME = "islanding-scrubbing"


class _Allure:
    """Hooks that Allure calls before a result goes to its file."""

    @allure_commons.hookimpl(tryfirst=True)
    def report_result(self, result: Any) -> None:
        _scrub(result)

    @allure_commons.hookimpl(tryfirst=True)
    def report_container(self, container: Any) -> None:
        _scrub(container)


def _scrub(thing: Any) -> Any:
    """The same object with the secrets out of each text in it, however deep."""
    if isinstance(thing, str):
        return redact(thing)
    if isinstance(thing, list):
        thing[:] = [_scrub(each) for each in thing]
    elif isinstance(thing, MutableMapping):
        thing.update({key: _scrub(each) for key, each in thing.items()})
    elif hasattr(thing, "__dict__"):
        for name, value in vars(thing).items():
            setattr(thing, name, _scrub(value))
    return thing
