"""Where a run's evidence is put, and what goes on around a run."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from moto import mock_aws

from islanding import delivery
from islanding.cli.around import Around
from islanding.errors import ExitCode, SetupError
from islanding.evidence.bundle import write_reports
from islanding.schedule import turns
from tests.unit.test_evidence.conftest import Writer


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run."""
    writer = Writer(tmp_path / "runs" / "r1" / "journal.jsonl")
    writer.start("s")
    writer.ready("s", 2, {"network": 1.0})
    writer.case("s", "c", 3, 12, "pass", requirements=["O-01"])
    return writer.save().parent


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle; what is in it is nothing to the delivery."""
    made = tmp_path / "bundle.zip"
    made.write_bytes(b"the bundle")
    return made


def test_a_folder_gets_the_bundle(bundle: Path, tmp_path: Path) -> None:
    """Byte for byte, under the run's name."""
    where = delivery.deliver(bundle, "r1", str(tmp_path / "volume" / "kept"))

    assert (str(tmp_path / "volume" / "kept" / "r1.zip"), b"the bundle") == (where, Path(where).read_bytes())


@mock_aws
def test_a_bucket_gets_the_bundle(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below its prefix; a bucket that is not there is named."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    where = delivery.deliver(bundle, "r1", "s3://kept/runs/")

    assert "s3://kept/runs/r1.zip" == where
    assert b"the bundle" == s3.get_object(Bucket="kept", Key="runs/r1.zip")["Body"].read()
    with pytest.raises(SetupError, match="NoSuchBucket"):
        delivery.deliver(bundle, "r1", "s3://gone/runs")


@pytest.mark.parametrize("place", ["s3://", "s3://UPPER/x", "https://example.com/x"])
def test_what_is_no_place_is_refused_before_the_run(place: str) -> None:
    """It is said when the run is asked for, not when it is over."""
    with pytest.raises(SetupError, match="no place"):
        Around("lab", ("outpost-local",), store=place)


def test_evidence_that_is_lost_makes_no_pass(run: Path, tmp_path: Path) -> None:
    """A pass whose evidence could not be put away ends with 3; a failure stays one; both are on record."""
    (tmp_path / "file").write_text("")
    around = Around("aws", ("mine",), store=str(tmp_path / "file" / "x"))
    codes = []
    for code in (ExitCode.OK, ExitCode.FAILED):
        with around.turn(run):
            codes.append(around.ended(write_reports(run), code, run))

    assert [ExitCode.SETUP, ExitCode.FAILED] == codes
    assert [3, 1] == [turn.exit_code for turn in turns.turns()]


def test_a_signed_bundle_is_made_where_a_key_is_given(run: Path, tmp_path: Path) -> None:
    """The bundle lies in the run's folder, signed, and goes to the place that is named, too."""
    key = tmp_path / "key.pem"
    made = Ed25519PrivateKey.generate()
    key.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    around = Around("lab", ("s",), store=str(tmp_path / "kept"), sign_key=key)
    with around.turn(run):
        code = around.ended(write_reports(run), ExitCode.OK, run)

    assert ExitCode.OK == code
    assert (run / "bundle.zip").read_bytes() == (tmp_path / "kept" / "r1.zip").read_bytes()
    assert "attestation.intoto.json" in zipfile.ZipFile(run / "bundle.zip").namelist()


def test_a_run_that_has_to_wait_leaves_nothing(run: Path, tmp_path: Path) -> None:
    """Its empty folder goes, and the record does not name it; runs in labs do not wait for each other."""
    waiting = tmp_path / "runs" / "r2"
    waiting.mkdir()
    around = Around("aws", ("mine",))
    with around.turn(run), pytest.raises(turns.Busy, match="r1"), Around("aws", ("mine",)).turn(waiting):
        pass
    with Around("lab", ("outpost-local",)).turn(run), Around("lab", ("outpost-local",)).turn(run):
        pass

    assert not waiting.exists()
    assert str(waiting) not in {turn.run for turn in turns.turns()}


def test_a_calendar_is_of_a_schedule() -> None:
    """What nobody could look up later is refused, and so is a calendar that is none."""
    for schedule, due in (("", "17 2 * * *"), ("nightly", "17 2")):
        with pytest.raises(SetupError):
            Around("lab", (), schedule=schedule, due=due)
