"""Documents that are rows of Parquet files: id, text, title, uri, metadata and readers; text alone is needed."""

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trivium_client._batches import as_document
from trivium_client._documents import NewDocument
from trivium_client._errors import InvalidRequest
from trivium_client._files import Unreadable
from trivium_client._sending import Source
from trivium_client.sync.sources import SourceUnavailable

if TYPE_CHECKING:
    from trivium_client.bulk.parts import Part

__all__ = ["PARQUET_ENDING", "RowsPart", "row_groups"]

PARQUET_ENDING = ".parquet"
_COLUMNS = ("id", "title", "text", "uri", "metadata", "readers")
_ROWS_AT_ONCE = 256


def _libraries() -> tuple[Any, Any]:
    try:
        import fsspec
        import pyarrow.parquet
    except ImportError:
        raise InvalidRequest(
            "Parquet needs the packages pyarrow and fsspec: pip install 'trivium-client[parquet,remote]'",
            reason="EXTRA_MISSING",
        ) from None
    return fsspec, pyarrow


@dataclass(frozen=True)
class RowsPart:
    """A group of rows of a file.

    Attributes:
        address: The file's.
        group: Which of its groups, from 0.
        first: The number of its first row, from 0.
        metadata: Facts about all documents.
        readers: Who may read them, unless a row says so.
        count: How many rows there are.
        stamp: See `Part`.
    """

    address: str
    group: int
    first: int
    metadata: Mapping[str, Any]
    readers: Sequence[str]
    count: int
    stamp: str

    def sources(self) -> Iterator[Source]:
        """The rows."""
        fsspec, arrow = _libraries()
        number = self.first
        with fsspec.open(self.address, "rb") as opened, arrow.parquet.ParquetFile(opened) as file:
            columns = [name for name in _COLUMNS if name in file.schema_arrow.names]
            for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[self.group], columns=columns):
                for row in batch.to_pylist():
                    yield Source(f"{self.address}:{number}", lambda row=row: self._read(row))  # type: ignore[misc]
                    number += 1

    def _read(self, row: dict[str, Any]) -> NewDocument:
        given = {name: value for name, value in row.items() if value is not None}
        try:
            own = given.pop("metadata", {})
            own = _plain(json.loads(own) if isinstance(own, str) else own)
            if not isinstance(own, dict):
                raise Unreadable("INVALID_DOCUMENT", "metadata is no object")
            document = as_document({**given, "metadata": {**self.metadata, **own}})
        except (InvalidRequest, ValueError) as error:
            reason = error.reason if isinstance(error, InvalidRequest) else "INVALID_JSON"
            raise Unreadable(reason, str(error)) from None
        if document.text is None:
            raise Unreadable("INVALID_DOCUMENT", "the column text is empty")
        return replace(document, readers=document.readers or self.readers)


def row_groups(address: str, metadata: Mapping[str, Any], readers: Sequence[str]) -> "list[Part]":
    """The groups of rows of Parquet files; raises what `parts_of` does."""
    fsspec, arrow = _libraries()
    from trivium_client.sync.remote import stamp_of

    parts: list[Any] = []
    try:
        files, pattern = fsspec.core.url_to_fs(address)
        for path in sorted(files.glob(pattern)):
            stamp = stamp_of(files.info(path))
            full = str(files.unstrip_protocol(path))
            with files.open(path, "rb") as opened, arrow.parquet.ParquetFile(opened) as file:
                if "text" not in file.schema_arrow.names:
                    raise InvalidRequest(f"{full} has no column text", reason="INVALID_DOCUMENT")
                first = 0
                for group in range(file.metadata.num_row_groups):
                    count = file.metadata.row_group(group).num_rows
                    told = repr((full, group, stamp, dict(metadata), list(readers)))
                    digest = hashlib.sha256(told.encode(errors="replace")).hexdigest()[:32] if stamp else ""
                    parts.append(RowsPart(full, group, first, metadata, readers, count, digest))
                    first += count
    except InvalidRequest:
        raise
    except Exception as error:  # each of fsspec's libraries has kinds of its own
        raise SourceUnavailable(f"{address} cannot be looked at: {error or type(error).__name__}") from None
    if not parts:
        raise SourceUnavailable(f"{address}: there is no such file, or no row in it")
    return parts


def _plain(value: Any) -> Any:
    """Metadata as JSON has it: what a row leaves empty is not there, and a date is a text."""
    if isinstance(value, list) and value and all(isinstance(one, tuple) and len(one) == 2 for one in value):
        value = dict(value)  # as a column of maps is read
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime.date) else value
