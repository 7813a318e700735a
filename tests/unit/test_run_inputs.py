"""What a run keeps of what it was given: files, options, hashes of the code, revision; and what the clock is set by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from islanding import clock, siteconf
from islanding.cli import inputs
from islanding.clock import Clock
from islanding.process import Result


def asked(**answers: str) -> Callable[..., Result]:
    """Runs no command: gives these answers by a command's name; any other command is not there."""

    def ask(argv: list[str], **_: object) -> Result:
        said = answers.get(argv[0])
        return Result(tuple(argv), 127 if said is None else 0, said or "", "")

    return ask


CHRONY = "A9FEA97B,169.254.169.123,4,1763712000.1,0.000012,-0.000003,0.00001,1.2,0.0,0.1,0.0003,0.0001,64.2,Normal\n"


@pytest.mark.parametrize(
    ("answers", "kernel", "told"),
    [
        ({}, None, Clock()),
        ({}, (0x40, 5, 16_000_000), Clock(synchronised=False)),
        ({"chronyc": CHRONY}, (0x2001, -12_000, 1500), Clock("chronyd", "169.254.169.123", True, -0.000012, 0.0015)),
        (
            {"chronyc": "506 Cannot talk to daemon\n"},
            (0x1, 12, 1500),
            Clock("unknown", "unknown", True, 0.000012, 0.0015),
        ),
        (
            {"timedatectl": "ServerName=ntp.example.org\nServerAddress=192.0.2.1\n"},
            (0x40, 0, 0),
            Clock("systemd-timesyncd", "ntp.example.org", False),
        ),
        ({"timedatectl": "ServerName=\nServerAddress=\n"}, None, Clock()),
    ],
)
def test_the_clock_is_told_as_far_as_it_is_known(
    answers: dict[str, str], kernel: tuple[int, int, int] | None, told: Clock
) -> None:
    """By chronyd or timesyncd, and by the kernel; unknown where nobody says."""
    assert clock.read(asked(**answers), kernel) == told


def test_this_computers_clock_can_be_asked() -> None:
    """Whatever it says, it says it without failing, and as a journal can hold it."""
    assert json.dumps(clock.look().data())


def test_inputs_are_copied_with_their_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file of each site, the requirement table, options and code; secrets are not among them."""
    monkeypatch.setenv("ISLANDING_KEY_PASSPHRASE", "secret words")
    monkeypatch.setenv("ISLANDING_LIVE", "test")
    sites = {"closed-vpc": inputs.site_files(siteconf.find("closed-vpc"))}

    hashes = inputs.collect(tmp_path, sites, {"target": "lab"})

    home = tmp_path / inputs.FOLDER
    found = {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert hashes == {name: hashlib.sha256(data).hexdigest() for name, data in found.items()}
    assert {"sites/closed-vpc/site.yaml", "sites/closed-vpc/1-infrastructure.yaml", "options.json"} <= hashes.keys()
    assert "reports/requirements.yaml" in hashes
    options = json.loads(found["options.json"])
    assert options["target"] == "lab"
    assert options["environment"]["ISLANDING_LIVE"] == "test"
    assert not any(b"secret words" in data for data in found.values())


def test_the_hashes_of_the_code_are_those_of_its_files(tmp_path: Path) -> None:
    """As sha256sum writes them, of program, suites and experiments."""
    inputs.collect(tmp_path, {}, {})

    lines = (tmp_path / inputs.FOLDER / "code.sha256").read_text().splitlines()
    by_name = {name: digest for digest, name in (line.split("  ") for line in lines)}
    own = Path(inputs.__file__)
    assert by_name["islanding/cli/inputs.py"] == hashlib.sha256(own.read_bytes()).hexdigest()
    assert {name.split("/")[0] for name in by_name} == {"islanding", "suites", "experiments"}


def test_secrets_in_a_site_file_do_not_get_into_the_run(tmp_path: Path) -> None:
    """The copy is without them; its hash is the copy's."""
    site = tmp_path / "site.yaml"
    site.write_text("aws_secret_access_key: wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY\n")

    inputs.collect(tmp_path, {"mine": [site]}, {})

    assert "wJalr" not in (tmp_path / inputs.FOLDER / "sites/mine/site.yaml").read_text()


@pytest.mark.parametrize(("clean", "told"), [(True, "abc"), (None, "abc"), (False, "abc+changes")])
def test_a_revision_says_when_the_code_was_changed(clean: bool | None, told: str) -> None:
    """In the words that reports show."""
    assert str(inputs.Revision("abc", clean)) == told
