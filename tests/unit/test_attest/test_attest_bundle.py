"""What a bundle holds, that it is the same each time, and what becomes of a signature that lies there already."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from islanding.attest import archive, pack
from islanding.attest.layout import ARCHIVE, ATTESTATION, FOLDER, MANIFEST
from islanding.cli import main
from islanding.evidence.bundle import write_reports
from islanding.redact import REDACTED
from tests.tamper.bundles import KeyInMemory, journal, make, run_folder

TOKEN = "k8s-aws-v1.aHR0cHM6Ly9zdHMuYW1hem9uYXdzLmNvbS8_QWN0aW9uPUdldENhbGxlcklkZW50aXR5"


def packed(run: Path, **options: Any) -> pack.Packed:
    """The bundle of a run, made as `islanding report` makes it."""
    reports = write_reports(run)
    return pack.pack(reports.result, run, reports.files, **options)


def told(run: Path) -> dict[str, Any]:
    """The manifest."""
    manifest: dict[str, Any] = json.loads((run / FOLDER / MANIFEST).read_bytes())
    return manifest


def test_made_twice_it_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """In another folder, at another time, with files of other times and modes."""
    one = make(tmp_path / "one")
    shutil.copytree(tmp_path / "one/logs", tmp_path / "two/logs")
    (tmp_path / "two/logs/edge/pytest.log").chmod(0o600)

    other = make(tmp_path / "two")

    assert other.zip == one.zip
    assert other.files == one.files


def test_the_archive_holds_what_the_folder_holds(tmp_path: Path) -> None:
    """Unpacked, it is the same; nothing else lies in the run's folder afterwards."""
    made = make(tmp_path)

    with zipfile.ZipFile(tmp_path / ARCHIVE) as found:
        assert {name: found.read(name) for name in found.namelist()} == made.files
    assert not list(tmp_path.glob("*.part"))


def test_the_manifest_says_what_the_run_was(tmp_path: Path) -> None:
    """Target, code and whether it was changed, parts with hashes, computer, clock; and every file's size and hash."""
    made = make(tmp_path)
    manifest = told(tmp_path)

    run = {key: manifest["run"][key] for key in ("name", "target", "sites", "clean", "complete", "verdict")}
    assert run == {
        "name": "r1", "target": "lab", "sites": ["edge"], "clean": True, "complete": True, "verdict": "pass"
    }  # fmt: skip
    assert manifest["hashes"] == {"etcd": "1" * 64}
    assert (manifest["host"], manifest["clock"]) == ({"kernel": "6.1"}, {"keeper": "unknown"})
    assert manifest["files"] == {
        name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in made.files.items()
        if name not in {MANIFEST, ATTESTATION}
    }


def test_secrets_are_taken_out_of_logs_and_other_bytes_stay(tmp_path: Path) -> None:
    """Also of a log that is no UTF-8."""
    run = run_folder(tmp_path)
    (run / "logs/edge/kubelet.log").write_bytes(b"\xff\xfe token " + TOKEN.encode() + b"\r\n")

    packed(run)

    kept = (run / FOLDER / "logs/edge/kubelet.log").read_bytes()
    assert kept == b"\xff\xfe token k8s-aws-v1." + REDACTED.encode() + b"\r\n"
    assert (run / "logs/edge/kubelet.log").read_bytes().endswith(TOKEN.encode() + b"\r\n")


def test_what_is_left_out_is_named_with_its_hash(tmp_path: Path) -> None:
    """Captures and the machines' binary journals; links are not followed."""
    run = run_folder(tmp_path)
    (run / "logs/edge/cut.pcap").write_bytes(b"packets")
    (run / "captures").mkdir()
    (run / "captures/test_cut-cnd-1.pcap").write_bytes(b"headers")
    (run / "logs/edge/worker.journal").mkdir()
    (run / "logs/edge/worker.journal/system.journal").write_bytes(b"binary")
    (run / "logs/edge/link").symlink_to("/etc/hostname")

    packed(run)

    left = told(run)["left_out"]
    assert {name: (entry["size"], entry["sha256"]) for name, entry in left.items()} == {
        "captures/test_cut-cnd-1.pcap": (7, hashlib.sha256(b"headers").hexdigest()),
        "logs/edge/cut.pcap": (7, hashlib.sha256(b"packets").hexdigest()),
        "logs/edge/worker.journal/system.journal": (6, hashlib.sha256(b"binary").hexdigest()),
    }
    assert not (run / FOLDER / "logs/edge/link").exists()


def test_captures_are_taken_in_when_asked_for(tmp_path: Path) -> None:
    """With the hash of their bytes as they are."""
    run = run_folder(tmp_path)
    (run / "logs/edge/cut.pcap").write_bytes(b"packets")

    packed(run, captures=True)

    assert (run / FOLDER / "logs/edge/cut.pcap").read_bytes() == b"packets"
    assert told(run)["files"]["logs/edge/cut.pcap"]["sha256"] == hashlib.sha256(b"packets").hexdigest()
    assert told(run)["left_out"] == {}


def test_a_signature_is_kept_as_long_as_it_is_over_the_same_files(tmp_path: Path) -> None:
    """Making the reports again drops none; what changed since takes it away, and that is said."""
    make(tmp_path)
    signed = (tmp_path / FOLDER / ATTESTATION).read_bytes()

    again = packed(tmp_path)
    kept = (tmp_path / FOLDER / ATTESTATION).read_bytes()
    (tmp_path / "logs/edge/more.log").write_text("more")
    changed = packed(tmp_path)

    assert (again.keyid, kept) == (KeyInMemory("signer").public.id, signed)
    assert changed.keyid == ""
    assert changed.notes == ("the bundle was signed before, but is no longer the same: sign it again",)
    assert not (tmp_path / FOLDER / ATTESTATION).exists()


def test_a_crashed_run_is_bundled_and_marked(tmp_path: Path) -> None:
    """Cut off in the middle of an entry: incomplete, no verdict of a pass; the exit code is the run's."""
    run = run_folder(tmp_path, journal()[:-150])

    done = CliRunner().invoke(main, ["report", str(run)])

    assert done.exit_code == 2
    assert (told(run)["run"]["complete"], told(run)["run"]["verdict"]) == (False, "incomplete")
    assert told(run)["run"]["problems"]


def test_the_command_says_where_it_is_and_that_nobody_signed(tmp_path: Path) -> None:
    """One line more than the summary; --no-bundle makes none."""
    run = run_folder(tmp_path)

    without = CliRunner().invoke(main, ["report", str(run), "--no-bundle"])
    assert not (run / FOLDER).exists()
    made = CliRunner().invoke(main, ["report", str(run)])

    assert "evidence:" not in without.output
    assert "not signed (--sign-key, --sign-pkcs11, --sign-kms)" in made.output.replace("\n", " ")


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3, the journal is untouched, and the bundle of before still lies there."""
    make(tmp_path)
    before = (tmp_path / ARCHIVE).read_bytes()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive, "write", full)

    done = CliRunner().invoke(main, ["report", str(tmp_path)])

    assert done.exit_code == 3
    assert "the bundle cannot be made: No space left on device" in done.output
    assert (tmp_path / ARCHIVE).read_bytes() == before


def test_names_that_must_not_be_in_a_bundle_stay_out(tmp_path: Path) -> None:
    """A log with an escape in its name is named under left_out, harmlessly."""
    run = run_folder(tmp_path)
    (run / "logs/edge/a\x1bb.log").write_text("x")

    packed(run)

    assert list(told(run)["left_out"]) == ["logs/edge/a\x1bb.log"]
    assert told(run)["left_out"]["logs/edge/a\x1bb.log"]["why"] == "its name has control characters"
