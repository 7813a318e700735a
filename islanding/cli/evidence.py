"""`islanding evidence`: hands a run's evidence to a system that collects it by controls."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from islanding.aws import auditmanager
from islanding.aws.auditmanager import AssessedControl, Outcome, Piece, Record, Sender
from islanding.errors import ExitCode, IslandingError, SetupError
from islanding.evidence.bundle import latest_run
from islanding.evidence.plain import project_controls
from islanding.evidence.results import load_result
from islanding.evidence.statements import for_controls, statements

RUNS = Path("runs")
RECORD = "audit-manager.jsonl"
_UUID = re.compile(r"[a-f0-9]{8}(-[a-f0-9]{4}){3}-[a-f0-9]{12}")


@click.group("evidence")
def evidence_group() -> None:
    """Hand a run's evidence to a system that collects it by controls: see docs/exports.md.

    \b
    Examples:
      islanding evidence audit-manager --assessment-id ID --dry-run       what would be sent to which control
      islanding evidence audit-manager RUN --assessment-id ID             each row's verdict as a text
      islanding evidence audit-manager RUN --assessment-id ID --s3 s3://bucket/evidence --file bundle.zip
    """


@evidence_group.command("audit-manager")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--assessment-id", required=True, metavar="UUID", help="The assessment, as its page's address has it.")
@click.option("--control-set", default="", metavar="ID", help="Controls of this set only. Default: of all sets.")
@click.option(
    "--control", "given", multiple=True, metavar="ROW=UUID", help="Also: this row counts towards that control."
)
@click.option("--s3", metavar="s3://BUCKET/PREFIX", help="Put --file there, and add it to each control as well.")
@click.option("--file", "file", default="result.json", metavar="NAME", help="A file of the run. Default: result.json.")
@click.option("--region", help="Region of the assessment. Default: as the AWS CLI.")
@click.option("--profile", help="A profile of the AWS configuration. Default: as the AWS CLI.")
@click.option("--resend-unsure", is_flag=True, help="Send again what was being sent when a call broke off.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent; send nothing.")
def audit_manager_command(
    *,
    run: Path | None,
    assessment_id: str,
    control_set: str,
    given: tuple[str, ...],
    s3: str | None,
    file: str,
    region: str | None,
    profile: str | None,
    resend_unsure: bool,
    dry_run: bool,
) -> ExitCode:
    """Add RUN's verdicts as manual evidence to the controls of an AWS Audit Manager assessment.

    A control of the mapping (reports/controls) is found in the assessment by its id in the control's name. What was
    sent is kept in RUN/audit-manager.jsonl, so that a second call sends the rest only. Exit code 0: all is there;
    2: some waits for another day, was refused or is unsure; 3: nothing could be sent.
    """
    if not _UUID.fullmatch(assessment_id):
        raise SetupError(f"--assessment-id {assessment_id}: this is no UUID", "Take it from the assessment's address.")
    home = _home(run)
    result = load_result(home)
    pairs = [_pair(one) for one in given]
    clients = _Clients(region, profile)
    controls = auditmanager.controls_in(clients.assessment(assessment_id), control_set)
    rest = f"The whole record: {s3.rstrip('/')}/{home.name}/{file}" if s3 else f"The whole record: run {result.run}."
    said = statements(result, project_controls(), auditmanager.TEXT_LIMIT, rest)
    found = for_controls(said, lambda control: auditmanager.named(controls, control.id), pairs)
    unknown = sorted(set(found) - {control.id for control in controls})
    if unknown:
        raise SetupError(f"--control: the assessment has no control {unknown[0]}", "Its controls have UUIDs as ids.")
    if not found:
        raise SetupError(
            "no control of the assessment is one that a row of this run counts towards",
            "Name pairs by hand: --control O-09=UUID; `aws auditmanager get-assessment` lists the controls.",
        )
    pieces = [Piece(control, text=one.text) for control, texts in found.items() for one in texts]
    if dry_run:
        _show(controls, pieces, f"{s3.rstrip('/')}/{home.name}/{file}" if s3 else "")
        return ExitCode.OK
    if s3:
        address = clients.upload(s3, home, file)
        pieces += [Piece(control, s3=address) for control in found]
    record = Record(home / RECORD, assessment_id)
    sender = Sender(clients.importer(), assessment_id, record, lambda: datetime.now(UTC), resend_unsure)
    return _told(sender.send([control for control in controls if control.id in found], pieces))


def _home(run: Path | None) -> Path:
    if run is None:
        return latest_run(RUNS)
    below = RUNS / run
    home = below if not run.exists() and below.is_dir() else run
    if not home.is_dir():
        raise SetupError(f"{home}: this is no folder of a run", "The record of what was sent is kept in it.")
    return home


def _pair(text: str) -> tuple[str, str]:
    row, _, control = text.partition("=")
    if not re.fullmatch(r"[A-Z]-\d\d", row) or not _UUID.fullmatch(control):
        raise SetupError(f"--control {text}: this is no ROW=UUID, such as O-09=…")
    return row, control


class _Clients:
    """Clients of the user's own account, by the usual chain; no call is repeated where that could send twice."""

    def __init__(self, region: str | None, profile: str | None) -> None:
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            self._session: Any = boto3.Session(region_name=region, profile_name=profile)
        except BotoCoreError as error:
            raise SetupError(str(error), "See `aws configure list-profiles`.") from error

    def _client(self, service: str, attempts: int = 6) -> Any:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        try:
            retries: Any = {"mode": "standard", "total_max_attempts": attempts}
            return self._session.client(service, config=Config(retries=retries))
        except BotoCoreError as error:
            raise SetupError(str(error), "Give --region, or set AWS_REGION.") from error

    def importer(self) -> Any:
        """The client that sends evidence: each call is made once."""
        return self._client("auditmanager", attempts=1)

    def assessment(self, identity: str) -> dict[str, Any]:
        """What Audit Manager says of the assessment; raises IslandingError with its message."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            reply: dict[str, Any] = self._client("auditmanager").get_assessment(assessmentId=identity)["assessment"]
        except (BotoCoreError, ClientError) as error:
            raise IslandingError(
                f"the assessment cannot be read: {error}", "See account, Region and profile."
            ) from error
        return reply

    def upload(self, s3: str, home: Path, name: str) -> str:
        """Put a file of the run into the bucket, unless the same is there; returns its address."""
        from botocore.exceptions import BotoCoreError, ClientError

        found = re.fullmatch(r"s3://([a-z0-9][a-z0-9.-]+)(?:/(.*?))?/*", s3)
        path = home / name
        if found is None:
            raise SetupError(f"--s3 {s3}: this is no s3://BUCKET/PREFIX")
        if Path(name).name != name or not path.is_file():
            raise SetupError(f"{path}: there is no such file", "Make it first: `islanding report RUN`.")
        if path.stat().st_size > auditmanager.FILE_LIMIT:
            raise SetupError(f"{path}: larger than 100 MB, which Audit Manager does not take", "Send a smaller file.")
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        key = "/".join(part for part in (found[2], home.name, name) if part)
        client = self._client("s3")
        try:
            if not _has(client, found[1], key, digest):
                client.put_object(Bucket=found[1], Key=key, Body=data, Metadata={"sha256": digest})
        except (BotoCoreError, ClientError) as error:
            raise IslandingError(f"{path} cannot be put into the bucket {found[1]}: {error}") from error
        return auditmanager.checked(Piece("", s3=f"s3://{found[1]}/{key}")).s3


def _has(client: Any, bucket: str, key: str, digest: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        return bool(client.head_object(Bucket=bucket, Key=key).get("Metadata", {}).get("sha256") == digest)
    except ClientError:  # not there, or not to be seen: it is put, and that says what is wrong
        return False


def _show(controls: tuple[AssessedControl, ...], pieces: list[Piece], address: str) -> None:
    for control in controls:
        mine = [piece for piece in pieces if piece.control == control.id]
        if mine:
            click.echo(f"{control.name}{'' if control.active else ' (inactive: takes no evidence)'}")
        for piece in mine:
            click.echo("  " + piece.text.replace("\n", "\n    "))
        if mine and address:
            click.echo(f"  {address}")


def _told(outcome: Outcome) -> ExitCode:
    click.echo(f"sent: {outcome.sent}; sent before: {outcome.before}")
    if outcome.waiting:
        click.echo(
            f"waiting: {outcome.waiting}: a control takes {auditmanager.DAILY_LIMIT} a day; run this again tomorrow"
        )
    if outcome.unsure:
        names = ", ".join(sorted(set(outcome.unsure)))
        click.echo(f"unsure: {len(outcome.unsure)}, at {names}: a call broke off. Look there, then use --resend-unsure")
    for line in outcome.refused:
        click.echo(f"refused: {line}")
    whole = not (outcome.waiting or outcome.unsure or outcome.refused)
    return ExitCode.OK if whole else ExitCode.INCONCLUSIVE
