"""Planted secrets come out nowhere: not in what a run prints, nor in any byte of what it leaves (X-06)."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from islanding.journal import read
from islanding.paths import content_dir
from tests.lab.canaries import VARIABLE, Canaries, files, forms, search

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture
def canaries() -> Canaries:
    """Secrets of this test alone."""
    return Canaries.hatch()


@pytest.fixture
def endpoint(canaries: Canaries) -> Iterator[str]:
    """An HTTP server that refuses, and answers with credentials as a careless proxy in front of IMDS would."""

    class Careless(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            role = {
                "Code": "Success",
                "AccessKeyId": canaries.access_key_id,
                "SecretAccessKey": canaries.secret_key,
                "Token": canaries.session_token,
                "key": canaries.pem,
            }
            content = json.dumps(role, indent=1).encode()
            self.send_response(403, "Forbidden")
            self.send_header("Set-Cookie", f"session={canaries.password}; Path=/")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Careless) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/latest/meta-data/iam/security-credentials/canary"
        server.shutdown()


@pytest.fixture
def planted(canaries: Canaries, endpoint: str, tmp_path: Path) -> dict[str, str]:
    """The environment of the run, with the canaries in it, in its AWS files and in what its cases will use."""
    environment = {
        "AWS_ACCESS_KEY_ID": canaries.access_key_id,
        "AWS_SECRET_ACCESS_KEY": canaries.secret_key,
        "AWS_SESSION_TOKEN": canaries.session_token,
    }
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    lines = [f"{name.lower()} = {value}" for name, value in environment.items()]
    (home / ".aws" / "credentials").write_text("\n".join(["[default]", *lines, ""]))
    kubeconfig = home / "config"
    user = {"client-key-data": _base64(canaries.pem), "token": f"k8s-aws-v1.{canaries.eks_token}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "users": [{"name": "a", "user": user}, {"name": "b", "user": {"username": "b", "password": canaries.password}}],
    }
    kubeconfig.write_text(yaml.safe_dump(config))
    told = tmp_path / "canaries.json"
    told.write_text(
        json.dumps(
            {
                "environment": environment,
                "kubeconfig": str(kubeconfig),
                "bearers": [canaries.bearer, f"k8s-aws-v1.{canaries.eks_token}"],
                "endpoint": endpoint,
                "address": f"smtp://alarm:{canaries.password}@mail.example:587",
                "pem": canaries.pem,
                "phrase": canaries.phrase,
            }
        )
    )
    return {**environment, "HOME": str(home), VARIABLE: str(told), "CANARY_PASSWORD": canaries.phrase}


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()


def checkout_with(suite: Path, folder: Path) -> Path:
    """A copy of the harness whose only suite is `suite`."""
    ignore = shutil.ignore_patterns("__pycache__")
    for name in ("islanding", "fixtures", "reports"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "experiments").mkdir()
    (folder / "suites").mkdir()
    shutil.copy(content_dir("suites") / "conftest.py", folder / "suites")
    shutil.copy(suite, folder / "suites" / "test_canary_cases.py")
    return folder


def test_no_planted_secret_comes_out(canaries: Canaries, planted: dict[str, str], tmp_path: Path) -> None:
    """A run whose cases use, print and fail with secrets leaves none in any file, name or line of output."""
    with tempfile.TemporaryDirectory(prefix="canary") as state:  # a short path: SSH's sockets are in it
        copy = checkout_with(HERE / "canary_suite.py", tmp_path / "copy")
        run = tmp_path / "run"
        env = {**os.environ, **planted, "PYTHONPATH": str(copy), "ISLANDING_STATE": state}
        env.setdefault("ISLANDING_CACHE", str(Path.home() / ".cache" / "islanding"))
        command = [sys.executable, "-m", "islanding"]
        done = subprocess.run(
            [*command, "run", "--site", "outpost-local", "--run", str(run)],
            cwd=copy,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=400,
            check=False,
        )
        again = subprocess.run([*command, "report", str(run)], cwd=copy, env=env, capture_output=True, check=False)
        assert 1 == done.returncode, done.stdout[-3000:] + done.stderr[-3000:]
        printed = {"stdout": done.stdout + again.stdout, "stderr": done.stderr + again.stderr}
        left = {**printed, **files(run, Path(state))}

        assert [] == search(left, canaries)

    events = list(read(run / "journal.jsonl"))
    failed = {e["case"] for e in events if e.type == "case-finished" and e["verdict"] == "fail"}
    assert 3 == len(failed), failed  # each case used its canaries, and failed as it was meant to
    assert [True] == [(e["packets"] or 0) > 10 for e in events if e.type == "capture"]
    assert any("[redacted]" in str(e.get("text")) for e in events if e.type == "evidence")
    assert_found_where_it_is_planted(left, canaries, tmp_path)


def assert_found_where_it_is_planted(left: dict[str, bytes], canaries: Canaries, tmp_path: Path) -> None:
    """The same search finds each secret in each form, in a copy of what was left and in an archive of it."""
    journal = next(name for name in left if name.endswith("journal.jsonl"))
    for kind, secret in canaries.secrets.items():
        for form, value in forms(secret).items():
            spoilt = {**left, journal: left[journal][:500] + value + left[journal][500:]}
            assert f"{journal}: {kind}, {form}" in search({journal: spoilt[journal]}, canaries)
    bundle = tmp_path / "bundle.zip"
    with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"samples/{canaries.password}", canaries.pem.encode())
    found = search({"bundle.zip": bundle.read_bytes()}, canaries)
    assert any("private key, line 3, plain" in each for each in found)
    assert any("password, plain" in each for each in found)
