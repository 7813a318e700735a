"""Allure's single page made a page that asks nobody for anything: analytics out, the rest forbidden by its own policy.

The generator writes an analytics tag into every page and has no setting against it. What is taken out is exactly that;
a page that names any other outside address in an element is refused, and the page's own policy makes the browser
refuse whatever its scripts might ask for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

from islanding.errors import SetupError
from islanding.evidence.allure import CATEGORIES, case_id, history_id
from islanding.evidence.allure_steps import STATUS
from islanding.model import Verdict

# The generator's tag: the loader, and the block that tells it of the report.
_LOADER = re.compile(r"<script\b[^>]*\bsrc=\"https://www\.googletagmanager\.com/[^>]*>\s*</script>\s*")
_CALL = re.compile(
    r"<script>\s*window\.dataLayer = (?:(?!</script>).)*?gtag\((?:(?!</script>).)*</script>\s*", re.DOTALL
)
_HEAD = re.compile(r"<head\b[^>]*>")

# All that the page is made of is in the page: scripts, styles, fonts and attachments are data: and blob: addresses.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' data: blob:; style-src 'unsafe-inline' data: blob:; "
    "img-src data: blob:; font-src data: blob:; media-src data: blob:; connect-src data: blob:; "
    "frame-src data: blob:; worker-src data: blob:; form-action 'none'"
)
_LOADS = {"src", "srcset", "data", "poster", "background", "action", "formaction", "xlink:href"}
_HARMLESS = re.compile(r"\s*(?:data:|blob:|#|$)", re.IGNORECASE)
_HISTORY = 20  # runs that the page knows of, besides its own


def cleaned_page(page: str) -> str:
    """The page without its analytics tag and with POLICY; raises SetupError when an outside address is left in it."""
    page = _CALL.sub("", _LOADER.sub("", page))
    page = _HEAD.sub(
        lambda head: f'{head[0]}\n    <meta http-equiv="Content-Security-Policy" content="{POLICY}">', page, count=1
    )
    left = outside_addresses(page)
    if left or "gtag(" in page or POLICY not in page:
        raise SetupError(
            f"Allure's page is not of the form that is known here: {', '.join(left) or 'its analytics is still in it'}",
            "The page was not kept. Use the pinned generator: remove the folder `allure` in the cache, and try again.",
        )
    return page


def outside_addresses(page: str) -> list[str]:
    """What elements of the page would load from elsewhere: `script https://…` and the like; empty when nothing is."""
    finder = _Finder()
    finder.feed(page)
    finder.close()
    return finder.found


class _Finder(HTMLParser):
    """Collects the addresses that a browser would ask for by itself when it shows the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            loads = name in _LOADS or (name == "href" and tag in {"link", "base", "image", "use"})
            if loads and not _HARMLESS.match(value or ""):
                self.found.append(f"{tag} {(value or '')[:200]}")
            elif name == "style":
                self._styles(tag, value or "")
        if tag == "meta" and any(name == "http-equiv" and (value or "").lower() == "refresh" for name, value in attrs):
            self.found.append("meta refresh")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._styles("style", data)

    def _styles(self, tag: str, text: str) -> None:
        for address in re.findall(r"(?:url\(|@import)\s*['\"]?([^'\")\s]*)", text):
            if not _HARMLESS.match(address):
                self.found.append(f"{tag} {address[:200]}")


def configuration(name: str, output: str, history: str) -> str:
    """The generator's configuration: one file, our categories, history that is read and never written."""
    options = {"singleFile": True, "reportLanguage": "en", "groupBy": ["parentSuite", "suite"]}
    return json.dumps(
        {
            "name": name,
            "output": output,
            "historyPath": history,
            "historyLimit": _HISTORY,
            "appendHistory": False,  # it is ours: see `history_line`
            "categories": list(CATEGORIES),
            "plugins": {"awesome": {"options": options}},
        }
    )


def history_line(document: Mapping[str, Any]) -> str:
    """A run's point in Allure's history, from its result.json (reports/schemas); raises what a wrong shape raises."""
    run = document["run"]
    cases = [(site["name"], case) for site in document["sites"] for case in site["cases"]]
    results = {history_id(site, case["id"]): _past(site, case) for site, case in cases}
    point = {
        "uuid": run["id"],
        "name": run["id"],
        "timestamp": max((result["stop"] for result in results.values()), default=0),
        "knownTestCaseIds": [identity.split(".")[0] for identity in results],
        "testResults": results,
        "metrics": {},
        "url": "",
    }
    return json.dumps(point) + "\n"


def _past(site: str, case: Mapping[str, Any]) -> dict[str, Any]:
    start = round(datetime.fromisoformat(case["started"]).timestamp() * 1000)
    duration = round(case["seconds"] * 1000)
    identity = history_id(site, case["id"])
    return {
        "id": identity.split(".")[0],
        "name": case["id"],
        "fullName": case_id(site, case["id"]),
        "environment": "default",
        "status": STATUS[Verdict(case["verdict"])],
        "message": case["reason"],
        "start": start,
        "stop": start + duration,
        "duration": duration,
        "labels": [],
        "url": "",
        "historyId": identity,
        "reportLinks": [],
    }


def history(documents: Iterable[Mapping[str, Any]]) -> str:
    """Allure's history file of these runs, oldest first; a document of another shape is left out."""
    lines = []
    for document in documents:
        try:
            lines.append((str(document["run"]["started"]), history_line(document)))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue  # a file of another version, or damaged: the page is about this run
    return "".join(line for _, line in sorted(lines)[-_HISTORY:])
