"""How long a user waits for `islanding --help`, beside the interpreter alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.figure import Figure, Say, milliseconds, spread

STARTS = 20
HELP_MS = 300.0


def help_figures(_rounds: int, _folder: Path, say: Say) -> list[Figure]:
    """Starts of the help and of an empty program in the same interpreter, in turns."""
    helped, bare = [], []
    for _ in range(STARTS):
        helped.append(milliseconds(lambda: _python("-m", "islanding", "--help")))
        bare.append(milliseconds(lambda: _python("-c", "pass")))
    say(f"islanding --help: {spread(helped)}, an empty program {spread(bare)}")
    return [
        Figure("islanding --help", median(helped), "ms", HELP_MS, "limit", 1.0, spread(helped)),
        Figure("islanding --help, beside the interpreter", median(helped), "ms", median(bare), "python -c pass", None),
    ]


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
