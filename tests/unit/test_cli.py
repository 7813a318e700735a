"""The command line: what a user sees of it, and the exit codes that scripts see."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from islanding import __version__, cli
from islanding.errors import ExitCode, InconclusiveError, SetupError

Invoke = Callable[..., Result]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], Invoke]:
    """Put a body behind the command `islanding probe`, and return a function that runs it."""

    def put(body: Callable[[], object]) -> Invoke:
        monkeypatch.setitem(cli.COMMANDS, "probe", ("tests_probe:probe", "A probe."))
        module = type(sys)("tests_probe")
        module.__dict__["probe"] = click.command("probe")(body)
        monkeypatch.setitem(sys.modules, "tests_probe", module)
        return lambda *args: CliRunner().invoke(cli.main, ["probe", *args])

    return put


def run(*args: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli.main, list(args))


def raising(error: BaseException) -> Callable[[], object]:
    """A body that raises `error`."""

    def body() -> object:
        raise error

    return body


def test_help_names_every_command_and_exit_code() -> None:
    """A newcomer finds each command, examples and the meaning of each exit code in --help."""
    shown = run("--help").stdout

    assert [name for name in cli.COMMANDS if f"\n  {name} " not in shown] == []
    assert [code for code in ("0", "1", "2", "3", "130") if f"\n    {code} " not in shown] == []
    assert "islanding lab up outpost-local" in shown


def test_help_imports_no_subcommand() -> None:
    """--help stays fast because nothing slow is imported for it."""
    code = (
        "import sys; from islanding.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'boto3', 'kubernetes', 'moto', 'pydantic', 'rich', 'yaml', 'pytest'} & set(sys.modules)\n"
        "sub = [m for m in sys.modules if m.startswith('islanding.cli.')]\n"
        "print(sorted(slow) + sub, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str) -> None:
    """Each command of the table can be imported, and explains itself."""
    result = run(name, "--help")

    assert result.exit_code == ExitCode.OK
    assert result.stdout.startswith(f"Usage: islanding {name}")


@pytest.mark.parametrize(
    ("typed", "meant"), [("labb", "lab"), ("docter", "doctor"), ("experiments", "experiment"), ("setpu", "setup")]
)
def test_unknown_command_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    """A slip of the finger costs no look into the manual."""
    result = run(typed)

    assert result.exit_code == ExitCode.SETUP
    assert f"islanding: no command '{typed}'; did you mean '{meant}'?" in result.stderr


def test_unknown_command_without_a_neighbour_lists_all() -> None:
    """When nothing is near, the commands are listed."""
    assert f"there are: {', '.join(cli.COMMANDS)}" in run("zzzzzz").stderr


@pytest.mark.parametrize("args", [["--nope"], ["version", "--nope"], ["completion", "nosuchshell"], ["completion"]])
def test_wrong_usage_is_a_set_up_error(args: list[str]) -> None:
    """Exit code 2 means inconclusive, so a wrong option must not end with click's own 2."""
    result = run(*args)

    assert result.exit_code == ExitCode.SETUP
    assert "--help` shows how it is used" in result.stderr


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(lambda: None, ExitCode.OK, id="nothing returned"),
        pytest.param(lambda: ExitCode.FAILED, ExitCode.FAILED, id="failed returned"),
        pytest.param(lambda: ExitCode.INCONCLUSIVE, ExitCode.INCONCLUSIVE, id="inconclusive returned"),
        pytest.param(lambda: True, ExitCode.OK, id="a truth value is no exit code"),
        pytest.param(lambda: "text", ExitCode.OK, id="text is no exit code"),
        pytest.param(raising(SetupError("no")), ExitCode.SETUP, id="set-up error"),
        pytest.param(raising(InconclusiveError("no")), ExitCode.INCONCLUSIVE, id="inconclusive"),
        pytest.param(raising(click.Abort()), 130, id="abort at a prompt"),
        pytest.param(raising(KeyboardInterrupt()), 130, id="Ctrl-C"),
        pytest.param(raising(BrokenPipeError()), 141, id="closed pipe"),
        pytest.param(raising(OSError(28, "No space left on device", "/x")), ExitCode.SETUP, id="full disk"),
        pytest.param(raising(ZeroDivisionError()), ExitCode.SETUP, id="defect"),
    ],
)
def test_exit_code(
    command: Callable[[Callable[[], object]], Invoke], body: Callable[[], object], expected: int
) -> None:
    """The way in which a command ends decides the exit code."""
    stdout = os.dup(1)  # a closed pipe redirects file descriptor 1: this process needs its own back
    try:
        exit_code = command(body)().exit_code
    finally:
        os.dup2(stdout, 1)
        os.close(stdout)

    assert exit_code == expected


def test_an_error_is_one_message_with_its_fix(command: Callable[[Callable[[], object]], Invoke]) -> None:
    """A user's mistake gives what was wrong and what to do, without a traceback."""
    result = command(raising(SetupError("no such thing", "Make one.")))()

    assert result.stderr == "islanding: no such thing\n  Make one.\n"


def test_debug_variable_shows_the_traceback(
    command: Callable[[Callable[[], object]], Invoke], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ISLANDING_DEBUG=1 adds the traceback and keeps the message."""
    monkeypatch.setenv("ISLANDING_DEBUG", "1")
    stderr = command(raising(SetupError("no such thing")))().stderr

    assert stderr.startswith("Traceback")
    assert stderr.endswith("islanding: no such thing\n")


def test_interrupt_is_one_line(command: Callable[[Callable[[], object]], Invoke]) -> None:
    """Ctrl-C is no error: one line says that it was seen."""
    assert command(raising(KeyboardInterrupt()))().stderr == "islanding: interrupted\n"


def test_a_full_disk_names_the_file_and_the_fix(command: Callable[[Callable[[], object]], Invoke]) -> None:
    """An error of the operating system names its file."""
    stderr = command(raising(OSError(28, "No space left on device", "/some/file")))().stderr

    assert stderr == "islanding: No space left on device: /some/file\n  Make room, then run the command again.\n"


def test_a_defect_says_that_it_is_one(command: Callable[[Callable[[], object]], Invoke]) -> None:
    """An unexpected exception shows its traceback and is not mistaken for a failed check."""
    stderr = command(raising(ZeroDivisionError("x")))().stderr

    assert stderr.startswith("Traceback")
    assert "This is a defect of islanding" in stderr


@pytest.mark.parametrize("args", [["--help"], ["completion", "fish"]])
def test_a_closed_pipe_is_silent(args: list[str]) -> None:
    """`islanding ... | head` ends without a word when head has seen enough."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "islanding", *args], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("args", [["version"], ["--version"]])
def test_version(args: list[str]) -> None:
    """Both ways of asking give the version."""
    assert run(*args).stdout == f"islanding {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script_calls_back(shell: str) -> None:
    """The script asks `islanding` itself for the words, by the variable that it listens to."""
    script = run("completion", shell).stdout

    assert f"_ISLANDING_COMPLETE={shell}_complete" in script


def test_completion_offers_commands() -> None:
    """The shell is told the commands that begin with what was typed."""
    env = {**os.environ, "_ISLANDING_COMPLETE": "bash_complete", "COMP_WORDS": "islanding vers", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-m", "islanding"], env=env, capture_output=True, text=True, check=False)

    assert done.stdout == "plain,version\n"
