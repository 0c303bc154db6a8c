"""Exports as lines of JSON, as `GET /v1/collections/{name}/export` writes them, too.

The first line says what the documents come from; then each document has a line, a large one several; between them
are lines with a `page_token`, where an export that broke off goes on; and the last one, `done`, says how much there is
and the digest of all before it.
"""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from trivium_client._transfers import ExportedCollection, ExportedDocument, ExportedPiece
from trivium_client.transfer.records import Totals, collection_from, damaged, first_line

__all__ = ["LinesReader", "LinesWriter"]


class LinesWriter:
    """Writes an export, or goes on with one that broke off.

    Attributes:
        page_token: Where to go on; empty to begin.
        totals: How much is in the file.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.page_token = ""
        self.totals = Totals()
        self._path = path
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = None

    def resume(self, collection: ExportedCollection) -> None:
        """Keeps what is in the file up to its last mark, if it is of the same collection.

        Args:
            collection: What is exported now.
        """
        kept = 0
        self._digest, self.page_token, self.totals = hashlib.sha256(), "", Totals()
        if self._path.exists():
            digest, totals, since = hashlib.sha256(), Totals(), 0
            with self._path.open("rb") as file:
                for number, line in enumerate(file, start=1):
                    told = _json_of(line) if line.endswith(b"\n") else None
                    if number == 1 and not _is_of(told, collection, self._path):
                        break
                    if not isinstance(told, dict) or "done" in told:
                        break
                    digest.update(line)
                    since += len(line)
                    _count(told, totals)
                    if isinstance(token := told.get("page_token"), str):
                        kept, since = kept + since, 0
                        self._digest, self.page_token = digest.copy(), token
                        self.totals = Totals(totals.documents, totals.pieces)
        self.close()
        self._file = self._path.open("r+b" if kept else "wb")
        self._file.truncate(kept)
        self._file.seek(kept)
        if not kept:
            self._write(first_line(collection))

    def write(self, document: ExportedDocument) -> None:
        """Adds a document, or more of the one before."""
        told = {"document": _document_json(document)}
        self._write(json.dumps(told, ensure_ascii=False, separators=(",", ":")))
        _count(told, self.totals)

    def mark(self, page_token: str) -> None:
        """Notes where an export goes on that breaks off from here on."""
        self._write(json.dumps({"page_token": page_token}))
        assert self._file is not None, "resume opens it"
        self._file.flush()

    def finish(self) -> None:
        """Notes that all is there."""
        done = {"documents": self.totals.documents, "pieces": self.totals.pieces, "sha256": self._digest.hexdigest()}
        self._write(json.dumps({"done": done}))

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, text: str) -> None:
        assert self._file is not None, "resume opens it"
        line = text.encode("utf-8", "surrogatepass") + b"\n"
        self._digest.update(line)
        self._file.write(line)


class LinesReader:
    """Reads an export.

    Attributes:
        collection: What the documents come from.
        totals: How many there are.

    Args:
        path: The file.

    Raises:
        InvalidRequest: It is none, or is not as it was written (EXPORT_DAMAGED).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self.collection = collection_from(_json_of(file.readline()), path)
        self.totals = self._check()

    def documents(self) -> Iterator[ExportedDocument]:
        """The documents, in their order."""
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                told = _json_of(line)
                if isinstance(told, dict) and "document" in told:
                    try:
                        yield _document_from(told["document"])
                    except (KeyError, TypeError, ValueError, AttributeError) as error:
                        raise damaged(self._path, f", line {number},", f"a document lacks {error}") from None

    def _check(self) -> Totals:
        """Reads all of it once, before anything of it is used."""
        digest = hashlib.sha256()
        last = b""
        with self._path.open("rb") as file:
            for line in file:
                if last:
                    digest.update(last)
                last = line
        told = _json_of(last)
        done = told.get("done") if isinstance(told, dict) else None
        if not isinstance(done, dict):
            raise damaged(self._path, "", "its last line is missing, so that the export broke off or the file was cut")
        if done.get("sha256") != digest.hexdigest():
            raise damaged(self._path, "", "its digest is another one, so that something in it was changed")
        return Totals(int(done["documents"]), int(done["pieces"]))


def _json_of(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _is_of(told: Any, collection: ExportedCollection, path: Path) -> bool:
    try:
        before = collection_from(told, path)
    except ValueError:
        return False
    names = ("name", "model_fingerprint", "has_vectors")
    return all(getattr(before, name) == getattr(collection, name) for name in names)


def _count(told: Any, totals: Totals) -> None:
    document = told.get("document") if isinstance(told, dict) else None
    if isinstance(document, dict):
        totals.documents += not document.get("continues")
        totals.pieces += len(document.get("pieces") or ())


_LEARNED = ("learned_indices", "learned_values")


def _document_json(document: ExportedDocument) -> dict[str, Any]:
    pieces = [
        {
            "start": one.start,
            "end": one.end,
            "vector": b64encode(one.vector).decode(),
            "token_codes": b64encode(one.token_codes).decode(),
            **{name: list(of_piece) for name in _LEARNED if (of_piece := getattr(one, name))},
        }
        for one in document.pieces
    ]
    if document.continues:
        return {"id": document.id, "continues": True, "pieces": pieces}
    return {
        "id": document.id,
        "title": document.title,
        "uri": document.uri,
        "metadata": json.loads(json.dumps(dict(document.metadata), sort_keys=True)),  # a message has no order
        "readers": list(document.readers),
        "container": document.container,
        "text": document.text,
        "lines": [list(one) for one in document.lines],
        "pieces": pieces,
    }


def _document_from(told: dict[str, Any]) -> ExportedDocument:
    pieces = tuple(
        ExportedPiece(
            one["start"],
            one["end"],
            b64decode(one["vector"]),
            b64decode(one["token_codes"]),
            *(tuple(one.get(name, ())) for name in _LEARNED),
        )
        for one in told["pieces"]
    )
    if told.get("continues"):
        return ExportedDocument(told["id"], continues=True, pieces=pieces)
    return ExportedDocument(
        told["id"],
        title=told["title"],
        uri=told["uri"],
        metadata=told["metadata"],
        readers=tuple(told["readers"]),
        container=told["container"],
        text=told["text"],
        lines=tuple((int(start), int(page), *edges) for start, page, *edges in told["lines"]),
        pieces=pieces,
    )
