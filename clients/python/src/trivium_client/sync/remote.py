"""A source anywhere that fsspec can look: object stores, web servers, repositories."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from trivium_client._documents import NewDocument
from trivium_client._files import SIDECAR_ENDING, Unreadable, facts_from
from trivium_client.sync.sources import (
    IGNORE_FILE,
    SETTLING_SECONDS,
    Listing,
    Source,
    SourceFile,
    SourceUnavailable,
    check_size,
)

_STAMPS = (
    *("etag", "ETag", "Content-MD5", "md5Hash", "sha"),
    *("mtime", "modify", "LastModified", "Last-Modified", "last_modified", "last_write_time", "modificationTime"),
    *("updated", "created"),
)
"""By which keys the file systems of fsspec tell that a file has changed."""
_MOST_FOLDERS = 10_000
"""A web server may answer with a page of links at whatever address it is asked for."""
_LOOKS_AT_ONCE = 8
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; AWS_ENDPOINT_URL, where it is not Amazon's",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or a login by gcloud",
    "az": "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_SAME_KIND = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}


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
        shown = _without_password(address.rstrip("/"))
        self._kind = address.partition("://")[0]
        self._is_web = self._kind in ("http", "https")
        try:
            from fsspec.core import url_to_fs

            self._files, root = url_to_fs(address, use_listings_cache=False)
        except ImportError as error:
            raise SourceUnavailable(
                f"{shown} needs a library: {error}. Install trivium-client[remote], and what such addresses need"
            ) from None
        except Exception as error:  # each of fsspec's libraries has kinds of its own
            raise SourceUnavailable(f"{shown} cannot be opened: {self._why(error)}") from None
        self._folder: str = root
        self._root = root.rstrip("/")
        # A path does not say which host, repository or archive it is in, where the address has that beside it.
        is_whole = "::" not in address and not self._files._get_kwargs_from_urls(address)
        uri = _without_password(str(self._files.unstrip_protocol(self._root))) if is_whole else shown
        super().__init__(uri, os.path.basename(uri) or address, ignore, metadata or {}, readers)

    def list(self) -> Listing:
        """Look at all files, in as many calls as the file system needs."""
        listing = Listing()
        try:
            self._files.invalidate_cache()
            found = self._find(listing)
            found.pop(self._root, None)
            if not found and (not self._files.exists(self._root) or self._files.isfile(self._root)):
                raise FileNotFoundError("there is no folder, or nothing in it")
            keys = {self._key(path): path for path in found}
            own = self._files.cat_file(keys[IGNORE_FILE]).decode() if IGNORE_FILE in keys else ""
        except SourceUnavailable:
            raise
        except Exception as error:  # as above
            raise SourceUnavailable(f"{self.uri} cannot be looked at: {self._why(error)}") from None
        ignored = self._ignored(own)
        taken: list[str] = []
        for key in sorted(keys):
            hidden = any(part.startswith(".") for part in key.split("/")[:-1])
            is_beside = key.endswith(SIDECAR_ENDING) and key.removesuffix(SIDECAR_ENDING) in keys
            if not (hidden or is_beside or ignored.match_file(key)) and self._is_taken(key, listing):
                taken.append(key)
        self._look_closer(found, [keys[name] for key in taken for name in (key, key + SIDECAR_ENDING) if name in keys])
        for key in taken:
            path, sidecar = keys[key], keys.get(key + SIDECAR_ENDING, "")
            listing.files.append(self._file(key, path, found[path], sidecar, found.get(sidecar, {})))
        return listing

    def _find(self, listing: Listing) -> dict[str, dict[str, Any]]:
        """All files beneath the root, with what their folders tell of them."""
        from fsspec import AbstractFileSystem
        from fsspec.asyn import AsyncFileSystem

        kind = type(self._files)
        general = AsyncFileSystem._find if issubclass(kind, AsyncFileSystem) else AbstractFileSystem.find
        if getattr(kind, general.__name__) is not general:  # a store without folders lists everything at once
            everything: dict[str, dict[str, Any]] = self._files.find(self._root, detail=True)
            return {path: facts for path, facts in everything.items() if not facts.get("name", path).endswith("/")}
        return self._walk(listing)

    def _walk(self, listing: Listing) -> dict[str, dict[str, Any]]:
        """As fsspec's own, which passes over folders that it cannot look into, and follows links in circles."""
        found: dict[str, dict[str, Any]] = {}
        folders, known = [self._folder], {self._root}
        while folders:
            folder = folders.pop()
            try:
                entries = self._files.ls(folder, detail=True)
            except FileNotFoundError:
                if folder == self._folder:
                    raise
                continue  # it has just gone
            except Exception:  # as in `list`
                if folder == self._folder:
                    raise
                listing.unseen.append(self._uri(folder))
                continue
            for entry in entries:
                name = entry["name"]
                path = name.rstrip("/")
                if not self._is_below(path) or entry["type"] == "other":  # pipes and devices
                    continue
                if entry["type"] != "directory":
                    found[path] = entry
                elif path not in known and not entry.get("islink"):
                    known.add(path)
                    folders.append(name)
            if len(known) > _MOST_FOLDERS:
                raise SourceUnavailable(f"{self.uri} has more than {_MOST_FOLDERS} folders, or links without an end")
        return found

    def _is_below(self, path: str) -> bool:
        """Whether a path is one beneath the root, and no other name of one: links may lead anywhere."""
        root = f"{self._root}/" if self._root else ""
        key = path.removeprefix(root)
        is_place_in_page = self._is_web and ("#" in key or "?" in key)
        return path.startswith(root) and not is_place_in_page and not {"", ".", ".."}.intersection(key.split("/"))

    def _look_closer(self, found: dict[str, dict[str, Any]], paths: Sequence[str]) -> None:
        """Asks for what the folders of a web server do not tell: a stat of each file."""

        def look(path: str) -> None:
            try:
                found[path] = {**found[path], **self._files.info(path)}
            except Exception:  # as in `list`; then reading it says what is wrong
                return

        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            list(pool.map(look, [path for path in paths if not stamp_of(found[path])]))

    def _file(
        self, key: str, path: str, facts: Mapping[str, Any], sidecar: str, sidecar_facts: Mapping[str, Any]
    ) -> SourceFile:
        own, beside = stamp_of(facts), stamp_of(sidecar_facts)
        stamp = f"{own}:{beside}:{self._facts_stamp}" if own and (beside or not sidecar) else ""
        size = facts.get("size")
        return SourceFile(key, self._uri(path), size, stamp, lambda: self._read(path, size, sidecar))

    def _read(self, path: str, size: int | None, sidecar: str) -> NewDocument:
        check_size(size or 0)
        try:
            data = self._files.cat_file(path)
            beside = self._files.cat_file(sidecar) if sidecar else b"{}"
        except Exception as error:  # as in `list`
            raise Unreadable("UNREADABLE", self._why(error)) from None
        metadata = {**self.metadata, **facts_from(os.path.basename(sidecar), beside)}
        return NewDocument(
            data=data, filename=os.path.basename(self._key(path)), uri=self._uri(path), metadata=metadata
        )

    def _uri(self, path: str) -> str:
        return f"{self.uri}/{path.removeprefix(self._root).strip('/')}"

    def _key(self, path: str) -> str:
        key = path.removeprefix(self._root).lstrip("/")
        return unquote(key) if self._is_web else key

    def _why(self, error: Exception) -> str:
        """What is wrong, and what to do if it is the credentials."""
        why = _without_password(str(error)) or type(error).__name__
        is_refused = isinstance(error, PermissionError) or getattr(error, "status", 0) in (401, 403)
        if not is_refused and "credential" not in f"{type(error).__name__} {why}".lower():
            return why
        kind = _SAME_KIND.get(self._kind, self._kind)
        names = _CREDENTIALS.get(kind, f"see the library for {kind}://")
        return f"{why}. Credentials are taken from the environment: {names}"


def stamp_of(facts: Mapping[str, Any]) -> str:
    """What stays the same as long as a file does, by what its file system tells of it; empty if nothing tells that."""
    told = {name: str(facts[name]) for name in (*_STAMPS, "size") if facts.get(name) is not None}
    if told.keys() - {"size"} == {"Last-Modified"} and _is_fresh(told["Last-Modified"]):
        return ""
    return json.dumps(told, sort_keys=True) if told.keys() - {"size"} else ""


def _is_fresh(date: str) -> bool:
    """Whether a file may change again within the second that its date says."""
    try:
        return time.time() - parsedate_to_datetime(date).timestamp() < SETTLING_SECONDS
    except ValueError:
        return True


def _without_password(text: str) -> str:
    """An address as it may be shown and kept. What looks like a password of `github` names the repository."""
    scheme, separator, rest = text.partition("://")
    parts = urlsplit(text) if separator and scheme != "github" else None
    if parts is None or not parts.password:
        return text
    return f"{scheme}://{rest.replace(f':{parts.password}@', '@', 1)}"
