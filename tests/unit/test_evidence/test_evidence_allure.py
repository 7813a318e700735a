"""Allure's results from the journal, and its page: nothing of them makes a browser ask anybody for anything."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest

from islanding.cli import allure as generator
from islanding.errors import SetupError
from islanding.evidence.allure import CATEGORIES, allure_files, markdown, render_allure
from islanding.evidence.allurepage import POLICY, cleaned_page, history, outside_addresses
from islanding.evidence.resultjson import render_json
from islanding.evidence.results import load_result
from islanding.paths import cache_dir, content_dir
from tests.unit.test_evidence.conftest import Writer
from tests.unit.test_evidence.test_evidence_exports import Mapped

CACHE = cache_dir()  # the user's own: tests have an empty one, and the generator is installed once
TAG = """    <script async src="https://www.googletagmanager.com/gtag/js?id=G-LNDJ3J7WT0"></script>
    <script>
        window.dataLayer = window.dataLayer || [];
        function gtag(){dataLayer.push(arguments);}
        gtag('js', new Date());
        gtag('config', 'G-LNDJ3J7WT0', {"report": "awesome", "single_file": "true"});
    </script>
"""
PAGE = f"""<!DOCTYPE html>
<html><head>
<meta charset="utf-8"><link rel="icon" href="data:image/svg+xml,x"></head>
<body><script src="data:text/javascript;base64,AAAA"></script>
{TAG}<script>const text = "see https://example.com/";</script></body></html>"""


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Each case's result of a run, by its name."""
    files = allure_files(load_result(folder), Mapped())
    found = [json.loads(data) for name, data in files.items() if name.endswith("-result.json")]
    return {one["name"]: one for one in found}


def test_each_verdict_has_its_status(run_folder: Path) -> None:
    """Only pass is passed; inconclusive is broken."""
    assert {
        "test_site_comes_up": "passed",
        "test_access_through_the_cut": "passed",
        "test_resolver_lost": "skipped",
        "test_operator_cut_off": "passed",
        "test_workload_answers_through_the_cut": "failed",
        "test_eviction": "broken",
    } == {name: one["status"] for name, one in results(run_folder).items()}


def test_rows_and_controls_are_labels(run_folder: Path) -> None:
    """A reader can filter by requirement and by control."""
    labels = [(one["name"], one["value"]) for one in results(run_folder)["test_operator_cut_off"]["labels"]]
    mapped = [(one["name"], one["value"]) for one in results(run_folder)["test_access_through_the_cut"]["labels"]]

    assert [value for name, value in labels if name == "requirement"] == ["O-03", "O-05"]
    assert ("control", "nist-800-53 SC-7") in mapped
    assert ("tag", "nist-800-53 SC-7") in mapped


def test_steps_have_the_times_of_the_journal(run_folder: Path) -> None:
    """The fault's step lasts from the moment it was applied to that at which it was undone, in wall-clock time."""
    case = results(run_folder)["test_access_through_the_cut"]
    fault = next(step for step in case["steps"] if step["name"].startswith("fault service-link-bgp-shut"))

    assert ("passed", 40_050) == (fault["status"], fault["stop"] - fault["start"])
    assert fault["start"] - case["start"] == 6_000
    assert case["start"] == 1795251624000  # 2026-11-21T09:00:24Z


def test_expectations_that_failed_are_failed_steps(run_folder: Path) -> None:
    """A step says which claim did not hold, and why."""
    case = results(run_folder)["test_workload_answers_through_the_cut"]
    (claim,) = [step for step in case["steps"] if step["name"].startswith("expect ")]

    assert ("failed", "HTTP_TIMEOUT at +4.2 s") == (claim["status"], claim["statusDetails"]["message"])


def test_every_attachment_is_there_and_harmless(run_folder: Path) -> None:
    """What a result names is in the files; escapes are shown, timelines are tables."""
    files = allure_files(load_result(run_folder))
    named = [
        attachment
        for one in results(run_folder).values()
        for owner in (one, *one["steps"])
        for attachment in owner.get("attachments", ())
    ]
    messages = next(one for one in results(run_folder)["test_access_through_the_cut"]["attachments"])
    tables = [list(csv.reader(io.StringIO(files[one["source"]].decode()))) for one in named if "csv" in one["source"]]

    assert {one["source"] for one in named} == {name for name in files if "-attachment." in name}
    assert "‹ESC›[31mSERVFAIL" in files[messages["source"]].decode()
    assert tables != []
    assert {len(row) for table in tables for row in table} == {7}


def test_a_cell_is_no_formula(writer: Writer) -> None:
    """A watch whose name begins as a formula does stays a text in a spreadsheet."""
    writer.start("s")
    writer.case("s", "c", 1, 9, "pass")
    writer.watch("s", "c", "=1+1", start=2, end=4, interval=1, sample=lambda _: ("ANSWERED", True, "x", 0.1))
    files = allure_files(load_result(writer.save()))
    (table, *_) = [data.decode() for name, data in files.items() if name.endswith(".csv")]

    assert {"'=1+1"} == {row[0] for row in list(csv.reader(io.StringIO(table)))[1:]}


def test_a_case_in_two_places_has_two_results(writer: Writer) -> None:
    """A case that a journal holds twice is shown twice, with one history."""
    writer.start("s")
    writer.case("s", "c", 1, 2, "fail", reason="x")
    writer.case("s", "c", 3, 4, "pass")
    files = allure_files(load_result(writer.save()))
    found = [json.loads(data) for name, data in files.items() if name.endswith("-result.json")]
    cases = [one for one in found if one["name"] == "c"]

    assert len({one["uuid"] for one in cases}) == 2
    assert len({one["historyId"] for one in cases}) == 1


def test_a_broken_run_is_shown(writer: Writer) -> None:
    """Nothing in Allure is about a run: what is wrong with it is a result."""
    writer.start("s")
    writer.case("s", "c", 1, 2, "pass")
    made = results(writer.save().parent)

    assert made["run is whole"]["status"] == "broken"
    assert "the journal ends before the run did" in made["run is whole"]["statusDetails"]["message"]


def test_the_zip_holds_the_files(run_folder: Path) -> None:
    """The archive is what the folder would be, environment and categories with it."""
    result = load_result(run_folder)
    with zipfile.ZipFile(io.BytesIO(render_allure(result))) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}

    assert held == allure_files(result)
    assert b"part\\ kubernetes = 1.36.3\n" in held["environment.properties"]
    assert list(CATEGORIES) == json.loads(held["categories.json"])


def test_markdown_cannot_load_a_picture() -> None:
    """Punctuation is escaped, so that a title is no markup."""
    assert markdown("![x](http://e.x/)<b>") == r"\!\[x\]\(http\:\/\/e\.x\/\)\<b\>"


def test_the_analytics_tag_is_taken_out() -> None:
    """The tag and its call go; a policy comes in before all else; a text that names an address stays."""
    page = cleaned_page(PAGE)

    assert "googletagmanager" not in page
    assert "gtag" not in page
    assert "dataLayer" not in page
    assert "see https://example.com/" in page
    assert page.index(POLICY) < page.index("<meta charset")


@pytest.mark.parametrize(
    "element",
    [
        '<script src="https://e.x/a.js"></script>',
        '<link rel="stylesheet" href="//e.x/a.css">',
        '<img src="http://e.x/a.png">',
        '<iframe src="https://e.x/"></iframe>',
        '<img srcset="https://e.x/a.png 2x">',
        '<style>@import "https://e.x/a.css";</style>',
        '<p style="background: url(https://e.x/a.png)">',
        '<meta http-equiv="refresh" content="0; url=https://e.x/">',
        "<script>gtag('config', 'G-1');</script>",
    ],
)
def test_a_page_with_an_outside_address_is_refused(element: str) -> None:
    """Another tag, or a form of the analytics that is not known, is never kept."""
    with pytest.raises(SetupError, match="not of the form"):
        cleaned_page(PAGE.replace("</body>", f"{element}</body>"))


def test_the_raw_page_has_an_outside_address() -> None:
    """The finder sees the tag that has to go, and neither texts nor data: addresses."""
    assert ["script https://www.googletagmanager.com/gtag/js?id=G-LNDJ3J7WT0"] == outside_addresses(PAGE)


def test_history_leaves_out_what_it_cannot_read(run_folder: Path) -> None:
    """A result of another shape is passed over; the others are points in the order of their runs."""
    document = json.loads(render_json(load_result(run_folder)))
    older = {**document, "run": {**document["run"], "id": "older", "started": "2026-11-20T09:00:00+00:00"}}
    lines = history([document, {"run": {"started": "x"}, "sites": 1}, {}, older]).splitlines()

    assert ["older", "2026-11-21T09-00-00Z"] == [json.loads(line)["name"] for line in lines]
    assert len(json.loads(lines[0])["testResults"]) == 6


def test_the_generator_is_pinned_by_hash_and_by_no_address() -> None:
    """Each package of the lock has its hash; where it comes from is the machine's setting."""
    packages = json.loads((content_dir("reports") / "allure" / "package-lock.json").read_text())["packages"]
    locked = {name: one for name, one in packages.items() if name}

    assert [name for name, one in locked.items() if not one.get("integrity", "").startswith("sha512-")] == []
    assert [name for name, one in locked.items() if "resolved" in one] == []
    assert len(locked) > 100


def test_without_node_the_command_that_helps_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Node.js gets no traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ISLANDING_CACHE", str(tmp_path / "cache"))

    with pytest.raises(SetupError, match="node and npm cannot be found") as caught:
        generator.installed(lambda _: None)
    assert "apt-get install nodejs npm" in caught.value.fix


def test_a_failed_installation_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What npm said is told, and the cache has no half of a generator."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("node", "echo v20.1.0"), ("npm", "mkdir node_modules; echo no network >&2; exit 7")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    monkeypatch.setenv("ISLANDING_CACHE", str(tmp_path / "cache"))

    with pytest.raises(SetupError, match="exit code 7; no network"):
        generator.installed(lambda _: None)
    assert list((tmp_path / "cache" / "allure").iterdir()) == []


@pytest.mark.skipif(
    shutil.which("npm") is None or not Path("/usr/bin/chromium").exists(), reason="needs npm and Debian's Chromium"
)
def test_the_real_page_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real generator's page of a hostile run, opened in a browser: no request but for itself, nothing is run."""
    from playwright.sync_api import Dialog, sync_playwright

    monkeypatch.setenv("ISLANDING_CACHE", str(CACHE))
    evil = f"<img src=http://{uuid.uuid4()}.invalid/x onerror=alert(1)><script>alert(1)</script>![p](http://p.invalid/)"
    for name, verdict in (("older", "pass"), ("newer", "fail")):
        writer = Writer(tmp_path / name / "journal.jsonl")
        writer.add(0, "run-started", run=name, target="lab", sites=["s"], revision=evil, parts={evil: evil})
        writer.case("s", "hostile", 1, 5, verdict, title=evil, reason=evil, detail=evil)
        writer.add(3, "evidence", site="s", case="hostile", title=evil, text=evil)
        writer.add(9, "run-finished", exit_code=1)
        home = writer.save().parent
        (home / "result.json").write_text(render_json(load_result(home)))
    home = tmp_path / "newer"
    page = generator.write_page(load_result(home), home, lambda _: None)
    # The address of a case in the page is made of the id of its result (Allure's core/store/convert.js).
    shown = hashlib.md5(results(home)["hostile"]["uuid"].encode(), usedforsecurity=False).hexdigest()
    asked: list[str] = []
    dialogs: list[str] = []

    def told(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page()
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("dialog", told)
        tab.goto(f"{page.as_uri()}#{shown}", timeout=60_000)
        tab.get_by_text("History", exact=False).first.wait_for(timeout=60_000)
        text = tab.inner_text("body")
        browser.close()

    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert dialogs == []
    assert "<img src=http://" in text
    assert "History 1" in " ".join(text.split())
