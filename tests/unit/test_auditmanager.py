"""Evidence for AWS Audit Manager: by botocore's own model of the API, nothing twice, within the limits."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber
from click.testing import CliRunner
from moto import mock_aws

from islanding.aws import auditmanager
from islanding.aws.auditmanager import AssessedControl, Piece, Record, Sender, controls_in, named, normal
from islanding.cli import evidence
from islanding.errors import IslandingError, SetupError
from islanding.evidence.plain import project_controls
from islanding.evidence.results import load_result
from islanding.evidence.statements import for_controls, statements
from tests.unit.test_evidence.conftest import realistic

ASSESSMENT = "11111111-2222-3333-4444-555555555555"
UUIDS = [f"00000000-0000-0000-0000-{number:012}" for number in range(4)]
SET = "System and Communications Protection (SC)"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
REPLY = {
    "framework": {
        "controlSets": [
            {
                "id": SET,
                "controls": [
                    {"id": UUIDS[0], "name": "SC-07(05): Deny by Default", "status": "UNDER_REVIEW"},
                    {"id": UUIDS[1], "name": "CP-2 Contingency Plan", "status": "UNDER_REVIEW"},
                ],
            },
            {"id": "Other", "controls": [{"id": UUIDS[2], "name": "CP-8", "status": "INACTIVE"}]},
        ]
    }
}
CONTROL = AssessedControl("Other", UUIDS[0], "CP-2", active=True)


@pytest.fixture
def client() -> Any:
    """A client of the real service model, whose calls never leave: requests are checked by the model."""
    return boto3.client(
        "auditmanager",
        region_name="ap-northeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 - reaches nobody
        config=Config(retries={"total_max_attempts": 1}),
    )


def sender(client: Any, folder: Path, now: datetime = NOW, *, unsure_too: bool = False) -> Sender:
    """A sender with the record in `folder`, read anew."""
    record = Record(folder / "record.jsonl", ASSESSMENT)
    return Sender(client, ASSESSMENT, record, lambda: now, unsure_too)


def taken(stub: Stubber, texts: list[str] | object, errors: list[dict[str, Any]] | None = None) -> None:
    """The next call has these texts, and is answered with these errors."""
    wanted = [{"textResponse": text} for text in texts] if isinstance(texts, list) else texts
    stub.add_response(
        "batch_import_evidence_to_assessment_control",
        {"errors": errors or []},
        {"assessmentId": ASSESSMENT, "controlSetId": "Other", "controlId": UUIDS[0], "manualEvidence": wanted},
    )


@pytest.mark.parametrize("text", ["sc-7.5", "SC-7(5)", "SC-07(05)", " sc-7(5) "])
def test_a_control_has_one_spelling(text: str) -> None:
    """NIST's own, OSCAL's and Audit Manager's are the same control."""
    assert normal(text) == "SC-7(5)"


def test_controls_are_found_by_their_names() -> None:
    """The id is a word of the name: SC-7 is not SC-7(5), and CP-2 not CP-20."""
    controls = controls_in(REPLY)

    assert [UUIDS[0]] == named(controls, "sc-7.5")
    assert [] == named(controls, "sc-7")
    assert [UUIDS[1]] == named(controls, "cp-2")
    assert [] == named(controls, "cp-20")


def test_a_control_set_can_be_chosen() -> None:
    """Others are left out, and one that is not there is named with those that are."""
    assert [UUIDS[2]] == [control.id for control in controls_in(REPLY, "Other")]
    with pytest.raises(SetupError, match="no control set 'X'") as caught:
        controls_in(REPLY, "X")
    assert "'Other'" in caught.value.fix


def test_nothing_is_sent_twice(client: Any, tmp_path: Path) -> None:
    """A second call, by another process, sends only what is new."""
    with Stubber(client) as stub:
        taken(stub, ["a", "b"])
        first = sender(client, tmp_path).send([CONTROL], [Piece(UUIDS[0], "a"), Piece(UUIDS[0], "b")])
        taken(stub, ["c"])
        pieces = [Piece(UUIDS[0], text) for text in ("a", "c", "b", "c")]
        second = sender(client, tmp_path).send([CONTROL], pieces)
        stub.assert_no_pending_responses()

    assert [(2, 0), (1, 2)] == [(one.sent, one.before) for one in (first, second)]


def test_a_call_has_fifty_pieces_and_a_day_a_hundred(client: Any, tmp_path: Path) -> None:
    """What is over the day's limit waits; a day later the rest is sent."""
    pieces = [Piece(UUIDS[0], f"text {number}") for number in range(130)]
    with Stubber(client) as stub:
        taken(stub, [one.text for one in pieces[:50]])
        taken(stub, [one.text for one in pieces[50:100]])
        today = sender(client, tmp_path).send([CONTROL], pieces)
        again = sender(client, tmp_path, NOW + timedelta(hours=23)).send([CONTROL], pieces)
        taken(stub, [one.text for one in pieces[100:]])
        tomorrow = sender(client, tmp_path, NOW + timedelta(hours=25)).send([CONTROL], pieces)
        stub.assert_no_pending_responses()

    assert [(100, 30), (0, 30), (30, 0)] == [(one.sent, one.waiting) for one in (today, again, tomorrow)]


def test_a_call_that_broke_off_is_unsure(client: Any, tmp_path: Path) -> None:
    """Nobody knows whether AWS has it: it is not sent again, unless that is asked for."""
    with Stubber(client) as stub:
        stub.add_client_error("batch_import_evidence_to_assessment_control", "InternalServerException", "x", 500)
        with pytest.raises(IslandingError, match="InternalServerException"):
            sender(client, tmp_path).send([CONTROL], [Piece(UUIDS[0], "a")])
        after = sender(client, tmp_path).send([CONTROL], [Piece(UUIDS[0], "a")])
        taken(stub, ["a"])
        forced = sender(client, tmp_path, unsure_too=True).send([CONTROL], [Piece(UUIDS[0], "a")])

    assert (["CP-2"], 0, 1) == (after.unsure, after.sent, forced.sent)


def test_a_refused_call_is_open_again(client: Any, tmp_path: Path) -> None:
    """AWS said no, so it has nothing: the next call sends it."""
    with Stubber(client) as stub:
        stub.add_client_error("batch_import_evidence_to_assessment_control", "ThrottlingException", "slow down", 400)
        with pytest.raises(IslandingError, match="slow down"):
            sender(client, tmp_path).send([CONTROL], [Piece(UUIDS[0], "a")])
        taken(stub, ["a"])
        outcome = sender(client, tmp_path).send([CONTROL], [Piece(UUIDS[0], "a")])

    assert (1, []) == (outcome.sent, outcome.unsure)


def test_a_piece_that_is_refused_alone_is_told(client: Any, tmp_path: Path) -> None:
    """Of a call's pieces some may be refused: the others are sent, and stay so."""
    error = {"manualEvidence": {"textResponse": "b"}, "errorCode": "400", "errorMessage": "no"}
    with Stubber(client) as stub:
        taken(stub, ["a", "b"], [error])
        outcome = sender(client, tmp_path).send([CONTROL], [Piece(UUIDS[0], "a"), Piece(UUIDS[0], "b")])
        taken(stub, ["b"])
        again = sender(client, tmp_path).send([CONTROL], [Piece(UUIDS[0], "a"), Piece(UUIDS[0], "b")])

    assert (1, ["CP-2: 400 no"]) == (outcome.sent, outcome.refused)
    assert (1, 1) == (again.sent, again.before)


def test_an_inactive_control_takes_nothing(client: Any, tmp_path: Path) -> None:
    """No call is made for it."""
    with Stubber(client):
        closed = AssessedControl("Other", UUIDS[0], "CP-8", active=False)
        outcome = sender(client, tmp_path).send([closed], [Piece(UUIDS[0], "a")])

    assert ["CP-8: the control is inactive"] == outcome.refused


def test_a_damaged_record_stops_everything(client: Any, tmp_path: Path) -> None:
    """Without the record a piece might be sent twice."""
    (tmp_path / "record.jsonl").write_text('{"assessment": "x"\n')

    with pytest.raises(SetupError, match=r"record.jsonl:1: the record of what was sent cannot be read"):
        sender(client, tmp_path)


def test_every_statement_fits_and_says_what_failed(tmp_path: Path) -> None:
    """A row's text is within the service's limit, whatever its cases said; a failure is a failure."""
    result = load_result(realistic(tmp_path / "run" / "journal.jsonl"))
    for case in result.cases:
        case.reason = "x" * 5000
    for row in result.rows:
        object.__setattr__(row, "reason", "y" * 5000)
    said = {one.row: one.text for one in statements(result, project_controls(), 1000, "The whole record: there.")}

    assert "O-09: FAIL. " == said["O-09"][:12]
    assert {True} == {len(text) <= 1000 and text.endswith("The whole record: there.") for text in said.values()}
    assert "C-01" not in said


def test_pairs_given_by_hand_count_too(tmp_path: Path) -> None:
    """A control that the mapping does not know can be named for a row."""
    result = load_result(realistic(tmp_path / "run" / "journal.jsonl"))
    said = statements(result, project_controls(), 1000, "")
    found = for_controls(said, lambda _: [], [("O-09", UUIDS[3]), ("O-09", UUIDS[3]), ("C-01", UUIDS[2])])

    assert {UUIDS[3]: ["O-09"]} == {control: [one.row for one in texts] for control, texts in found.items()}


@pytest.fixture
def command(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The command at a run, with the stubbed client and moto's S3; call it with options."""
    home = realistic(tmp_path / "runs" / "run1" / "journal.jsonl").parent
    (home / "result.json").write_text("{}")
    monkeypatch.setattr(evidence._Clients, "assessment", lambda *_: REPLY)
    monkeypatch.setattr(evidence._Clients, "importer", lambda _: client)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")

    def run(*options: str) -> Any:
        argv = ["audit-manager", str(home), "--assessment-id", ASSESSMENT, *options]
        return CliRunner().invoke(evidence.evidence_group, argv, standalone_mode=False)

    return run


def test_the_command_uploads_and_sends_once(command: Any, client: Any, tmp_path: Path) -> None:
    """The file is in the bucket, each control has its texts and the file's address; a second call sends nothing."""
    with mock_aws(), Stubber(client) as stub:
        s3 = boto3.client("s3", region_name="ap-northeast-1")
        where: Any = {"LocationConstraint": "ap-northeast-1"}
        s3.create_bucket(Bucket="evidence", CreateBucketConfiguration=where)
        stub.add_response(
            "batch_import_evidence_to_assessment_control",
            {"errors": []},
            {"assessmentId": ASSESSMENT, "controlSetId": ANY, "controlId": UUIDS[1], "manualEvidence": ANY},
        )
        options = ("--s3", "s3://evidence/audits/", "--control-set", SET)
        first, second = command(*options), command(*options)
        stub.assert_no_pending_responses()
        body = s3.get_object(Bucket="evidence", Key="audits/run1/result.json")["Body"].read()
    record = [json.loads(line) for line in (tmp_path / "runs/run1/audit-manager.jsonl").read_text().splitlines()]

    assert (0, 0) == (first.return_value, second.return_value), (first, second)
    assert body == b"{}"
    assert "sent: 0" in second.output
    assert ["sending", "sent"] == sorted({line["state"] for line in record})


def test_an_inactive_control_is_no_success(command: Any, client: Any) -> None:
    """What could not be added is named, and the exit code says that not all is there."""
    with Stubber(client):
        run = command("--control-set", "Other")

    assert (2, "refused: CP-8: the control is inactive") == (run.return_value, run.output.splitlines()[-1])


def test_a_dry_run_sends_nothing(command: Any, client: Any, tmp_path: Path) -> None:
    """It shows the control and the texts; no record is begun."""
    with Stubber(client):
        shown = command("--dry-run")

    assert "CP-2 Contingency Plan\n  O-0" in shown.output
    assert not (tmp_path / "runs/run1/audit-manager.jsonl").exists()


def test_a_wrong_assessment_is_a_mistake_of_the_user(tmp_path: Path) -> None:
    """No call is made for what is no UUID."""
    run = CliRunner().invoke(evidence.evidence_group, ["audit-manager", str(tmp_path), "--assessment-id", "x"])

    assert isinstance(run.exception, SetupError)
    assert "this is no UUID" in str(run.exception)


def test_the_limits_are_those_of_the_model(client: Any) -> None:
    """Batch and text are as large as botocore's model of the service says."""
    shape = client.meta.service_model.operation_model("BatchImportEvidenceToAssessmentControl").input_shape
    pieces = shape.members["manualEvidence"]

    assert pieces.metadata["max"] == auditmanager.BATCH
    assert pieces.member.members["textResponse"].metadata["max"] == auditmanager.TEXT_LIMIT
