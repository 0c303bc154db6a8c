"""Exports as Parquet: a row for each document, a large one several; what they come from is in the file's metadata."""

import json
import sys
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trivium_client._errors import InvalidRequest
from trivium_client._transfers import ExportedCollection, ExportedDocument, ExportedPiece
from trivium_client.transfer.records import Totals, collection_from, damaged, first_line

__all__ = ["ColumnsReader", "ColumnsWriter"]

_KEY = b"trivium_export"
_GROUP_BYTES = 16 << 20
_ROWS_AT_ONCE = 32


def _library() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InvalidRequest(
            "Parquet needs the package pyarrow: pip install 'trivium-client[parquet]', or use --format jsonl",
            reason="EXTRA_MISSING",
        ) from None
    return pyarrow, pyarrow.parquet


class ColumnsWriter:
    """Writes an export. A Parquet file ends with what is in it, so that one that broke off is begun anew.

    Attributes:
        page_token: Where to go on: always at the beginning.
        totals: How much is in the file.

    Args:
        path: The file.

    Raises:
        InvalidRequest: The package that writes it is not there (EXTRA_MISSING).
    """

    def __init__(self, path: Path) -> None:
        self.page_token = ""
        self.totals = Totals()
        self._path = path
        self._arrow, self._parquet = _library()
        self._writer: Any = None
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def resume(self, collection: ExportedCollection) -> None:
        """Begins the file."""
        arrow = self._arrow
        self._rows, self._bytes, self.totals = [], 0, Totals()
        piece = arrow.struct(
            [
                ("start", arrow.int32()),
                ("end", arrow.int32()),
                ("vector", arrow.list_(arrow.float32())),
                ("token_codes", arrow.binary()),
                ("learned_indices", arrow.list_(arrow.uint32())),
                ("learned_values", arrow.list_(arrow.float32())),
            ]
        )
        schema = arrow.schema(
            [
                ("id", arrow.string()),
                ("continues", arrow.bool_()),
                ("title", arrow.string()),
                ("uri", arrow.string()),
                ("metadata", arrow.string()),
                ("readers", arrow.list_(arrow.string())),
                ("container", arrow.string()),
                ("text", arrow.string()),
                ("lines", arrow.list_(arrow.list_(arrow.float64()))),
                ("pieces", arrow.list_(piece)),
            ],
            metadata={_KEY: first_line(collection).encode()},
        )
        self._writer = self._parquet.ParquetWriter(self._path, schema, compression="zstd", write_page_checksum=True)

    def write(self, document: ExportedDocument) -> None:
        """Adds a document, or more of the one before."""
        self._rows.append(
            {
                "id": document.id,
                "continues": document.continues,
                "title": document.title,
                "uri": document.uri,
                "metadata": json.dumps(dict(document.metadata), ensure_ascii=False, sort_keys=True),
                "readers": list(document.readers),
                "container": document.container,
                "text": document.text,
                "lines": [list(map(float, one)) for one in document.lines],
                "pieces": [
                    {
                        "start": one.start,
                        "end": one.end,
                        "vector": _numbers(one.vector),
                        "token_codes": one.token_codes,
                        "learned_indices": one.learned_indices,
                        "learned_values": one.learned_values,
                    }
                    for one in document.pieces
                ],
            }
        )
        self.totals.documents += not document.continues
        self.totals.pieces += len(document.pieces)
        self._bytes += document.size_bytes
        if self._bytes > _GROUP_BYTES:
            self._flush()

    def mark(self, page_token: str) -> None:
        """Does nothing: this is no place to go on at."""

    def finish(self) -> None:
        """Writes the rest, and what is in the file."""
        self._flush()
        told = {"documents": self.totals.documents, "pieces": self.totals.pieces}
        self._writer.add_key_value_metadata({"trivium_totals": json.dumps(told)})

    def close(self) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._writer.schema))
            self._rows, self._bytes = [], 0


class ColumnsReader:
    """Reads an export.

    Attributes:
        collection: What the documents come from.
        totals: How many there are.

    Args:
        path: The file.

    Raises:
        InvalidRequest: It is none, or is not as it was written (EXPORT_DAMAGED); or what reads it is not there
            (EXTRA_MISSING).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrow, self._parquet = _library()
        try:
            with self._parquet.ParquetFile(path) as file:
                facts = file.schema_arrow.metadata or {}
                totals = json.loads((file.metadata.metadata or {}).get(b"trivium_totals", b"null"))
        except (self._arrow.ArrowException, OSError, ValueError) as error:
            raise damaged(path, "", _first(error)) from None
        self.collection = collection_from(json.loads(facts.get(_KEY, b"null")), path)
        if totals is None:
            raise damaged(path, "", "it does not say how much is in it, so that the export broke off")
        self.totals = Totals(totals["documents"], totals["pieces"])
        for _ in self._rows():  # whole, before anything of it is used: its pages have checksums
            pass

    def documents(self) -> Iterator[ExportedDocument]:
        """The documents, in their order."""
        for row in self._rows():
            pieces = tuple(
                ExportedPiece(
                    one["start"],
                    one["end"],
                    _bytes(one["vector"]),
                    one["token_codes"],
                    tuple(one.get("learned_indices") or ()),  # in files of earlier versions there are none
                    tuple(one.get("learned_values") or ()),
                )
                for one in row["pieces"]
            )
            yield ExportedDocument(
                row["id"],
                continues=row["continues"],
                title=row["title"],
                uri=row["uri"],
                metadata=json.loads(row["metadata"]),
                readers=tuple(row["readers"]),
                container=row["container"],
                text=row["text"],
                lines=tuple((int(start), int(page), *edges) for start, page, *edges in row["lines"]),
                pieces=pieces,
            )

    def _rows(self) -> Iterator[dict[str, Any]]:
        try:
            with self._parquet.ParquetFile(self._path, page_checksum_verification=True) as file:
                for batch in file.iter_batches(_ROWS_AT_ONCE):
                    yield from batch.to_pylist()
        except (self._arrow.ArrowException, OSError) as error:
            raise damaged(self._path, "", _first(error)) from None


def _numbers(vector: bytes) -> list[float]:
    numbers = array("f", vector)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


def _bytes(numbers: list[float]) -> bytes:
    vector = array("f", numbers)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector.tobytes()


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")
