"""What goes on around a run: whose turn it is, its place on record, who is told, and where its evidence is put."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from islanding import delivery
from islanding.attest.pack import pack
from islanding.attest.signer import FileSigner, passphrase
from islanding.errors import ExitCode, IslandingError, SetupError
from islanding.evidence.bundle import Reports
from islanding.evidence.record import RunResult
from islanding.journal import Journal
from islanding.notify import config
from islanding.schedule import calendar, turns
from islanding.schedule.turns import Turn


@dataclass
class Around:
    """The surroundings of one run; `sites` by their owner's names. Raises SetupError for what cannot be."""

    target: str
    sites: tuple[str, ...]
    schedule: str = ""
    due: str = ""  # when the schedule's runs are due: the fields of a crontab
    notify: Path | None = None
    store: str = ""
    sign_key: Path | None = None
    _conf: config.Notify | None = field(default=None, init=False)
    _turn: Turn | None = field(default=None, init=False)
    _signer: FileSigner | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.due:
            if not self.schedule:
                raise SetupError("--calendar is of a schedule", "name it: --schedule NAME")
            calendar.parse(self.due)
        self._conf = config.load(self.notify) if self.notify else None
        delivery.check(self.store)
        self._signer = FileSigner(self.sign_key, passphrase(None)) if self.sign_key else None

    @contextmanager
    def turn(self, home: Path) -> Iterator[None]:
        """Hold the run's turn in its folder `home`; raises Busy, and leaves no folder, while another has it."""
        keys = [f"schedule {self.schedule}"] if self.schedule else []
        keys += [f"site {name}" for name in self.sites] if self.target == "aws" else []  # labs never share a site
        try:
            with turns.held(tuple(keys), home):
                began = turns.now()
                self._turn = Turn(
                    str(home.resolve()), self.sites, self.target, began, "", "", -1, self.schedule, self.due
                )
                turns.note(self._turn)
                yield
        except turns.Busy:
            with suppress(OSError):  # only an empty one goes
                home.rmdir()
            raise

    def tell(self, result: RunResult, code: ExitCode, journal: Journal) -> None:
        """Tell whoever is to be told; it never changes what the run came to."""
        if self._conf:
            from islanding.cli.notify import tell_of

            tell_of(self._conf, result, self.sites, int(code), journal)

    def ended(self, reports: Reports, code: ExitCode, home: Path) -> ExitCode:
        """Bundle the evidence, put it away, close the record; evidence that is lost makes of a pass a failed set-up."""
        if self.store or self._signer:
            try:
                bundle = pack(reports.result, home, reports.files, signer=self._signer).archive
                where = delivery.deliver(bundle, home.resolve().name, self.store) if self.store else str(bundle)
                click.echo(f"evidence is at {where}", err=True)
            except IslandingError as error:
                click.echo(f"islanding: {error}", err=True)
                code = ExitCode.SETUP if code == ExitCode.OK else code
        if self._turn:
            turns.note(
                replace(self._turn, ended=turns.now(), verdict=reports.result.verdict.value, exit_code=int(code))
            )
        return code
