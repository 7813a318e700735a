"""Tampered bundles: each is found, by `islanding verify` and by the script inside; whole ones are not suspected."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from islanding.attest.layout import ATTESTATION
from tests.tamper.bundles import Made, make
from tests.tamper.kinds import KINDS
from tests.tamper.sweep import every_byte, strikes, untouched
from tests.tamper.verifiers import found_by_command, script_finds


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A bundle that is whole."""
    return make(tmp_path_factory.mktemp("run"))


def test_a_whole_bundle_is_not_suspected(made: Made) -> None:
    """Folder and zip hold, by both verifiers."""
    assert untouched(made) == []


def test_every_kind_of_tampering_is_found(made: Made) -> None:
    """Each kind ten times; the whole sweep of 10,000 is `make tamper`."""
    assert [miss for _, miss in strikes(made, seed=20261121, runs=10 * len(KINDS)) if miss] == []


def test_bytes_of_the_zip_changed_in_turn_are_found(made: Made) -> None:
    """Every 97th here, a number that shares no factor with a zip's headers; each one in `make tamper`."""
    assert list(every_byte(made, step=97)) == []


def test_every_byte_of_the_signature_counts(made: Made) -> None:
    """No byte of the envelope can change unseen, not even those that no signature covers."""
    whole = made.files[ATTESTATION]
    missed = []
    for at in range(len(whole)):
        changed = made.files | {ATTESTATION: whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :]}
        if not found_by_command(changed, made.key):
            missed.append(at)
    assert missed == []


def test_every_file_removed_renamed_or_added_is_found_and_named(made: Made) -> None:
    """One after the other; what is said names the file."""
    for name in made.files:
        without = {other: data for other, data in made.files.items() if other != name}
        renamed = without | {f"{name}.old": made.files[name]}
        for tampered in (without, renamed):
            assert script_finds(tampered, made.key)
            assert found_by_command(tampered, made.key)
        if name != ATTESTATION:
            assert name in found_by_command(without, made.key)
        added = made.files | {f"{name}.new": b""}
        assert found_by_command(added, made.key) == f"{name}.new: was added: the manifest does not name it"
        assert script_finds(added, made.key)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_any_file_is_found(made: Made, data: st.DataObject) -> None:
    """Whatever is put in the place of any stretch of any file, both find it."""
    name = data.draw(st.sampled_from(sorted(made.files)))
    whole = made.files[name]
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    changed = whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:]
    if changed != whole:
        tampered = made.files | {name: changed}
        assert found_by_command(tampered, made.key)
        assert script_finds(tampered, made.key)
