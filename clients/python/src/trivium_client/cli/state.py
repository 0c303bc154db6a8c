"""What the command remembers of a person from one run to the next."""

import os
from collections.abc import Mapping
from pathlib import Path


def state_folder(environment: Mapping[str, str]) -> Path:
    """The folder for it; it need not exist."""
    return Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "trivium")


def is_first_time(what: str) -> bool:
    """Whether something happens for the first time, of which a note is made; no, where none can be made."""
    try:
        folder = state_folder(os.environ)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / what).touch(exist_ok=False)
    except OSError:
        return False
    return True
