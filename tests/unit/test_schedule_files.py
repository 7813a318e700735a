"""What starts scheduled runs: the files that are written pass their checks, and each thing broken in them is found."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from islanding.cli.schedule import schedule_group
from islanding.errors import SetupError
from islanding.schedule import calendar, checking, writing
from islanding.schedule.order import Order

AWKWARD = ("run", "--target", "aws", "-k", "a 'b' \"c\" 100% $HOME $(id) ${{ x }} \\d")


def order(*arguments: str, **more: object) -> Order:
    """A nightly run."""
    given = {"name": "nightly", "calendar": calendar.parse("17 2 * * mon-fri"), "program": sys.executable}
    return Order(arguments=arguments or ("run", "--target", "aws"), **(given | more))  # type: ignore[arg-type]  # fields are given by name


def made(kind: str, tmp_path: Path, wanted: Order | None = None) -> list[Path]:
    """The files of a kind, written."""
    return writing.write(kind, wanted or order(), tmp_path / kind)


@pytest.mark.parametrize("kind", writing.FILES)
@pytest.mark.parametrize("arguments", [("run", "--target", "aws"), ("run", "--site", "outpost-local")])
def test_what_is_written_passes(kind: str, arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Nothing is found in files as they are written, by systemd and kubectl neither where they are there."""
    paths = [path for path in made(kind, tmp_path, order(*arguments)) if path.name != "kubeconfig"]

    assert checking.check(paths) == []


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not here")
def test_systemd_verifies_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` of the timer and its service says nothing and ends with 0."""
    paths = made("systemd", tmp_path)

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, paths)], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


BREAKS = {
    "no such section": ("systemd", ".timer", "[Timer]", "[Clock]", "no such section"),
    "a date that is none": ("systemd", ".timer", "OnCalendar=Mon", "OnCalendar=Moon", "Moon"),
    "missed runs forgotten": ("systemd", ".timer", "Persistent=true", "Persistent=false", "made up for"),
    "no program": ("systemd", ".service", f"ExecStart={sys.executable}", "ExecStart=islanding", "whole path"),
    "a missing program": ("systemd", ".service", f"ExecStart={sys.executable}", "ExecStart=/nowhere/x", "/nowhere/x"),
    "not oneshot": ("systemd", ".service", "Type=oneshot", "Type=simple", "oneshot"),
    "no field": ("crontab", ".crontab", "17 2 * * mon-fri", "17 25 * * mon-fri", "hour"),
    "no lock": ("crontab", ".crontab", "flock --nonblock", "true --nonblock", "held by flock"),
    "a percent sign": ("crontab", ".crontab", "--schedule nightly", "--schedule 100%", "percent"),
    "overlapping": ("kubernetes", "cronjob.yaml", "Forbid", "Allow", "concurrencyPolicy"),
    "tried again": ("kubernetes", "cronjob.yaml", "backoffLimit: 0", "backoffLimit: 6", "backoffLimit"),
    "cut off": ("kubernetes", "cronjob.yaml", "PeriodSeconds: 180", "PeriodSeconds: 5", "undo its faults"),
    "misspelt": ("kubernetes", "cronjob.yaml", "startingDeadlineSeconds", "startingDedlineSeconds", "did you mean"),
    "text for a number": ("kubernetes", "cronjob.yaml", "backoffLimit: 0", 'backoffLimit: "0"', "backoffLimit"),
    "no schedule": ("kubernetes", "cronjob.yaml", '"17 2 * * mon-fri"', '"17 2 * *"', "4 fields"),
    "misspelt in a pod": ("kubernetes", "cronjob.yaml", "restartPolicy", "restartPolice", "did you mean"),
    "no queue": ("github", ".yml", "cancel-in-progress: false", "cancel-in-progress: true", "cut off"),
    "misspelt key": ("github", ".yml", "timeout-minutes", "timeout-minute", "unknown key"),
    "no calendar": ("github", ".yml", '"17 2 * * mon-fri"', '"17 2 * * * *"', "6 fields"),
    "two at once": ("gitlab", ".yml", "resource_group: islanding-nightly", "stage: conformance", "given twice"),
    "no resource group": (
        "gitlab",
        ".yml",
        "  resource_group: islanding-nightly  # one after the other\n",
        "",
        "overlap",
    ),
    "never on schedule": ("gitlab", ".yml", '== "schedule"', '== "push"', "no rule"),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_each_thing_broken_is_found(broken: str, tmp_path: Path) -> None:
    """One thing is wrong in files that were good, and it is told with the file."""
    kind, suffix, good, bad, word = BREAKS[broken]
    if broken in {"a date that is none", "a missing program"} and not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not here")
    paths = [path for path in made(kind, tmp_path) if path.name != "kubeconfig"]
    path = next(path for path in paths if path.name.endswith(suffix))
    text = path.read_text()
    assert good in text
    path.write_text(text.replace(good, bad, 1))

    found = checking.check(paths)

    assert any(word in line and path.name in line for line in found), found


def test_a_file_of_no_kind_is_said_to_be_none(tmp_path: Path) -> None:
    """What cannot be looked into does not count as good."""
    (tmp_path / "notes.txt").write_text("17 2 * * *")

    assert len(checking.check([tmp_path / "notes.txt"])) == 1
    with pytest.raises(SetupError, match="cannot read"):
        checking.check([tmp_path / "gone.timer"])


def test_awkward_words_arrive_in_a_unit(tmp_path: Path) -> None:
    """Per cent signs, dollars and quotes of an argument are as systemd wants them."""
    line = next(
        line for line in made("systemd", tmp_path, order(*AWKWARD))[0].read_text().splitlines() if "Exec" in line
    )

    assert line.endswith(r""""a 'b' \"c\" 100%% $$HOME $$(id) $${{ x }} \\d\"""".removesuffix('\\"') + '"')


def test_awkward_words_arrive_by_cron(tmp_path: Path) -> None:
    """The command of a crontab, as cron hands it to a shell, has the words that were given."""
    line = made("crontab", tmp_path, order(*AWKWARD))[0].read_text().splitlines()[-1]
    command = line.split(None, 5)[5].replace("\\%", "%")

    words = shlex.split(command)

    assert words[words.index(sys.executable) + 6 :] == list(AWKWARD[1:])


def test_awkward_words_arrive_in_a_pod(tmp_path: Path) -> None:
    """The container's arguments are those given; what Kubernetes would replace in them is escaped."""
    path = next(path for path in made("kubernetes", tmp_path, order(*AWKWARD)) if path.name == "cronjob.yaml")

    spec = yaml.safe_load(path.read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    assert spec["containers"][0]["args"][-1] == AWKWARD[-1].replace("$(", "$$(")


def test_what_github_would_replace_is_refused(tmp_path: Path) -> None:
    """An expression in an argument is not handed on."""
    with pytest.raises(SetupError, match="replace"):
        made("github", tmp_path, order(*AWKWARD))


@pytest.mark.parametrize(
    "wanted", [{"name": "a b"}, {"name": "-x"}, {"arguments": ("heal",)}, {"program": "a\nb"}, {"seconds": 5}]
)
def test_what_cannot_be_scheduled_is_refused(wanted: dict[str, object]) -> None:
    """Names that no unit has, commands that are no run, words with a newline, times that are none."""
    with pytest.raises(SetupError):
        Order(**({"name": "nightly", "calendar": calendar.parse("17 2 * * *")} | wanted))  # type: ignore[arg-type]  # fields are given by name


def test_what_is_there_is_not_written_over(tmp_path: Path) -> None:
    """Files of another order stay as they are; the same order may be written again."""
    first = made("systemd", tmp_path)
    before = [path.read_text() for path in first]
    made("systemd", tmp_path)

    with pytest.raises(SetupError, match="there already"):
        made("systemd", tmp_path, order("run", "--site", "closed-vpc"))

    assert before == [path.read_text() for path in first]


def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    """`islanding schedule kubernetes` puts the configuration beside it, and misses a file that the run would read."""
    (tmp_path / "site.yaml").write_text("name: mine\n")
    run = ["--", "run", "--target", "aws", "--site", "/config/site.yaml", "--notify", "/config/notify.yaml"]
    given = ["kubernetes", "--config", str(tmp_path / "site.yaml"), "--out", str(tmp_path / "base"), *run]

    done = CliRunner().invoke(schedule_group, given, standalone_mode=False)

    assert "/config/notify.yaml is not among --config" in done.output
    assert 1 == done.return_value
    assert "name: mine\n" == (tmp_path / "base" / "site.yaml").read_text()
    assert "site.yaml" in (tmp_path / "base" / "kustomization.yaml").read_text()


def test_hardened_where_no_lab_is_needed(tmp_path: Path) -> None:
    """A run on a real account has no capability and a system that it cannot write to; a lab needs both."""
    hardened = made("systemd", tmp_path / "aws")[0].read_text()
    lab = made("systemd", tmp_path / "lab", order("run"))[0].read_text()

    assert ("ProtectSystem=strict" in hardened, "DynamicUser=yes" in hardened) == (True, True)
    assert ("ProtectSystem=strict" in lab, "DynamicUser=yes" in lab) == (False, False)
