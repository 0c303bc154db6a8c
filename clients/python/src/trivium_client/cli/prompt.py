"""The line on which a person types: editing, history over sessions, and what TAB offers."""

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trivium_client.cli.state import state_folder

HISTORY_VARIABLE = "TRIVIUM_CHAT_HISTORY"
_HISTORY_LINES = 1000


class Prompt:
    """Reads lines from a terminal. Where Python has no readline, lines are read without editing.

    Args:
        complete: Gives what a line may become, for TAB.
        history: File of the lines of earlier sessions; None to keep none.
    """

    def __init__(self, complete: Callable[[str], Sequence[str]], history: Path | None) -> None:
        self._complete = complete
        self._history = history
        try:
            import readline
        except ImportError:  # some builds of Python come without
            self._readline = None
        else:
            self._readline = readline

    def __enter__(self) -> "Prompt":
        if self._readline is not None:
            self._readline.set_completer_delims("")
            self._readline.set_completer(self._offer)
            self._readline.parse_and_bind("tab: complete")
            self._readline.set_auto_history(False)
            if self._history is not None:
                with contextlib.suppress(OSError):
                    self._readline.read_history_file(self._history)
        return self

    def __exit__(self, *_: object) -> None:
        if self._readline is None or self._history is None:
            return
        self._readline.set_history_length(_HISTORY_LINES)
        with contextlib.suppress(OSError):
            self._history.parent.mkdir(parents=True, exist_ok=True)
            self._history.touch(mode=0o600)
            self._readline.write_history_file(self._history)

    def read(self, words: str) -> str:
        """The next line.

        Raises:
            EOFError: There is none: Ctrl-D.
            KeyboardInterrupt: The line was given up: Ctrl-C.
        """
        # Readline counts how wide the prompt is, and must not count the colour.
        coloured = (
            f"\x01\x1b[1;36m\x02{words}\x01\x1b[0m\x02" if self._readline and "NO_COLOR" not in os.environ else words
        )
        line = input(coloured).strip()
        if line and self._readline is not None:
            self._readline.add_history(line)
        return line

    def _offer(self, line: str, number: int) -> str | None:
        offered = self._complete(line)
        return offered[number] if number < len(offered) else None


def history_file(environment: Mapping[str, str]) -> Path | None:
    """Where the lines of earlier sessions are; None if TRIVIUM_CHAT_HISTORY is set and empty."""
    named = environment.get(HISTORY_VARIABLE)
    if named is not None:
        return Path(named).expanduser() if named.strip() else None
    return state_folder(environment) / "chat_history"
