"""Waits while something is away, as it is when it restarts."""

import time
from collections.abc import Callable
from typing import TypeVar

from trivium_client import Cancelled, TemporaryError
from trivium_client._retries import Patience
from trivium_client.cli.failures import failure_text
from trivium_client.cli.output import warn

__all__ = ["patiently"]

_Answer = TypeVar("_Answer")

_AWAY_SECONDS = 300.0
"""How long something may be away before a command gives up, which loses nothing."""


def patiently(call: Callable[[], _Answer]) -> _Answer:
    """Makes a call that may be repeated, again while something is away.

    Raises:
        TriviumError: It fails for another reason, or for long.
    """
    patience = Patience(timeout_seconds=_AWAY_SECONDS, patience_seconds=_AWAY_SECONDS)
    said = False
    while True:
        try:
            return call()
        except (TemporaryError, Cancelled) as error:
            pause = patience.pause_seconds(error, reached=True, even_late=True)
            if pause is None:
                raise
            if not said:
                warn(f"{failure_text(error)}; it goes on as soon as that is over")
                said = True
            time.sleep(pause)
