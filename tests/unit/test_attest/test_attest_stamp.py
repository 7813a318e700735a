"""Time stamps: a local authority run by OpenSSL on loopback, its stamps kept in the bundle and checked offline."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from islanding.attest import keys, pack, stamp
from islanding.attest.layout import ATTESTATION, FOLDER, TIMESTAMP
from islanding.attest.opened import opened
from islanding.attest.verify import Trust, verify
from islanding.cli import main
from islanding.errors import SetupError
from islanding.evidence.bundle import write_reports
from tests.tamper.bundles import KeyInMemory, Made, read, run_folder

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed: it is the authority")

CONFIGURATION = """
[tsa]
dir = .
serial = serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[stamping]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
"""


@dataclass(frozen=True)
class Authority:
    """A time stamp authority that answers at `url`; `pem` is its root's certificate."""

    home: Path
    url: str

    @property
    def pem(self) -> Path:
        return self.home / "root.pem"


def openssl(home: Path, *arguments: str, data: bytes | None = None) -> bytes:
    """What OpenSSL prints."""
    return subprocess.run(
        ["openssl", *arguments], cwd=home, input=data, capture_output=True, check=True, timeout=60
    ).stdout


def set_up(home: Path) -> None:
    """A root and the certificate by which the authority stamps."""
    (home / "conf").write_text(CONFIGURATION)
    (home / "serial").write_text("01\n")
    common = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-config", "conf", "-days", "30"]
    root = ["-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=root", "-extensions", "root"]
    openssl(home, "req", "-x509", *common, *root)
    ours = ["-CA", "root.pem", "-CAkey", "root.key", "-extensions", "stamping"]
    openssl(home, "req", "-x509", *common, "-keyout", "tsa.key", "-out", "tsa.pem", "-subj", "/CN=tsa", *ours)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    """It answers with what `openssl ts -reply` makes, and at /broken with something else."""
    home = tmp_path_factory.mktemp("authority")
    set_up(home)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (home / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            common = ["-config", "conf", "-section", "tsa", "-signer", "tsa.pem", "-inkey", "tsa.key"]
            openssl(home, "ts", "-reply", *common, "-queryfile", "query", "-out", "reply")
            body = b"sorry" if self.path == "/broken" else (home / "reply").read_bytes()
            self.send_response(503 if self.path == "/away" else 200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Authority(home, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def made(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A bundle, signed and stamped; the signer's public key lies beside it."""
    folder = run_folder(tmp_path_factory.mktemp("run"))
    reports = write_reports(folder)
    signer = KeyInMemory("signer")
    pack.pack(reports.result, folder, reports.files, signer=signer, stamp=lambda data: stamp.ask(authority.url, data))
    (folder / "key.pub").write_bytes(signer.public.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return read(folder, signer.public)


def test_a_stamp_is_verified_offline(made: Made, authority: Authority) -> None:
    """By the authority's root alone; the line says when."""
    key, pem = str(made.folder / "key.pub"), str(authority.pem)
    done = CliRunner().invoke(main, ["verify", str(made.folder / FOLDER), "--key", key, "--timestamp-cert", pem])

    assert done.exit_code == 0
    assert f", stamped {datetime.now(UTC):%Y-%m-%d} " in done.output


def test_openssl_verifies_it_too(made: Made, authority: Authority) -> None:
    """As docs/evidence.md tells the auditor."""
    home = made.folder / FOLDER
    said = openssl(home, "ts", "-verify", "-in", TIMESTAMP, "-data", ATTESTATION, "-CAfile", str(authority.pem))

    assert b"Verification: OK" in said


@pytest.mark.parametrize(("options", "code"), [((), 2), (("--ignore-timestamp",), 0)])
def test_a_stamp_that_is_not_checked_is_said(made: Made, options: tuple[str, ...], code: int) -> None:
    """Without the authority's certificate there is no success, unless the stamp is not asked for."""
    key = str(made.folder / "key.pub")
    done = CliRunner().invoke(main, ["verify", str(made.folder / FOLDER), "--key", key, *options])

    assert done.exit_code == code
    assert ("is not checked: no certificate of its authority" in done.output) == (code == 2)


def test_every_byte_of_a_stamp_counts(made: Made, authority: Authority) -> None:
    """Each changed in turn: not even those that the authority did not sign may change."""
    whole, data = made.files[TIMESTAMP], made.files[ATTESTATION]
    trusted = stamp.certificates(authority.pem)
    assert stamp.verify(whole, data, trusted) == stamp.stated(whole, data)
    missed = []
    for at in range(len(whole)):
        try:
            stamp.verify(whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :], data, trusted)
            missed.append(at)
        except stamp.WrongStampError:
            continue
    assert missed == []


def test_a_stamp_over_another_text_is_refused(made: Made, authority: Authority) -> None:
    """One that belongs to another bundle."""
    trusted = stamp.certificates(authority.pem)

    with pytest.raises(stamp.WrongStampError, match="is over another text"):
        stamp.verify(made.files[TIMESTAMP], b"other", trusted)


def test_a_stamp_of_another_authority_is_refused(made: Made, tmp_path: Path) -> None:
    """One that the verifier does not trust."""
    set_up(tmp_path)

    with pytest.raises(stamp.WrongStampError, match="is not of this text and this authority"):
        stamp.verify(made.files[TIMESTAMP], made.files[ATTESTATION], stamp.certificates(tmp_path / "root.pem"))


def test_a_certificate_that_expired_later_will_do(made: Made, authority: Authority) -> None:
    """The key's certificate counts at the time of the stamp, not at the time of the look."""
    now = datetime.now(UTC)
    key = keys.PublicKey(made.key.key, now - timedelta(days=1), now + timedelta(days=1))
    later = now + timedelta(days=900)
    trusted = stamp.certificates(authority.pem)
    with opened(made.folder / FOLDER) as bundle:
        stamped = verify(bundle, Trust(key, trusted, later)).problems
        alone = verify(bundle, Trust(key, (), later)).problems

    assert stamped == []
    assert [name for name, _ in alone] == [ATTESTATION]
    assert "expired on" in alone[0][1]


def test_a_run_that_ended_after_its_stamp_has_a_wrong_clock(authority: Authority, tmp_path: Path) -> None:
    """Both cannot be true."""
    lines = [
        {"v": 1, "type": "run-started", "t": 1.0, "wall": "2199-01-01T00:00:00+00:00", "run": "r", "sites": []},
        {"v": 1, "type": "run-finished", "t": 2.0, "wall": "2199-01-01T00:01:00+00:00", "exit_code": 0},
    ]
    run_folder(tmp_path, b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    reports = write_reports(tmp_path)
    signer = KeyInMemory("signer")
    pack.pack(reports.result, tmp_path, reports.files, signer=signer, stamp=lambda data: stamp.ask(authority.url, data))
    with opened(tmp_path / FOLDER) as bundle:
        done = verify(bundle, Trust(signer.public, stamp.certificates(authority.pem)))

    assert done.problems == [(TIMESTAMP, "is from before the end of the run, 2199-01-01 00:01 UTC: a clock was wrong")]


@pytest.mark.parametrize(("path", "told"), [("/broken", "is no time stamp of RFC 3161"), ("/away", "does not answer")])
def test_an_authority_that_fails_is_told(authority: Authority, path: str, told: str) -> None:
    """No stamp is kept that is none; the bundle can be made without."""
    with pytest.raises(SetupError, match=told):
        stamp.ask(authority.url + path, b"x")


def test_a_root_that_is_no_certificate_is_told(tmp_path: Path) -> None:
    """Exit code 3 and the file's name."""
    (tmp_path / "pem").write_text("x")

    with pytest.raises(SetupError, match="holds no certificate in PEM"):
        stamp.certificates(tmp_path / "pem")


def test_the_roots_certificate_is_one_that_stamps_nothing(authority: Authority) -> None:
    """So that the chain from the stamping certificate to the root is what was checked."""
    root = x509.load_pem_x509_certificate(authority.pem.read_bytes())

    assert not any(isinstance(each.value, x509.ExtendedKeyUsage) for each in root.extensions)
