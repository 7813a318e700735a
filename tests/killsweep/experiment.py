"""The short experiment of a sweep: one fault, held for a moment, undone by its own rollback."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.killsweep.strikes import Choice

HELD = 0.3  # seconds: long enough to be struck in, short enough for a thousand of them


def write(choice: Choice, site: str, folder: Path) -> Path:
    """Write the experiment into `folder` and return its file; it says what any experiment of a user's says."""
    provider = {"type": "python", "module": "islanding.chaos.actions"}
    action = {"func": choice.action, **({"arguments": choice.arguments} if choice.arguments else {})}
    undo = {"type": "action", "name": "mend it", "provider": {**provider, "func": "undo_fault"}}
    answers = {
        "type": "probe",
        "name": "workload answers",
        "tolerance": True,
        "provider": {**provider, "module": "islanding.chaos.probes", "func": "workload_answers"}
        | {"arguments": {"within": 20}},
    }
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', str(choice)).strip('-')}.yaml"
    document = {
        "title": f"{choice}, cut short",
        "description": "One fault and its undo, to be killed in.",
        "controls": [{"name": "islanding", "provider": {"type": "python", "module": "islanding.chaos.controls"}}],
        "runtime": {"rollbacks": {"strategy": "always"}},
        "extensions": [{"name": "islanding", "site": site, "requirements": ["X-01"]}],
        "steady-state-hypothesis": {"title": "the workload answers", "probes": [answers]},
        "method": [
            {"type": "action", "name": "break it", "pauses": {"after": HELD}, "provider": {**provider, **action}},
            undo,
        ],
        "rollbacks": [{**undo, "name": "mend it in any case"}],
    }
    path.write_text(json.dumps(document, indent=1))  # YAML, too
    return path
