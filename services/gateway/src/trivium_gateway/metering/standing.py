"""How the current request stands with its limits, for the headers of its answer."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trivium_serving.errors import Standing

_noted: ContextVar[list[Standing] | None] = ContextVar("trivium_standing", default=None)


def watch_standing() -> list[Standing]:
    """A list that holds, once it is known, how the request stands that begins now."""
    noted: list[Standing] = []
    _noted.set(noted)
    return noted


def note_standing(standing: Standing) -> None:
    """Notes how the current request stands."""
    noted = _noted.get()
    if noted is not None:
        noted[:] = [standing]
