"""The two that must find every tampering, asked without a process each: `islanding verify` and the script inside."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from islanding.attest import opened, verify_bundle
from islanding.attest.keys import PublicKey
from islanding.attest.opened import Opened
from islanding.attest.verify import Trust, Verified, verify


def by_command(given: dict[str, bytes] | bytes, key: PublicKey | None) -> Verified:
    """What `islanding verify` finds in these files, or in this zip."""
    if isinstance(given, bytes):
        return verify(opened._zip("bundle.zip", io.BytesIO(given)), Trust(key))
    sizes = {name: len(data) for name, data in given.items()}
    return verify(Opened(sizes, (), lambda name: io.BytesIO(given[name])), Trust(key))


def script_finds(given: dict[str, bytes] | bytes, key: PublicKey) -> str:
    """What the script inside says is wrong with them; empty when it says that they hold."""
    try:
        if isinstance(given, bytes):
            with tempfile.NamedTemporaryFile(suffix=".zip") as file:
                file.write(given)
                file.flush()
                verify_bundle.check(verify_bundle.load(Path(file.name)), key.key)
        else:
            verify_bundle.check(given, key.key)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def found_by_command(given: dict[str, bytes] | bytes, key: PublicKey) -> str:
    """What `islanding verify` says first, as a line; empty when it says that they hold."""
    done = by_command(given, key)
    if done.problems:
        return "{}: {}".format(*done.problems[0])
    return done.unchecked[0][1] if done.unchecked else ""
