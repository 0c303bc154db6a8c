"""What comes in on standard input."""

import sys
from io import TextIOWrapper
from typing import BinaryIO, TextIO

import typer

FROM_STANDARD_INPUT = "-"
"""Stands for standard input where a text or a file is named."""


def text_or_standard_input(text: str, what: str) -> str:
    """The text of an argument, or what standard input holds if the argument is `-`.

    Raises:
        typer.BadParameter: If standard input is empty.
    """
    if text != FROM_STANDARD_INPUT:
        return text
    read = lines().read().strip()
    if not read:
        raise typer.BadParameter(f"standard input holds no {what}")
    return read


def lines() -> TextIO:
    """Standard input as text; what is not UTF-8 in it is replaced."""
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    return sys.stdin


def content() -> BinaryIO:
    """Standard input as bytes."""
    return sys.stdin.buffer
