"""A source anywhere that fsspec can look: object stores, web servers, repositories."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from trivium_client._documents import NewDocument
from trivium_client._files import SIDECAR_ENDING, Unreadable, facts_from
from trivium_client.sync.sources import IGNORE_FILE, Listing, Source, SourceFile, SourceUnavailable, check_size

_FAILURES = (OSError, ValueError, RuntimeError, ImportError)
"""What the file systems of fsspec raise: each has errors of its own, which are of these kinds."""
_STAMPS = ("etag", "ETag", "md5Hash", "sha", "mtime", "LastModified", "last_modified", "updated", "created")
"""By which keys the file systems of fsspec tell that a file has changed."""


class RemoteSource(Source):
    """A folder of a file system of fsspec's.

    Credentials and regions are what the library of its kind takes from the environment; see fsspec.

    Args:
        address: For example `s3://bucket/manuals`.
        ignore: Patterns of files to leave out.
        metadata: Facts about all files.
        readers: Who may read the documents; see `NewDocument`.

    Raises:
        SourceUnavailable: fsspec, or the library of this kind, is not installed, or nobody knows such addresses.
    """

    def __init__(
        self,
        address: str,
        ignore: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        readers: Sequence[str] = (),
    ) -> None:
        try:
            from fsspec.core import url_to_fs

            self._files, self._root = url_to_fs(address, use_listings_cache=False)
        except ImportError as error:
            raise SourceUnavailable(
                f"{address} needs a library: {error}. Install trivium-client[remote], and what such addresses need"
            ) from None
        except _FAILURES as error:
            raise SourceUnavailable(f"{address} cannot be opened: {error}") from None
        super().__init__(
            self._uri(self._root.rstrip("/")),
            os.path.basename(self._root.rstrip("/")) or address,
            ignore,
            metadata or {},
            readers,
        )

    def list(self) -> Listing:
        """Look at all files, in as many calls as the file system needs."""
        listing = Listing()
        try:
            found: dict[str, dict[str, Any]] = self._files.find(self._root, detail=True)
            if not found and not self._files.exists(self._root):
                raise SourceUnavailable(f"there is nothing at {self.uri}")
            keys = {self._key(path): path for path in found}
            own = self._files.cat_file(keys[IGNORE_FILE]).decode() if IGNORE_FILE in keys else ""
        except _FAILURES as error:
            raise SourceUnavailable(f"{self.uri} cannot be looked at: {error}") from None
        ignored = self._ignored(own)
        for key, path in sorted(keys.items()):
            hidden = any(part.startswith(".") for part in key.split("/")[:-1])
            is_beside = key.endswith(SIDECAR_ENDING) and key.removesuffix(SIDECAR_ENDING) in keys
            if hidden or is_beside or ignored.match_file(key) or not self._is_taken(key, listing):
                continue
            sidecar = keys.get(key + SIDECAR_ENDING, "")
            listing.files.append(self._file(key, path, found[path], sidecar, found.get(sidecar, {})))
        return listing

    def _file(
        self, key: str, path: str, facts: Mapping[str, Any], sidecar: str, sidecar_facts: Mapping[str, Any]
    ) -> SourceFile:
        own, beside = _stamp(facts), _stamp(sidecar_facts)
        stamp = f"{own}:{beside}:{self._facts_stamp}" if own and (beside or not sidecar) else ""
        size = facts.get("size")
        return SourceFile(key, self._uri(path), size, stamp, lambda: self._read(path, size, sidecar))

    def _read(self, path: str, size: int | None, sidecar: str) -> NewDocument:
        try:
            check_size(size or 0)
            data = self._files.cat_file(path)
            beside = facts_from(os.path.basename(sidecar), self._files.cat_file(sidecar)) if sidecar else {}
        except _FAILURES as error:
            raise Unreadable("UNREADABLE", str(error)) from None
        return NewDocument(
            data=data, filename=os.path.basename(path), uri=self._uri(path), metadata={**self.metadata, **beside}
        )

    def _uri(self, path: str) -> str:
        return str(self._files.unstrip_protocol(path))

    def _key(self, path: str) -> str:
        return path.removeprefix(self._root).lstrip("/")


def _stamp(facts: Mapping[str, Any]) -> str:
    told = {name: str(facts[name]) for name in (*_STAMPS, "size") if facts.get(name) is not None}
    return json.dumps(told, sort_keys=True) if told.keys() - {"size"} else ""
