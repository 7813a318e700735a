"""`islanding verify`: what it says in one line, its exit codes, and what bad bundles, keys and clocks come to."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from islanding.attest import keys, opened, pack
from islanding.attest.layout import ARCHIVE, ATTESTATION, FOLDER, JOURNAL, MANIFEST
from islanding.attest.verify import Trust, verify
from islanding.cli import main
from islanding.evidence.bundle import write_reports
from tests.tamper.bundles import ENTRIES, KeyInMemory, Made, journal, make, read, run_folder
from tests.tamper.verifiers import by_command, script_finds

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A bundle, with the signer's public key in key.pub beside it."""
    made = make(tmp_path)
    (tmp_path / "key.pub").write_bytes(made.key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return made


def said(made: Made, *options: str, bundle: str = FOLDER, key: str = "key.pub") -> tuple[int, str]:
    """Exit code and text of `islanding verify`."""
    given = ["--key", str(made.folder / key)] if key else []
    done = CliRunner().invoke(main, ["verify", str(made.folder / bundle), *given, *options])
    return done.exit_code, done.output.strip().replace(f"{made.folder}/", "")


@pytest.mark.parametrize("bundle", [FOLDER, ARCHIVE])
def test_a_bundle_that_holds_is_told_in_one_line(made: Made, bundle: str) -> None:
    """By whom it was signed, and what the run came to."""
    code, line = said(made, bundle=bundle)

    assert code == 0
    assert line == (
        f"✓ {bundle}: {len(made.files) - 2} files unchanged, signed by the key {made.key.id[:16]}…; "
        "run r1: PASSED, verdict pass"
    )


def test_what_is_wrong_is_told_in_one_line_that_names_the_file(made: Made) -> None:
    """The first thing; --all says the rest."""
    (made.folder / FOLDER / "report.html").unlink()
    (made.folder / FOLDER / "new").write_text("")

    assert said(made) == (1, f"✕ {FOLDER}: report.html: is missing (and 1 more; --all names them)")
    assert said(made, "--all")[1].splitlines()[1] == f"✕ {FOLDER}: new: was added: the manifest does not name it"


def test_an_unsigned_bundle_is_no_success_unless_that_was_asked_for(tmp_path: Path) -> None:
    """Exit code 2 and why; 0 with --unsigned-ok, and damage is still found."""
    made = make(tmp_path, signed=False)
    (tmp_path / "key.pub").write_bytes(made.key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    code, text = said(made)

    assert code == 2
    assert "nobody signed this bundle" in text
    assert said(made, "--unsigned-ok", key="")[0] == 0
    (tmp_path / FOLDER / "README.txt").write_text("x")
    assert said(made, "--unsigned-ok", key="")[0] == 1


def test_without_a_key_it_says_what_to_give(made: Made) -> None:
    """Exit code 3: nothing was checked."""
    assert said(made, key="")[0] == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nothing", "is no public key and no certificate in PEM"),
        ("-----BEGIN PRIVATE KEY-----\n", "is a private key; whoever verifies needs the public one"),
    ],
)
def test_a_file_that_is_no_public_key_is_told_from_a_bad_bundle(made: Made, text: str, told: str) -> None:
    """Exit code 3, and what the file is."""
    (made.folder / "other").write_text(text)

    code, said_of_it = said(made, key="other")

    assert code == 3
    assert told in said_of_it


def test_another_key_is_named(made: Made) -> None:
    """Both are told by the beginning of their ids."""
    other = KeyInMemory("somebody else").public

    done = by_command(made.files, other)

    assert done.problems == [(ATTESTATION, f"was signed by another key: {made.key.id[:16]}…, not by {other.id[:16]}…")]


def certificate(folder: Path, seed: str, begins: datetime, ends: datetime) -> Path:
    """A certificate over the key that `seed` makes."""
    key = KeyInMemory(seed)._key
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends).sign(key, None)
    path = folder / "certificate.pem"
    path.write_bytes(built.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("begins", "ends", "told"),
    [
        (-20, 10, ""),
        (-20, -10, "the key's certificate expired on 2026-11-12 00:00:00 UTC"),
        (10, 20, "the key's certificate is valid only from 2026-12-02 00:00:00 UTC"),
    ],
)
def test_a_certificate_must_be_valid(made: Made, begins: int, ends: int, told: str) -> None:
    """By the time now, when no stamp says when it signed."""
    path = certificate(made.folder, "signer", NOW + timedelta(days=begins), NOW + timedelta(days=ends))
    with opened.opened(made.folder / FOLDER) as bundle:
        done = verify(bundle, Trust(keys.load(path), now=NOW))

    assert [what.split(";")[0] for _, what in done.problems] == ([told] if told else [])


def test_a_bundle_from_the_future_is_noted(made: Made) -> None:
    """It may be the clock here that is wrong: no failure."""
    with opened.opened(made.folder / FOLDER) as bundle:
        done = verify(bundle, Trust(made.key, now=datetime(2020, 1, 1, tzinfo=UTC)))

    assert done.problems == []
    assert done.notes == ["it is from the future by this computer's clock: this clock is wrong, or that one was"]


def test_a_manifest_of_a_newer_version_is_told(made: Made) -> None:
    """Not called damaged: another islanding is needed."""
    told = json.loads(made.files[MANIFEST]) | {"version": 99}

    done = by_command(made.files | {MANIFEST: json.dumps(told).encode()}, made.key)

    assert done.problems == [(MANIFEST, "is of version 99; this islanding knows up to 1: take a newer one")]


def bundle_of(folder: Path, written: bytes) -> Made:
    """A bundle, signed in good faith, of a run with this journal."""
    run_folder(folder, written)
    reports = write_reports(folder)
    signer = KeyInMemory("signer")
    pack.pack(reports.result, folder, reports.files, signer=signer)
    return read(folder, signer.public)


@pytest.mark.parametrize("cut", [30, 400, 1000])
def test_a_run_that_crashed_verifies_as_incomplete(tmp_path: Path, cut: int) -> None:
    """A journal cut off in the middle: the bundle holds, and says that nothing of it counts as passed."""
    made = bundle_of(tmp_path, journal()[:-cut])

    done = by_command(made.files, made.key)

    assert done.problems == []
    assert (done.result, done.run["verdict"], done.run["complete"]) == ("FAILED", "incomplete", False)
    assert any("the run is incomplete, nothing of it counts as passed" in note for note in done.notes)
    assert script_finds(made.files, made.key) == ""


def without_entry(lines: list[bytes]) -> list[bytes]:
    """The third entry is gone."""
    return lines[:2] + lines[3:]


def with_changed_entry(lines: list[bytes]) -> list[bytes]:
    """A verdict was turned."""
    return [line.replace(b'"seconds": 1.0', b'"seconds": 9.0') for line in lines]


@pytest.mark.parametrize("change", [without_entry, with_changed_entry])
def test_a_journal_altered_before_it_was_signed_is_found(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    """The manifest has its hash and the signature holds: the chain says it."""
    lines = change(journal().splitlines())
    made = bundle_of(tmp_path, b"\n".join(lines) + b"\n")

    done = by_command(made.files, made.key)

    assert [name for name, _ in done.problems] == [JOURNAL]
    assert script_finds(made.files, made.key).startswith("ValueError: journal.jsonl: line 3 breaks the chain")


def test_inputs_must_be_those_that_the_run_was_given(tmp_path: Path) -> None:
    """A site file changed between run and bundle is found by the journal's first entry."""
    run_folder(tmp_path)
    (tmp_path / "inputs/sites/edge/site.yaml").write_text("name: other\n")
    reports = write_reports(tmp_path)
    signer = KeyInMemory("signer")
    pack.pack(reports.result, tmp_path, reports.files, signer=signer)

    done = by_command(read(tmp_path, signer.public).files, signer.public)

    assert done.problems == [
        ("inputs/sites/edge/site.yaml", "is not what the run was given: the journal has another SHA-256")
    ]


def test_a_journal_without_a_chain_is_noted(tmp_path: Path) -> None:
    """A run of before journals were chained can be bundled; the manifest alone protects its journal."""
    old = b"".join(
        json.dumps({"v": 1, "t": 1.0, "wall": "2026-11-21T09:00:00+00:00", **entry, "inputs": None}).encode() + b"\n"
        for entry in ENTRIES
    )
    made = bundle_of(tmp_path, old)

    done = by_command(made.files, made.key)

    assert done.problems == []
    assert any("is of version 1" in note for note in done.notes)
    assert script_finds(made.files, made.key) == ""


def zip_with(change: Callable[[zipfile.ZipFile], None]) -> bytes:
    """A zip with one plain file and what `change` adds."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("plain", b"x")
        change(archive)
    return target.getvalue()


def link(archive: zipfile.ZipFile) -> None:
    """A symbolic link."""
    entry = zipfile.ZipInfo("link")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    archive.writestr(entry, "/etc/passwd")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda archive: archive.writestr("../../x", b""), "../../x: its name leads out of the bundle"),
        (lambda archive: archive.writestr("/x", b""), "/x: its name is an absolute path or one of Windows"),
        (lambda archive: archive.writestr("a\\b", b""), "a\\b: its name is an absolute path or one of Windows"),
        (lambda archive: archive.writestr("a\x1bb", b""), "a\\u001bb: its name has control characters"),
        (link, "link: is no plain file (a symbolic link, a pipe or a device)"),
        (
            lambda archive: archive.writestr("bomb", b"\0" * 10_000_000, zipfile.ZIP_DEFLATED),
            "the archive: says that it holds more than its own size: a bomb",
        ),
        (
            lambda archive: archive.writestr("a", b"text " * 3, zipfile.ZIP_DEFLATED),
            "a: is compressed: a bundle's files are stored as they are",
        ),
    ],
)
def test_tricks_with_zips_are_refused_and_named(change: Callable[[zipfile.ZipFile], None], told: str) -> None:
    """Nothing is unpacked, and the first line says what it is."""
    found = by_command(zip_with(change), None)

    assert "{}: {}".format(*found.problems[0]) == told


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")  # zipfile warns of what is meant here
def test_a_name_that_is_there_twice_is_refused() -> None:
    """Readers differ in which of the two they take."""
    found = by_command(zip_with(lambda archive: archive.writestr("plain", b"y")), None)

    assert found.problems == [("plain", "is in the archive 2 times")]


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all", b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_zip_is_told(tmp_path: Path, data: bytes) -> None:
    """One line, no traceback."""
    found = by_command(data, None)

    assert found.problems[0][0] == "bundle.zip"
    assert found.problems[0][1].startswith("is no whole zip archive")


def test_links_in_a_folder_are_not_followed(made: Made) -> None:
    """Neither to files of the same bytes."""
    readme = made.folder / FOLDER / "README.txt"
    readme.rename(made.folder / "elsewhere")
    readme.symlink_to(made.folder / "elsewhere")

    assert said(made)[1].startswith("✕ bundle: README.txt: is no plain file")


def test_a_file_that_cannot_be_read_is_told(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name and the reason, and the other files are looked at."""
    real: Callable[..., object] = Path.open

    def refuse(path: Path, *arguments: object, **options: object) -> object:
        if path.name == "report.html":
            raise PermissionError(13, os.strerror(13))
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)

    assert said(made) == (1, "✕ bundle: report.html: cannot be read: Permission denied")


def test_no_bundle_at_all(made: Made) -> None:
    """Exit code 3."""
    assert said(made, bundle="nothing")[0] == 3


def test_keys_of_other_kinds_are_refused(made: Made) -> None:
    """Ed448 and the like; said is what is taken."""
    other = Ed448PrivateKey.generate().public_key()
    (made.folder / "other").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    code, text = said(made, key="other")

    assert code == 3
    assert "Keys are Ed25519 and ECDSA on the curve P-256." in text
