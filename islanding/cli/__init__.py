"""The `islanding` command: its subcommands, loaded only when used, and what a failure looks like to a user.

Each subcommand lives in a module of its own that is imported when it is asked for, so that `--help` stays fast.
A subcommand ends in one of three ways: it returns None (exit code 0), it returns an ExitCode, or it raises
IslandingError, which is printed as one message without a traceback.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from islanding import __version__
from islanding.errors import ExitCode, IslandingError, SetupError

PROGRAM = "islanding"
DEBUG_VARIABLE = "ISLANDING_DEBUG"
INTERRUPTED = 128 + signal.SIGINT  # what a shell reports for a command that ended by Ctrl-C
PIPE_CLOSED = 128 + signal.SIGPIPE

# name -> (module:attribute, one line for --help), in the order in which a newcomer needs them.
COMMANDS: dict[str, tuple[str, str]] = {
    "doctor": ("islanding.cli.setup:doctor_command", "Check this machine; name each lack and what mends it."),
    "setup": ("islanding.cli.setup:setup_command", "Fetch or build the parts and the machine image; resumable."),
    "run": ("islanding.cli.run:run_command", "Bring sites up, run suites and experiments, write the report."),
    "experiment": ("islanding.cli.experiment:experiment_group", "Run or check one Chaos Toolkit experiment."),
    "lab": ("islanding.cli.lab:lab_group", "Bring a site up in the lab, look round in it, take it down."),
    "target": ("islanding.cli.target:target_group", "Check, adopt, provision or delete a site on AWS."),
    "sweep": ("islanding.cli.target:sweep_command", "Delete what was provisioned on AWS and left behind, by its tags."),
    "report": (
        "islanding.cli.report:report_command",
        "Make a run's reports again, and its evidence as a signed bundle.",
    ),
    "verify": (
        "islanding.cli.verify:verify_command",
        "Check a bundle of evidence: signature, files, journal; offline.",
    ),
    "controls": ("islanding.cli.controls:controls_command", "List which requirement counts towards which control."),
    "history": ("islanding.cli.history:history_group", "List the runs so far; what flips, what drifts, what is kept."),
    "diff": ("islanding.cli.diff:diff_command", "Say what changed from one run to another."),
    "metrics": ("islanding.cli.metrics:metrics_command", "Tell the newest run and the last good ones as metrics."),
    "evidence": ("islanding.cli.evidence:evidence_group", "Hand a run's evidence to a system that collects it."),
    "schedule": ("islanding.cli.schedule:schedule_group", "Write and check what starts runs on a schedule."),
    "notify": ("islanding.cli.notify:notify_command", "Tell by webhook, mail or SNS how a run ended."),
    "explain": ("islanding.cli.explain:explain_command", "Say what a pasted error text means and what to check."),
    "fault": ("islanding.cli.fault:fault_group", "Show what a fault would do, and do nothing."),
    "confirm": ("islanding.cli.fault:confirm_command", "Confirm a fault on a production site, as a second person."),
    "iam-policy": ("islanding.cli.iam_policy:iam_policy_command", "Print the least IAM policy; check a run by it."),
    "faults": ("islanding.cli.heal:faults_command", "List the faults that are applied, or left by a dead run."),
    "heal": ("islanding.cli.heal:heal_command", "Undo whatever faults are left, whoever applied them."),
    "completion": ("islanding.cli:completion_command", "Print the completion script for a shell."),
    "version": ("islanding.cli:version_command", "Print the version."),
}

EPILOG = """\b
Examples:
  islanding doctor                     what does this machine lack?
  islanding setup                      fetch or build the parts (once)
  islanding run                        all sites, suites and experiments, and a report
  islanding lab up outpost-local       a cluster on an Outpost, to look round in
  islanding lab shell operator         kubectl, aws and ssh as its operator
  islanding lab down                   and nothing is left

\b
Exit codes:
  0    all checks passed
  1    a check failed
  2    inconclusive: a verdict could not be reached
  3    set-up: this machine, a file or the command line is not as it must be
  4    busy: another run of the same schedule or site is under way; nothing was run
  5    overdue: a scheduled run that was due has not been (schedule status)
  130  interrupted by Ctrl-C

Set ISLANDING_DEBUG=1 to see the traceback behind an error message.
"""


class _Interrupted(Exception):
    """Ctrl-C, carried past click, which would print a line of its own."""


class _PipeClosed(Exception):
    """Whoever read our output has gone, carried past click, which would exit with the code of a failed check."""


@contextmanager
def _past_click() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        raise _Interrupted from stop
    except BrokenPipeError as gone:
        raise _PipeClosed from gone


class LazyGroup(click.Group):
    """A group that knows its subcommands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the subcommands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand of that name, imported now; None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands for --help without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand that `args` names; an unknown one is answered with the nearest that exists."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(COMMANDS)}."
            raise SetupError(f"no command '{name}'; {hint}", f"`{PROGRAM} --help` lists the commands.")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; click, which would print or exit by itself, doesn't see interrupts and closed pipes."""
        with _past_click():
            return super().invoke(ctx)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Read the command line; --help and --version are printed here, so a closed pipe shows here too."""
        with _past_click():
            return super().make_context(info_name, args, parent, **extra)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; in standalone mode always end by SystemExit with a documented exit code."""
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        try:
            outcome = super().main(args, prog_name or PROGRAM, complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except Exception as error:
            _fail(error)
        sys.exit(int(outcome) if isinstance(outcome, int) and not isinstance(outcome, bool) else ExitCode.OK)


def _fail(error: Exception) -> NoReturn:
    """Say what went wrong on stderr and leave with its exit code."""
    if isinstance(error, _PipeClosed | BrokenPipeError):
        # Python flushes stdout once more at exit and would complain about the pipe: give it somewhere to write to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(PIPE_CLOSED)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        sys.exit(ExitCode.SETUP)
    message, code = _explain(error)
    if not message or os.environ.get(DEBUG_VARIABLE, "0") not in {"", "0"}:
        traceback.print_exception(error)
    click.echo(f"{PROGRAM}: {message or _defect(error)}", err=True)
    sys.exit(code)


def _defect(error: Exception) -> str:
    return (
        f"{type(error).__name__}: {error}\n"
        f"  This is a defect of {PROGRAM}, not of your site; please report it with the lines above."
    )


def _explain(error: Exception) -> tuple[str, int]:
    """The message for a user and the exit code of an error; an empty message for a defect of our own."""
    if isinstance(error, IslandingError):
        return str(error), error.exit_code
    if isinstance(error, _Interrupted | click.Abort):
        return "interrupted", INTERRUPTED
    if isinstance(error, click.UsageError):
        context = error.ctx
        fix = f"\n  `{context.command_path} --help` shows how it is used." if context else ""
        return error.format_message() + fix, ExitCode.SETUP
    if isinstance(error, click.ClickException):
        return error.format_message(), ExitCode.SETUP
    if isinstance(error, OSError) and error.errno is not None:
        where = f": {error.filename}" if error.filename else ""
        fix = "\n  Make room, then run the command again." if error.errno == errno.ENOSPC else ""
        return f"{error.strerror}{where}{fix}", ExitCode.SETUP
    return "", ExitCode.SETUP


@click.group(PROGRAM, cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
def main() -> None:
    """Prove that a Kubernetes site stands on its own: cut its links, watch what survives, keep the evidence."""


@click.command("version")
def version_command() -> None:
    """Print the version."""
    click.echo(f"{PROGRAM} {__version__}")


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    Examples:
      source <(islanding completion bash)
      islanding completion fish > ~/.config/fish/completions/islanding.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise SetupError(f"no completion for the shell '{shell}'")
    click.echo(found(main, {}, PROGRAM, f"_{PROGRAM.upper()}_COMPLETE").source())
