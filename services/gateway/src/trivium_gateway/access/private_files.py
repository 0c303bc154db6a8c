"""Files that nobody but the gateway's own user may read: keys, what was asked and done, documents on their way."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def open_private(path: Path, flags: int) -> int:
    """Opens a file, and makes its folder and what it creates for the owner only.

    Args:
        path: Where it is.
        flags: As `os.open` takes them.

    Returns:
        Its descriptor, which the caller closes.

    Raises:
        OSError: It cannot be opened.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.open(path, flags, 0o600)
