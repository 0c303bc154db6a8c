"""What a check finds."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a thing is."""

    OK = "ok"
    SKIPPED = "skipped"
    """It could not be known, or does not matter here."""
    WARNING = "warning"
    """It works, but not as well as it could, or not for long."""
    PROBLEM = "problem"
    """Something will not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        subject: What was looked at.
        level: How it is.
        text: What was found.
        advice: What to do about it; empty if nothing.
    """

    subject: str
    level: Level
    text: str
    advice: str = ""


def ok(subject: str, text: str, advice: str = "") -> Finding:
    return Finding(subject, Level.OK, text, advice)


def skipped(subject: str, text: str) -> Finding:
    return Finding(subject, Level.SKIPPED, text)


def warning(subject: str, text: str, advice: str) -> Finding:
    return Finding(subject, Level.WARNING, text, advice)


def problem(subject: str, text: str, advice: str) -> Finding:
    return Finding(subject, Level.PROBLEM, text, advice)
