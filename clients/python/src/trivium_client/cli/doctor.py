"""`trivium doctor`."""

import os
from collections import Counter
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from trivium_client.cli.failures import FAILED
from trivium_client.cli.options import GatewayOption, JsonOption
from trivium_client.cli.output import print_json, print_row, stderr, stdout
from trivium_client.doctor.examination import examine
from trivium_client.doctor.findings import Finding, Level
from trivium_client.doctor.leftovers import data_folder, mend_leftovers
from trivium_client.stack.settings_file import with_settings

_STYLES = {Level.OK: "green", Level.SKIPPED: "dim", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Put right first what can be without losing anything, and say what was done.")
    ] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check what people stumble over: this machine, what is installed, the settings, and what runs.

    Each check is ok, skipped (it cannot be known here, or does not matter), a warning, or a problem; the latter two say
    what to do. Keys are never printed. Exit status 0 if there is no problem, else 1. With `--fix`, converted models
    that are damaged or were left half made are deleted, which the next start makes again, and the file with your keys
    is kept from others; nothing else is changed.

    **Examples**

        trivium doctor

        trivium doctor --fix

        trivium doctor --json | jq '.findings[] | select(.level == "problem")'
    """
    with stderr().status("looking", spinner_style="cyan"):
        environment = with_settings(os.environ, data_folder(os.environ))
        mended = mend_leftovers(environment) if fix else []
        findings = examine(gateway, environment)
    counts = Counter(finding.level for finding in findings)
    if as_json:
        print_json({"healthy": not counts[Level.PROBLEM], "findings": findings, **({"mended": mended} if fix else {})})
    else:
        for line in mended:
            stderr().print(f"put right: {line}", style="green", soft_wrap=True, markup=False)
        _show(findings, counts)
    if counts[Level.PROBLEM]:
        raise typer.Exit(FAILED)


def _show(findings: list[Finding], counts: Counter[Level]) -> None:
    console = stdout()
    if not console.is_terminal:
        for finding in findings:
            print_row(finding.level, finding.subject, finding.text, finding.advice)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        style = _STYLES[finding.level]
        found = Text(finding.text, style="dim" if finding.level is Level.SKIPPED else "")
        if finding.advice:
            found.append(f"\n→ {finding.advice}", style=style)
        table.add_row(Text(finding.level, style=style), Text(finding.subject, style="bold"), found)
    console.print(table)
    parts = [f"{counts[level]} {level}{'s' if counts[level] > 1 else ''}" for level in (Level.PROBLEM, Level.WARNING)]
    told = ", ".join(part for part in parts if not part.startswith("0 "))
    console.print(f"\n{told or 'nothing is wrong'}", style="bold")
