"""What a run that broke off had done: the stamps of the parts that are in, a line each."""

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

__all__ = ["Manifest"]

_FOLDER = "bulk"


class Manifest:
    """The parts of a run that are in; a run that ends with nothing left over forgets it.

    Losing it costs time only: every part is sent once more, and what is stored is found unchanged.

    Attributes:
        done: The stamps of the parts that are in.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None
        self.done: set[str] = set()
        with contextlib.suppress(OSError):
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):  # the last line may be half a one
                    self.done.add(json.loads(line)["part"])

    @classmethod
    def of(cls, addresses: Sequence[str], collection: str, data_dir: Path | None = None) -> "Manifest":
        """The manifest of a run, by what it reads and where it writes."""
        told = "\x1f".join([collection, *addresses])
        name = hashlib.sha256(told.encode(errors="replace")).hexdigest()[:24]
        folder = data_dir or Path(os.environ.get("TRIVIUM_DATA_DIR") or ".data")
        return cls(folder / _FOLDER / f"{name}.jsonl")

    def note(self, stamp: str) -> None:
        """Notes that a part is in. One without a stamp is sent again in any case."""
        if not stamp:
            return
        self.done.add(stamp)
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("a")
            if self._path.stat().st_size:
                self._file.write("\n")  # behind half a line
        self._file.write(json.dumps({"part": stamp}) + "\n")
        self._file.flush()

    def forget(self) -> None:
        """Begins anew."""
        self.close()
        self.done = set()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
