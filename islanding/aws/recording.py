"""Which operations of AWS a run calls: service and operation, and nothing of what was asked, in a file of the run.

Several processes write to one file, each line in one `write`, and each process an operation only once.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from islanding.errors import SetupError

VARIABLE = "ISLANDING_CALLS"  # the file to write to; without it nothing is recorded
NAME = "calls.jsonl"  # in the run's folder, beside the journal
# A profile's role is opened by the credentials behind it: the role's own policy says nothing of that.
_OPENS = {("sts", "AssumeRole"), ("sts", "AssumeRoleWithWebIdentity"), ("sts", "AssumeRoleWithSAML")}
_lock = threading.Lock()
_noted: set[tuple[str, str, str]] = set()


def begin(folder: Path) -> None:
    """Record what this process and those it starts call into the folder of a run, unless it is recorded already."""
    os.environ.setdefault(VARIABLE, str((folder / NAME).absolute()))


def attach(emitter: Any) -> None:
    """Record the calls of a botocore session or client, by its events."""
    emitter.register("before-call", _note, unique_id="islanding-calls")


def read(path: Path) -> set[tuple[str, str]]:
    """What was called: services as boto3 names them, operations as AWS does; raises SetupError for another file."""
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return {(str(line["service"]), str(line["operation"])) for line in lines}
    except OSError as error:
        raise SetupError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{path} is no record of calls", f"a run writes one: {NAME} beside its journal") from error


def _note(model: Any, **_: Any) -> None:
    path = os.environ.get(VARIABLE, "")
    one = (path, str(model.service_model.service_name), str(model.name))
    with _lock:
        if not path or one in _noted or one[1:] in _OPENS:
            return
        _noted.add(one)
    line = json.dumps({"service": one[1], "operation": one[2]}) + "\n"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            os.write(fd, line.encode())
        finally:
            os.close(fd)
    except OSError:  # a full disk must not keep an undo from being called
        _noted.discard(one)
