"""`python -m islanding` is the same as the `islanding` command."""

from __future__ import annotations

from islanding.cli import main

if __name__ == "__main__":
    main(prog_name="islanding")
