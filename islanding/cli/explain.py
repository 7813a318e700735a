"""`islanding explain`: says what a pasted error text means, what to check, and which missing piece causes it."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from islanding.errors import ExitCode, SetupError

_MOST = 5  # candidates that are shown in full


@click.command("explain")
@click.argument("text", required=False, nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the candidates as JSON.")
@click.option("--all", "show_all", is_flag=True, help="Show every candidate, not only the likeliest five.")
def explain_command(text: tuple[str, ...], as_json: bool, show_all: bool) -> ExitCode:
    """Say what the error TEXT means: of kubelet, containerd, kubectl, the aws command, nodeadm, the VPC CNI or ssh.

    TEXT is the message in quotation marks; `-`, or nothing with input from a pipe, reads it from standard input.
    Colours, timestamps and wrapped lines do not matter; tokens and signatures are taken out before anything is shown.

    \b
    The exit code is 0 when the text is known, 1 when it is not: then nothing is guessed.

    \b
    Examples:
      islanding explain 'dial tcp 10.0.2.31:443: i/o timeout'
      kubectl describe pod web-1 | islanding explain
      journalctl -u kubelet -n 50 | islanding explain --json
    """
    from islanding.diagnosis.explaining import LONGEST, explain_text

    pasted = _pasted(text)
    if len(pasted) > LONGEST:
        click.echo(f"Only the last {LONGEST} of {len(pasted)} characters are read.", err=True)
    found = explain_text(pasted)
    if as_json:
        click.echo(json.dumps({"known": bool(found), "candidates": [_data(one) for one in found]}, indent=1))
    elif found:
        _show(found if show_all else found[:_MOST], len(found))
    else:
        click.echo(
            "This text is not in the catalogue, so nothing is said about it.\n"
            "Paste more of it: the innermost message matters (after the last 'failed to' or 'err=')."
        )
    return ExitCode.OK if found else ExitCode.FAILED


def _pasted(text: tuple[str, ...]) -> str:
    if text and text != ("-",):
        return " ".join(text)
    if not text and sys.stdin.isatty():
        raise SetupError("no text to explain", "Give it in quotation marks, or pipe it in: `... | islanding explain`.")
    pasted = sys.stdin.buffer.read().decode(errors="replace")
    if not pasted.strip():
        raise SetupError("standard input was empty: there is no text to explain", "Pipe the error text in.")
    return pasted


def _show(found: Any, known: int) -> None:
    console = Console(highlight=False)
    for number, one in enumerate(found):
        entry = one.entry
        if number:
            console.print()
            console.print(Text("It may also be, or come with:", "dim"))
        console.print(Text.assemble((entry.name, "bold"), f"  at the step: {entry.step}"), soft_wrap=True)
        console.print(Text(f"  {entry.meaning}"), soft_wrap=True)
        console.print(Text(f"  in the text: {one.matched}", "dim"), soft_wrap=True)
        console.print(Text("  Which missing piece causes it, likeliest first:"))
        for place, cause in enumerate(one.causes, 1):
            against = f" (the {one.hint} in the text speaks against it)" if one.speaks_against(cause) else ""
            console.print(Text(f"    {place}. {cause.missing}{against}"), soft_wrap=True)
            console.print(Text(f"       known by: {cause.tell}", "dim"), soft_wrap=True)
        console.print(Text("  What to check, in this order:"))
        for place, check in enumerate(one.checks, 1):
            console.print(Text(f"    {place}. {check}"), soft_wrap=True)
        console.print(Text(f"  Printed by: {one.text.component}. Source: {one.text.source}", "dim"), soft_wrap=True)
    if known > len(found):
        console.print(Text(f"{known - len(found)} less likely candidates: --all shows them.", "dim"))


def _data(one: Any) -> dict[str, Any]:
    return {
        "name": one.entry.name,
        "step": one.entry.step,
        "meaning": one.entry.meaning,
        "matched": one.matched,
        "address": one.hint,
        "causes": [
            {"missing": cause.missing, "tell": cause.tell, "ruled_out": one.speaks_against(cause)}
            for cause in one.causes
        ],
        "checks": list(one.checks),
        "component": one.text.component,
        "source": one.text.source,
    }
