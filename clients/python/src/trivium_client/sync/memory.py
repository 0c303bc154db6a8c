"""What was seen of a source's files, so that those that did not change need not be read."""

import contextlib
import fcntl
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

_FOLDER = "sync"


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as it was when its document was last stored.

    Attributes:
        stamp: Its stamp; see `SourceFile`.
        uri: Its uri.
        size: Its size in bytes.
        file_hash: Hash of its bytes.
        content_hash: Hash of what was stored; as long as the document has it, nobody else has changed it.
    """

    stamp: str
    uri: str
    size: int
    file_hash: str
    content_hash: str


class Memory:
    """What was seen, in a file. Losing it costs time only: everything is read again once.

    As a context it is one process's at a time; another one waits.

    Attributes:
        problem: Why it cannot be kept, as on a full disk; None as long as it can.

    Args:
        path: The file; None to remember nothing.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen: dict[str, Seen] = {}
        self._lock = -1
        self.problem: OSError | None = None

    @classmethod
    def of(cls, uri: str, *, address: str, collection: str, data_dir: Path | None = None) -> Self:
        """The memory of a source that is kept in a collection.

        Args:
            uri: The source's.
            address: The gateway's.
            collection: The collection's name.
            data_dir: Where it is kept; TRIVIUM_DATA_DIR, else `.data`, if not given.
        """
        name = hashlib.sha256("\x1f".join((uri, address, collection)).encode(errors="replace")).hexdigest()[:24]
        folder = data_dir or Path(os.environ.get("TRIVIUM_DATA_DIR") or ".data")
        return cls(folder / _FOLDER / f"{name}.json")

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            except OSError as problem:
                self.problem = problem
            # A file that cannot be understood is as good as none.
            with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
                self._seen = {uri: Seen(**seen) for uri, seen in json.loads(self._path.read_bytes()).items()}
        return self

    def __exit__(self, *_: object) -> None:
        self.save()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def get(self, uri: str) -> Seen | None:
        """What was seen of a file; None if nothing was."""
        return self._seen.get(uri)

    def note(self, seen: Seen) -> None:
        """Remember a file."""
        self._seen[seen.uri] = seen

    def forget(self, uri: str) -> None:
        """Forget a file that is gone."""
        self._seen.pop(uri, None)

    def save(self) -> None:
        """Write it down, whole or not at all; see `problem`."""
        if self._path is None or self._lock < 0:
            return
        written = self._path.with_suffix(f".{os.getpid()}.new")
        try:
            written.write_text(json.dumps({uri: asdict(seen) for uri, seen in self._seen.items()}))
            written.replace(self._path)
        except OSError as problem:
            self.problem = problem
            with contextlib.suppress(OSError):
                written.unlink(missing_ok=True)
        else:
            self.problem = None
