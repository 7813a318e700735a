"""The report as one HTML file: complete, self-contained, harmless whatever a journal holds."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from pathlib import Path

import pytest

from islanding.evidence.bundle import WRITERS, latest_run, write_reports
from islanding.evidence.html import render_html
from islanding.evidence.record import Case, Stretch
from islanding.evidence.results import evaluate, load_result
from islanding.evidence.shown import pairs
from islanding.evidence.timeline import MAX_CELLS, cells, describe, ticks
from islanding.evidence.topology import layout
from islanding.evidence.wording import ENGLISH
from islanding.model import Topology
from tests.unit.test_evidence.conftest import ZERO, Writer, topology

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """What a browser would fetch or run, the text, the ids, and whether all elements are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def ids(self) -> list[str]:
        return [value for _, name, value in self.attributes if name == "id"]


@pytest.fixture(scope="module")
def html(run_folder: Path) -> str:
    """The report of the realistic run."""
    return render_html(load_result(run_folder))


def test_the_report_asks_no_other_address(html: str) -> None:
    """No element fetches, runs or leads anywhere else; what looks like an address is text."""
    page = Page(html)
    style = html[html.index("<style>") : html.index("</style>")]

    assert {"script", "link", "iframe", "img", "object", "embed", "base", "form"} & set(page.tags) == set()
    assert [a for a in page.attributes if a[1] in ("src", "srcset", "action", "data", "xlink:href")] == []
    assert [a for a in page.attributes if a[1] == "href" and not a[2].startswith("#")] == []
    assert [a for a in page.attributes if "://" in a[2]] == []
    assert [a for a in page.attributes if a[1].startswith("on")] == []
    assert re.findall(r"url\((?!#)|@import|://", style) == []
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes


def test_the_page_is_well_formed(html: str) -> None:
    """Every element is closed, ids are unique, and each link inside the page leads somewhere."""
    page = Page(html)

    assert page.open == []
    assert sorted(set(page.ids)) == sorted(page.ids)
    assert {v[1:] for _, n, v in page.attributes if n == "href"} <= set(page.ids)


def test_messages_are_shown_and_harmless(html: str) -> None:
    """What users saw stands word for word; markup and terminal escapes in it are text."""
    text = "".join(Page(html).text)

    assert "error: You must be logged in to the server (Unauthorized)" in text
    assert "Unable to connect to the server: net/http: TLS handshake timeout" in text
    assert "<script>alert(1)</script>" in text
    assert "‹ESC›[31mSERVFAIL‹ESC›[0m" in text
    assert "\x1b" not in html


def test_no_secret_is_in_the_report(html: str) -> None:
    """Evidence of a presigned call is shown without its signature."""
    assert "X-Amz-Signature=[redacted]" in html
    assert "0123456789abcdef" not in html


def test_the_report_says_all(html: str) -> None:
    """Head, lab, parts, each requirement row, topology, timelines, expectations, measurements, time."""
    text = " ".join(" ".join(Page(html).text).split())

    for said in (
        "Lab. Real parts on one Linux machine",
        "aws-iam-authenticator 0.6.13",
        "3f9c2d1",
        "50 rows",
        "O-08, O-11, O-12; C-01…C-17",
        "C-17 VPC DNS attributes",
        "Outpost network",
        "service link",
        "service-link-bgp-shut 40.1 s",
        "UNAUTHORIZED from 5 s after the cut until the link is back",
        "cut to ConnectedStatus 0",
        "2.62 s",
        "one API server, not three",
        "dnsmasq is not installed",
        "Ready after 16.2 s: machine image 0.40 s",
        "42.0 s were physics",
    ):
        assert said in text


def test_markup_in_any_field_is_text(writer: Writer) -> None:
    """No field of the journal can add an element to the page."""
    evil = '"><img src=x onerror=alert(1)>'
    writer.add(0, "run-started", run=evil, target=evil, sites=[evil], revision=evil, parts={evil: evil}, host=evil)
    figure = {"name": evil, "label": evil, "kind": "router", "x": 0, "y": 0}
    drawn = {"figures": [figure], "wires": [{"a": evil, "b": evil, "label": evil, "session": evil}]}
    writer.add(1, "site-step", site=evil, step=evil, seconds=1)
    writer.add(2, "site-ready", site=evil, seconds=1, facts={evil: evil}, topology=drawn)
    writer.case(evil, evil, 3, 9, "fail", title=evil, requirements=[evil, "O-01"], reason=evil, detail=evil)
    writer.cut(evil, evil, evil, 4, 5, evil)
    writer.watch(evil, evil, evil, start=3, end=4, interval=0.5, sample=lambda _: (evil, False, evil, 0.1))
    for kind in ("expectation", "measurement", "evidence", "warning", "wait"):
        key = dict.fromkeys(("site", "case", "watch", "claim", "reason", "name", "unit", "text", "title", "what"), evil)
        writer.add(6, kind, **key, value=evil, limit=evil, verdict="fail")
    page = Page(render_html(load_result(writer.save())))

    assert "img" not in page.tags
    assert page.open == []


def test_many_samples_render_in_seconds(writer: Writer) -> None:
    """50,000 samples that change all the time make a page of bounded size, and a lone outage is still seen."""
    writer.start("s")
    writer.case("s", "c", 1, 5002, "fail")

    def flap(at: float) -> tuple[str, bool, str, float]:
        return ("UP", True, "up", 0.01) if int(at * 10) % 2 else ("DOWN", False, f"down {at}", 0.01)

    def once(at: float) -> tuple[str, bool, str, float]:
        return ("LOST", False, "lost", 0.01) if 1000 <= at < 1000.1 else ("UP", True, "up", 0.01)

    writer.watch("s", "c", "flapping", start=1, end=2501, interval=0.1, sample=flap)
    writer.watch("s", "c", "steady", start=1, end=2501, interval=0.1, sample=once)
    path = writer.save()
    began = time.process_time()  # of our own: what else the machine does is not measured

    html = render_html(load_result(path))

    assert time.process_time() - began < 8.0
    assert len(html) < 600_000
    assert html.count("<title>LOST</title>") == 2


def test_a_short_outage_is_never_lost_in_drawing() -> None:
    """Above the limit of cells, each pixel column shows the worst outcome seen in it, on top."""
    many = [Stretch(t, t + 1.0, f"{'UP' if t % 2 else 'ALSO'}", "good", 1, 1.0, "") for t in range(MAX_CELLS * 4)]
    many[700] = Stretch(700.0, 700.001, "LOST", "bad", 1, 0.001, "")

    drawn = cells(many, 0.0, float(len(many)), 400.0)

    assert drawn[-1].outcome == "LOST"
    place = 700 / len(many) * 400
    assert drawn[-1].x <= place
    assert place <= drawn[-1].x + drawn[-1].width
    assert drawn[-1].width >= 2.0
    assert all(cell.x >= 0 and cell.x + cell.width <= 400.01 for cell in drawn)


def test_the_axis_has_round_seconds_and_a_zero() -> None:
    """Ticks are few, round, and include the moment of the cut."""
    assert ticks(-6.0, 50.0, 12) == [-5, 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50]
    assert ticks(-0.2, 0.3, 6) == pytest.approx([-0.2, -0.1, 0, 0.1, 0.2, 0.3])


def test_the_timeline_is_told_in_words(run_folder: Path) -> None:
    """The text alternative says when the fault was on and what each lane did."""
    case = next(case for case in load_result(run_folder).cases if case.id == "test_access_through_the_cut")
    said = describe(case)

    assert said.startswith("Fault service-link-bgp-shut applied at +0.0 s, undone at +40.1 s.")
    assert "kubectl as X.509 operator: ALLOWED from -6.0 s to +49.1 s." in said


@pytest.mark.parametrize("most", [350.0, 1080.0])
def test_no_figures_of_a_topology_overlap(most: float) -> None:
    """Boxes keep apart, on a wide page and on a narrow one, and the drawing fits."""
    plan = layout(Topology.model_validate(topology()), most=most)
    boxes = list(plan.boxes.values())

    assert plan.width <= most
    for i, a in enumerate(boxes):
        for b in boxes[i + 1 :]:
            apart_x = abs(a.x - b.x) >= (a.width + b.width) / 2
            apart_y = abs(a.y - b.y) >= (a.height + b.height) / 2
            assert apart_x or apart_y


def test_an_incomplete_run_says_so(writer: Writer) -> None:
    """The head of a crashed run's report says that it is incomplete."""
    writer.start("s")
    writer.add(1, "case-started", site="s", case="c", title="t", requirements=[])

    text = "".join(Page(render_html(load_result(writer.save()))).text)

    assert "Run incomplete" in text
    assert "the journal ends before the run did" in text


def test_an_empty_run_renders() -> None:
    """A run of which nothing is known still makes a report."""
    assert "No case of this run names a requirement." in render_html(evaluate([]))


def test_a_case_without_faults_starts_at_zero() -> None:
    """Without a fault, the time axis begins with the case."""
    assert Case("s", "c", started=ZERO).zero == ZERO


def test_reports_are_made_again_from_the_journal(writer: Writer) -> None:
    """Writing twice gives the same files and leaves nothing else behind."""
    writer.start("s")
    writer.case("s", "c", 1, 2, "pass")
    writer.add(3, "run-finished", exit_code=0)
    folder = writer.save().parent
    first = write_reports(folder)
    before = first.html.read_bytes(), first.junit.read_bytes()

    again = write_reports(folder)

    assert (again.html.read_bytes(), again.junit.read_bytes()) == before
    assert sorted(path.name for path in folder.iterdir()) == sorted(["journal.jsonl", *(name for name, _ in WRITERS)])
    assert latest_run(folder.parent) == folder


@pytest.mark.parametrize(
    ("value", "said"), [(0.42, "0.42 s"), (16.2, "16.2 s"), (143.0, "2 min 23 s"), (7260, "2 h 1 min"), (None, "–")]
)
def test_durations_read_as_people_say_them(value: float | None, said: str) -> None:
    """Seconds, minutes and hours."""
    assert said == ENGLISH.seconds(value)


def test_parts_of_any_shape_are_told() -> None:
    """A mapping, a list of named things and a plain text all become rows."""
    assert pairs({"etcd": {"version": "3.7.3"}}) == [("etcd", "version 3.7.3")]
    assert pairs([{"name": "etcd", "version": "3.7.3"}, "frr"]) == [("etcd", "version 3.7.3"), ("", "frr")]
    assert pairs(None) == []
