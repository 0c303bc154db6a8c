"""This library's values in the form of the HTTP interface."""

from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from trivium_client._collections import Collection
from trivium_client._documents import Document, DocumentResult
from trivium_client._passages import Degradation

_HTTP_NAMES: dict[tuple[type, str], str] = {(DocumentResult, "chunk_count"): "chunks"}
_LEFT_OUT: dict[tuple[type, str], Any] = {
    (DocumentResult, "error"): None,
    (DocumentResult, "content_hash"): "",
    (DocumentResult, "parts"): (),
    (Document, "text"): None,
    (Degradation, "detail"): "",
}
"""Fields that the HTTP interface leaves out where they have this value."""


def to_json(value: Any) -> Any:
    """Turns a result of this library into what the HTTP interface says for it: dicts, lists and plain values.

    Args:
        value: Any result: an Answer, a Passage, a list of DocumentResult, and so on.
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        # HTTP says null where nobody can tell.
        unknown = {"chunk_count": None} if isinstance(value, Collection) and value.state != "ready" else {}
        shown = {
            _HTTP_NAMES.get((kind, item.name), item.name): to_json(getattr(value, item.name))
            for item in fields(value)
            if (kind, item.name) not in _LEFT_OUT or getattr(value, item.name) != _LEFT_OUT[kind, item.name]
        }
        return shown | unknown
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value
