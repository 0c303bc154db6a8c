"""The first steps of every service's process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn, TypeVar

from trivium_serving.logs import configure_logging
from trivium_serving.settings import load_settings
from trivium_serving.tracing import configure_tracing

if TYPE_CHECKING:
    from collections.abc import Sequence

_Settings = TypeVar("_Settings")


def prepare_process(
    cls: type[_Settings], *, service: str, description: str, argv: Sequence[str] | None = None
) -> _Settings:
    """Reads a service's settings, and begins its logs and traces.

    What cannot be set like that ends the process with status 2 and one line that says so.

    Args:
        cls: The settings, a dataclass whose fields are made by `setting`.
        service: The service's short name.
        description: What it does, for `--help`.
        argv: Flags; None for the process's own.
    """
    settings = load_settings(
        cls, prefix=f"TRIVIUM_{service.upper()}_", program=_program(service), description=description, argv=argv
    )
    try:
        configure_logging(service)
        configure_tracing(service)
    except ValueError as error:
        refuse_to_start(service, error)
    return settings


def refuse_to_start(service: str, error: Exception) -> NoReturn:
    """Ends the process, whose settings cannot be, with status 2 and one line that says why."""
    print(f"{_program(service)}: {error}", file=sys.stderr)
    sys.exit(2)


def _program(service: str) -> str:
    return f"trivium-{service.replace('_', '-')}"
