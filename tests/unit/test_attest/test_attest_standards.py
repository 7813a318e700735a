"""The signature by its standards: DSSE's own test vector, and tools of others that verify and read what we write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]  # re-exported there, without saying so

from islanding.attest import dsse, pack
from islanding.attest.keys import PublicKey
from islanding.attest.layout import ATTESTATION, FOLDER, JOURNAL, MANIFEST
from islanding.attest.signer import FileSigner
from islanding.evidence.bundle import write_reports
from tests.tamper.bundles import ENTRIES, KeyInMemory, Made, journal, make, run_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A bundle signed by an Ed25519 key."""
    return make(tmp_path_factory.mktemp("run"))


def test_pae_is_that_of_the_protocol() -> None:
    """The test vector of protocol.md."""
    said = dsse.pae("http://example.com/HelloWorld", b"hello world")

    assert said == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_length_is_in_bytes() -> None:
    """Of a type with characters beyond ASCII, too."""
    assert dsse.pae("é", b"\xff") == b"DSSEv1 2 \xc3\xa9 1 \xff"


def accepted(envelope: bytes, key: PublicKey) -> bool:
    """Whether securesystemslib verifies the envelope by this key."""
    theirs = SSlibKey.from_crypto(key.key, keyid=key.id)
    try:
        return set(Envelope.from_dict(json.loads(envelope)).verify([theirs], 1)) == {key.id}
    except VerificationError:
        return False


def test_securesystemslib_verifies_an_ed25519_signature(made: Made) -> None:
    """The envelope of a bundle holds there, and not by another payload."""
    envelope = made.files[ATTESTATION]
    broken = json.loads(envelope) | {"payload": "e30="}

    assert accepted(envelope, made.key)
    assert not accepted(json.dumps(broken).encode(), made.key)


def test_securesystemslib_verifies_an_ecdsa_signature(tmp_path: Path) -> None:
    """The same with a key on P-256, from a file."""
    folder, signer = run_folder(tmp_path / "run"), FileSigner(key_file(tmp_path), None)
    reports = write_reports(folder)

    pack.pack(reports.result, folder, reports.files, signer=signer)

    assert accepted((folder / FOLDER / ATTESTATION).read_bytes(), signer.public)


def key_file(folder: Path) -> Path:
    """A new key on P-256, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def test_in_toto_reads_the_statement(made: Made) -> None:
    """Its own protobuf classes take statement and predicate, every field known; subjects have the files' digests."""
    payload = json.loads(dsse.decode(made.files[ATTESTATION]).payload)
    read = json_format.ParseDict(payload, statement_pb2.Statement())
    predicate = json_format.ParseDict(payload["predicate"], test_result_pb2.TestResult())

    assert read.predicate_type == "https://in-toto.io/attestation/test-result/v0.1"
    assert read.type == "https://in-toto.io/Statement/v1"
    assert {MANIFEST, JOURNAL, "report.html", "junit.xml"} <= {subject.name for subject in read.subject}
    assert json_format.MessageToDict(predicate)["result"] == "PASSED"
    assert list(predicate.passed_tests) == ["edge: test_cut", "edge: test_dns"]
    assert [each.name for each in predicate.configuration] == ["islanding", "inputs/sites/edge/site.yaml"]


def came_out(tmp_path: Path, written: bytes) -> dict[str, object]:
    """The predicate of a run with this journal."""
    folder = run_folder(tmp_path, written)
    reports = write_reports(folder)
    pack.pack(reports.result, folder, reports.files, signer=KeyInMemory("k"))
    payload = json.loads(dsse.decode((folder / FOLDER / ATTESTATION).read_bytes()).payload)
    predicate: dict[str, object] = payload["predicate"]
    return predicate


def verdicts(*words: str, finished: bool = True) -> bytes:
    """A journal whose two cases came out like this."""
    entries = [dict(entry) for entry in ENTRIES]
    cases = [entry for entry in entries if entry["type"] == "case-finished"]
    for case, word in zip(cases, words, strict=True):
        case["verdict"] = word
    return journal(tuple(entries if finished else entries[:-1]))


@pytest.mark.parametrize(
    ("words", "result", "passed", "failed"),
    [
        (("pass", "fail"), "FAILED", 1, 1),
        (("pass", "inconclusive"), "FAILED", 1, 1),
        (("pass", "skipped"), "WARNED", 1, 0),
        (("skipped", "skipped"), "FAILED", 0, 0),
    ],
)
def test_what_was_not_shown_is_not_passed(
    tmp_path: Path, words: tuple[str, str], result: str, passed: int, failed: int
) -> None:
    """Inconclusive stands among the failed, skipped nowhere; a run that only skipped shows nothing."""
    predicate = came_out(tmp_path, verdicts(*words))

    counted = (predicate["result"], len(predicate["passedTests"]), len(predicate["failedTests"]))  # type: ignore[arg-type]  # both are lists

    assert counted == (result, passed, failed)
    assert predicate["warnedTests"] == []


def test_nothing_of_a_crashed_run_counts_as_passed(tmp_path: Path) -> None:
    """A journal without its end: FAILED, and no test is listed as passed."""
    predicate = came_out(tmp_path, verdicts("pass", "pass", finished=False))

    assert (predicate["result"], predicate["passedTests"]) == ("FAILED", [])
