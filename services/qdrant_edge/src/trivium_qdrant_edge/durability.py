"""What of a collection's writes is not safe on the disk yet, and what makes it so."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from trivium_qdrant_edge.data_folder import size_on_disk, sync_files, writing
from trivium_qdrant_edge.digests import digest_all, forget_clean, keep_clean
from trivium_qdrant_edge.engine_errors import engine_errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import qdrant_edge

    from trivium_qdrant_edge.room import Room

# What was written since the last flush is read from the log again by a start after a kill: so much of it in a moment.
_LONGEST_LOG_BYTES = 16 << 20

# How long a collection must not have changed before its log is shortened, however short it is.
_QUIET_SECONDS = 10.0

# A larger collection ends without new digests of all its files, so that the end of the process does not wait for them.
_MOST_DIGESTED_BYTES = 1 << 30


class Durability:
    """Belongs to the collection's writing thread; anybody may read its attributes.

    Attributes:
        changed_at: When the collection was last written to, on the monotonic clock.
        change_count: How often it was.
        is_unflushed: Whether the engine's log has writes that only a flush takes out of it.
        is_clean: Whether there are digests of all files as they are.

    Args:
        room: The room on the disk.
        is_read_only: Whether nothing is ever written.
    """

    def __init__(self, room: Room, *, is_read_only: bool) -> None:
        self._room = room
        self.changed_at = time.monotonic()
        self.change_count = 0
        self.is_clean = False
        # What a start reads again from the log is not on the disk yet, for all we know.
        self.is_unflushed = self._is_unsynced = not is_read_only
        self._log_bytes = 0

    @property
    def is_flush_due(self) -> bool:
        """Whether the log is worth shortening: it has become long, or nothing is written any more."""
        is_quiet = time.monotonic() - self.changed_at >= _QUIET_SECONDS
        return self.is_unflushed and (is_quiet or self._log_bytes >= _LONGEST_LOG_BYTES)

    def note_write(self, shard_path: Path, size_bytes: int) -> None:
        """Takes note of a write that is about to be done."""
        if self.is_clean:
            with writing(shard_path):
                forget_clean(shard_path)
        self.is_clean, self.is_unflushed, self._is_unsynced = False, True, True
        self._log_bytes += size_bytes
        self.change_count += 1
        self.changed_at = time.monotonic()

    def note_replaced(self) -> None:
        """Takes note that other files, which are on the disk, are the collection's from now on."""
        self.is_clean = False
        self.change_count += 1

    def sync(self, shard_path: Path) -> bool:
        """Forces what was written to the disk, the engine's log among it; whether there was anything to force."""
        if not self._is_unsynced:
            return False
        sync_files(shard_path)
        self._is_unsynced = False
        return True

    def flush(self, shard: qdrant_edge.EdgeShard, shard_path: Path) -> None:
        """Lets the engine shorten its log."""
        self._room.make_way()
        with engine_errors():
            shard.flush()
        self._room.note_flush(shard_path)
        self.is_unflushed = self._is_unsynced = False
        self._log_bytes = 0

    def keep_digests(self, shard_path: Path, digests: Mapping[str, str]) -> None:
        """Keeps digests of all files as they are now.

        Raises:
            OSError: They cannot be written.
        """
        keep_clean(shard_path, digests)
        self.is_clean = True

    def keep_last_digests(self, shard_path: Path) -> None:
        """Keeps digests of all files at the end, if there are none and it does not take long."""
        if not self.is_clean and size_on_disk(shard_path) <= _MOST_DIGESTED_BYTES:
            with suppress(OSError):  # the next start checks less
                self.keep_digests(shard_path, digest_all(shard_path))
