"""A synthetic but realistic journal: two sites in parallel, a cut of 40 s, messages as real parts print them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from islanding.chain import sealed
from islanding.journal import EVENT_TYPES, VERSION

EPOCH = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ZERO = 5000.0  # CLOCK_MONOTONIC at the start of the run


class Writer:
    """Writes events with the times that a test wants; `at` is seconds since the start of the run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[tuple[float, dict[str, Any]]] = []

    def add(self, at: float, kind: str, **data: Any) -> None:
        assert kind in EVENT_TYPES
        wall = (EPOCH + timedelta(seconds=at)).isoformat(timespec="milliseconds")
        self.rows.append((at, {"v": VERSION, "type": kind, "t": ZERO + at, "wall": wall, **data}))

    def save(self) -> Path:
        self.rows.sort(key=lambda row: row[0])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(
            b"".join(line + b"\n" for line in sealed([json.dumps(row).encode() for _, row in self.rows]))
        )
        return self.path

    def start(self, *sites: str, target: str = "lab") -> None:
        self.add(
            0,
            "run-started",
            run="2026-11-21T09-00-00Z",
            target=target,
            sites=list(sites),
            revision="3f9c2d1 (clean)",
            parts={"kubernetes": "1.36.3", "etcd": "3.7.3", "aws-iam-authenticator": "0.6.13", "frr": "8.4.4"},
            host={"name": "lab-1", "kernel": "6.18.2", "cgroup": "v1", "cores": 2},
        )

    def ready(self, site: str, at: float, steps: dict[str, float], region_control_plane: bool = False) -> None:
        self.add(0.1, "site-starting", site=site)
        passed = 0.1
        for step, seconds in steps.items():
            passed += seconds
            self.add(passed, "site-step", site=site, step=step, seconds=seconds)
        facts = {"kubernetes": "1.36.3", "control plane": "one API server, not three: 4 GiB of memory"}
        self.add(at, "site-ready", site=site, seconds=at, facts=facts, topology=topology(region_control_plane))

    def case(self, site: str, case: str, start: float, end: float, verdict: str, **more: Any) -> None:
        title, rows = more.pop("title", case), more.pop("requirements", [])
        self.add(start, "case-started", site=site, case=case, title=title, requirements=rows)
        detail, reason = more.pop("detail", ""), more.pop("reason", "")
        self.add(
            end,
            "case-finished",
            site=site,
            case=case,
            verdict=verdict,
            reason=reason,
            seconds=end - start,
            detail=detail,
        )

    def cut(self, site: str, case: str, fault: str, start: float, end: float, summary: str = "") -> None:
        key = {"site": site, "case": case, "fault": fault, "id": f"{site}-{case}-{fault}"}
        self.add(start - 0.2, "fault-planned", **key, target="ond-service-link", summary=summary)
        self.add(start + 0.05, "fault-applied", **key, start=ZERO + start, end=ZERO + start + 0.05)
        self.add(end + 0.05, "fault-undone", **key, start=ZERO + end, end=ZERO + end + 0.05)
        self.add(end + 1.0, "fault-healed", **key, seconds=0.9)

    def watch(
        self,
        site: str,
        case: str,
        watch: str,
        *,
        start: float,
        end: float,
        interval: float,
        sample: Callable[[float], tuple[str, bool, str, float]],
        probe: str = "kubectl",
        command: str = "",
    ) -> None:
        """Samples from `start` to `end`; `sample(at)` gives outcome, ok, text and how long it took."""
        key = {"site": site, "case": case, "watch": watch}
        self.add(
            start, "watch-started", **key, probe=probe, place="operator", interval=interval, command=command or watch
        )
        at, n = start, 0
        while at < end:
            outcome, ok, text, took = sample(at)
            self.add(
                at + took,
                "sample",
                **key,
                probe=probe,
                start=ZERO + at,
                end=ZERO + at + took,
                outcome=outcome,
                ok=ok,
                text=text,
            )
            at += max(interval, took)
            n += 1
        self.add(max(end, at), "watch-stopped", **key, ticks=n, missed=0)


def topology(region_control_plane: bool = False) -> dict[str, Any]:
    """The drawn topology of an Outpost site, as its supervisor writes it."""
    figures = [
        ("region", "AWS Region ap-northeast-1", "region", 0, 1),
        ("edge", "Region edge", "router", 1, 1),
        ("cnd", "Customer network device", "router", 2, 1),
        ("ond", "Outpost network device", "router", 3, 1),
        ("outpost", "Outpost", "outpost", 4, 1),
        ("worker-1", "worker-1", "machine", 5, 0),
        ("worker-2", "worker-2", "machine", 5, 1),
        ("worker-3", "worker-3", "machine", 5, 2),
        ("operator", "operator", "desk", 1.5, 2),
        ("client", "client", "desk", 2.5, 2),
        ("api", "Kubernetes API", "service", 0 if region_control_plane else 4, 0 if region_control_plane else 2),
    ]
    wires = [
        ("region", "edge", "", ""),
        ("edge", "cnd", "AS 64512", "wan"),
        ("cnd", "ond", "AS 65000", "service-link"),
        ("ond", "outpost", "", ""),
        ("outpost", "worker-1", "", ""),
        ("outpost", "worker-2", "", ""),
        ("outpost", "worker-3", "", ""),
        ("cnd", "operator", "", ""),
        ("cnd", "client", "", ""),
        ("region" if region_control_plane else "outpost", "api", "", ""),
    ]
    return {
        "figures": [{"name": n, "label": lb, "kind": k, "x": x, "y": y} for n, lb, k, x, y in figures],
        "wires": [{"a": a, "b": b, "label": label, "session": session} for a, b, label, session in wires],
    }


UNAUTHORIZED = "error: You must be logged in to the server (Unauthorized)"
TLS = "Unable to connect to the server: net/http: TLS handshake timeout"
IO = "Unable to connect to the server: dial tcp 10.0.3.17:6443: i/o timeout"


def realistic(path: Path) -> Path:
    """A run of both Outpost sites with passes, a failure, an inconclusive and a skipped case."""
    w = Writer(path)
    w.start("outpost-local", "outpost-extended")
    steps = {"machine image": 0.4, "routers and BGP": 2.1, "control plane": 6.3, "nodes": 4.4, "workload": 2.2}
    w.ready("outpost-local", 16.2, steps)
    w.ready("outpost-extended", 18.9, {**steps, "edge proxy": 0.7}, region_control_plane=True)
    _local(w, "outpost-local")
    _extended(w, "outpost-extended")
    for site in ("outpost-local", "outpost-extended"):
        w.add(142, "site-down", site=site, seconds=1.6)
    w.add(143, "run-finished", exit_code=1)
    return w.save()


def _local(w: Writer, site: str) -> None:
    one = "test_site_comes_up"
    w.case(
        site,
        one,
        17,
        19.5,
        "pass",
        title="Region, both network devices and both BGP sessions come up.",
        requirements=["O-01", "O-02"],
    )
    w.add(
        18, "measurement", site=site, case=one, name="first packet", value=1.27, unit="s", limit="<= 3", verdict="pass"
    )
    w.add(
        18.2,
        "evidence",
        site=site,
        case=one,
        title="kubectl get nodes",
        text="NAME                STATUS     ROLES           AGE   VERSION\n"
        "cp-1.outpost-local  NotReady   control-plane   12s   v1.36.3\n"
        "worker-1            Ready      <none>          9s    v1.36.3\n"
        "worker-2            Ready      <none>          9s    v1.36.3\n"
        "worker-3            Ready      <none>          8s    v1.36.3\n",
    )
    case, on, off = "test_access_through_the_cut", 30.0, 70.0
    w.case(
        site,
        case,
        24,
        82,
        "pass",
        title="With the service link cut, an X.509 operator keeps access, an IAM operator loses it, the workload never "
        "notices.",
        requirements=["O-04", "O-06", "O-07", "O-09"],
    )
    w.cut(site, case, "service-link-bgp-shut", on, off, "neighbor 169.254.10.1 shutdown at the customer network device")

    def inside(at: float) -> bool:
        return on <= at < off

    w.watch(
        site,
        case,
        "kubectl as IAM operator",
        start=24,
        end=80,
        interval=2,
        command="kubectl --kubeconfig iam get svc",
        sample=lambda at: (
            ("UNAUTHORIZED", False, UNAUTHORIZED, 10.15)
            if inside(at)
            else ("ALLOWED", True, "kubernetes 10.96.0.1", 0.4)
        ),
    )
    w.watch(
        site,
        case,
        "kubectl as X.509 operator",
        start=24,
        end=80,
        interval=1,
        command="kubectl --kubeconfig x509 get svc",
        sample=lambda _: ("ALLOWED", True, "kubernetes 10.96.0.1", 0.1),
    )
    w.watch(
        site,
        case,
        "HTTP to the workload",
        start=24,
        end=80,
        interval=0.1,
        probe="http",
        command="GET http://192.168.10.20/",
        sample=lambda _: ("ANSWERED", True, "200 nginx", 0.004),
    )
    w.watch(
        site,
        case,
        "BGP service link",
        start=24,
        end=80,
        interval=0.5,
        probe="bgp",
        sample=lambda at: (
            ("DOWN", False, "Idle (Admin)", 0.03)
            if on + 0.1 < at < off + 0.8
            else ("ESTABLISHED", True, "Established", 0.03)
        ),
    )
    w.watch(
        site,
        case,
        "DNS of sts.ap-northeast-1.amazonaws.com at the operator",
        start=24,
        end=80,
        interval=1,
        probe="dns",
        sample=lambda at: (
            ("UNKNOWN", False, "; <<>> \x1b[31mSERVFAIL\x1b[0m <<>> <script>alert(1)</script>", 0.02)
            if 44 < at < 49
            else ("NO_ANSWER", False, ";; no servers could be reached", 0.9)
            if inside(at)
            else ("RESOLVED", True, "10.0.9.9", 0.01)
        ),
    )
    for watch, claim in (
        ("kubectl as X.509 operator", "ALLOWED throughout"),
        ("kubectl as IAM operator", "UNAUTHORIZED from 5 s after the cut until the link is back"),
        ("HTTP to the workload", "ANSWERED throughout, no gap longer than 0.3 s"),
    ):
        w.add(
            81,
            "expectation",
            site=site,
            case=case,
            watch=watch,
            claim=claim,
            start=ZERO + 24,
            end=ZERO + 80,
            verdict="pass",
            reason="held for every sample in the window",
        )
    w.add(
        81.1, "measurement", site=site, case=case, name="cut to ConnectedStatus 0", value=2.62, unit="s", limit="<= 5",
        verdict="pass",
    )  # fmt: skip
    w.add(
        81.2,
        "measurement",
        site=site,
        case=case,
        name="notAfter of the certificate",
        value="2027-11-21T09:00:17Z",
        unit="",
    )
    w.add(70, "wait", site=site, case=case, what="service link stays cut", seconds=40.0, physics=True)
    w.add(16, "wait", site=site, what="API server ready", seconds=3.1, physics=False)
    w.case(
        site, "test_resolver_lost", 84, 84.1, "skipped", title="Without a resolver the failure is one of DNS.",
        requirements=["O-13"], reason="the site has no resolver of its own: dnsmasq is not installed",
    )  # fmt: skip


def _extended(w: Writer, site: str) -> None:
    case, on, off = "test_operator_cut_off", 32.0, 72.0
    w.case(
        site, case, 26, 90, "pass", title="With the service link cut, kubectl cannot reach the server, by either path.",
        requirements=["O-03", "O-05"],
    )  # fmt: skip
    w.cut(site, case, "service-link-silent-drop", on, off)

    def inside(at: float) -> bool:
        return on <= at < off

    for path, text, took in (("through the edge proxy", TLS, 10.1), ("direct", IO, 30.2)):
        w.watch(
            site,
            case,
            f"kubectl {path}",
            start=26,
            end=88,
            interval=2,
            sample=lambda at, text=text, took=took: (  # type: ignore[misc]  # mypy infers no defaults of a lambda
                ("API_UNREACHABLE", False, text, took) if inside(at) else ("ALLOWED", True, "kubernetes", 0.3)
            ),
        )
    w.add(72, "wait", site=site, case=case, what="dial timeouts of kubectl", seconds=40.0, physics=True)
    failing = "test_workload_answers_through_the_cut"
    w.case(
        site, failing, 92, 130, "fail", title="The workload answers without a gap through the cut.",
        requirements=["O-09"], reason="HTTP to the workload: HTTP_TIMEOUT at +4.2 s, ANSWERED was expected throughout",
        detail="> answers.expect(ANSWERED, throughout=True)\nE AssertionError: 21 of 300 samples were HTTP_TIMEOUT",
    )  # fmt: skip
    w.cut(site, failing, "service-link-bgp-shut", 98, 118)
    w.watch(
        site,
        failing,
        "HTTP to the workload",
        start=92,
        end=128,
        interval=0.1,
        probe="http",
        sample=lambda at: (
            ("HTTP_TIMEOUT", False, f"timed out after {1000 + int(at)} ms", 1.0)
            if 102.2 < at < 106 or 110 < at < 110.2
            else ("ANSWERED", True, "200 nginx", 0.004)
        ),
    )
    w.add(
        129, "expectation", site=site, case=failing, watch="HTTP to the workload", claim="ANSWERED throughout",
        start=ZERO + 92, end=ZERO + 128, verdict="fail", reason="HTTP_TIMEOUT at +4.2 s",
    )  # fmt: skip
    w.add(
        129.5, "evidence", site=site, case=failing, title="long-lived token in a log",
        text="curl https://sts.ap-northeast-1.amazonaws.com/?X-Amz-Credential=AKIA&X-Amz-Signature=0123456789abcdef&x=1",
    )  # fmt: skip
    w.add(129.6, "warning", site=site, case=failing, text="one worker is short of memory")
    w.case(
        site, "test_eviction", 131, 139, "inconclusive", title="A share of the nodes cut off is evicted or not, as the "
        "setting says.", requirements=["O-10"], reason="waited 300 s for node worker-2 NotReady; last seen: 'Ready'",
    )  # fmt: skip


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    """An empty journal in a run folder."""
    return Writer(tmp_path / "run" / "journal.jsonl")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a realistic run; treat it as read-only."""
    return realistic(tmp_path_factory.mktemp("runs") / "run" / "journal.jsonl").parent
