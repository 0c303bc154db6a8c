"""Writes the part of docs/cli.md that lists every command with its options, from the command itself.

PYTHONPATH=scripts python -m reference.command            write it
PYTHONPATH=scripts python -m reference.command --check    change nothing; fail if it is not current
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from trivium_client.cli.app import app
from trivium_client.cli.command import OUTPUT_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
MARK = "<!-- What follows is written by scripts/reference/command.py. -->\n"


def main() -> None:
    written = PAGE.read_text(encoding="utf-8")
    by_hand = written.partition(MARK)[0]
    current = f"{by_hand}{MARK}\n" + "\n".join(_commands("trivium", typer.main.get_command(app)))
    if sys.argv[1:] == ["--check"]:
        if written != current:
            sys.exit("docs/cli.md is not current; run: PYTHONPATH=scripts .venv/bin/python -m reference.command")
    else:
        PAGE.write_text(current, encoding="utf-8")


def _commands(name: str, command: Any) -> Iterator[str]:
    """The pages of a command and of those beneath it, as lines."""
    yield f"## `{name}`\n"
    yield _text(command.help)
    parameters = [parameter for parameter in command.params if parameter.name not in OUTPUT_OPTIONS]
    rows = [_row(parameter) for parameter in parameters if not getattr(parameter, "hidden", False)]
    if rows:
        yield "| | Default | |\n|---|---|---|"
        yield from rows
        yield ""
    for sub in getattr(command, "commands", {}).values():
        yield from _commands(f"{name} {sub.name}", sub)


def _text(help_text: str) -> str:
    """A command's own help as Markdown: its examples become one block."""
    before, _, examples = inspect.cleandoc(help_text).partition("**Examples**")
    if not examples:
        return before.strip() + "\n"
    lines = "\n".join(f"$ {line.strip()}" for line in examples.splitlines() if line.strip())
    return f"{before.strip()}\n\n```console\n{lines}\n```\n"


def _row(parameter: Any) -> str:
    """What the table says of an argument or option."""
    if parameter.param_type_name == "argument":
        named = f"`{parameter.metavar}{'...' if parameter.nargs < 0 else ''}`"
    else:
        value = "" if parameter.is_flag else parameter.metavar
        named = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        named += f" `{value}`" if value else ""
    default = parameter.show_default if isinstance(parameter.show_default, str) else parameter.default
    shown = f"`{default}`" if default not in (None, "", False, True, ()) and not callable(default) else ""
    text = " ".join((parameter.help or "").split())
    if parameter.envvar:
        text += f" In the environment: `{parameter.envvar}`."
    return f"| {named.replace('|', chr(92) + '|')} | {shown} | {text} |"


if __name__ == "__main__":
    main()
