"""This library's values in the form of the HTTP interface."""

from dataclasses import fields, is_dataclass
from typing import Any

from trivium_client._documents import Document, DocumentResult

_HTTP_NAMES: dict[tuple[type, str], str] = {(DocumentResult, "chunk_count"): "chunks"}
_LEFT_OUT_WHEN_NONE: set[tuple[type, str]] = {(DocumentResult, "error"), (Document, "text")}


def to_json(value: Any) -> Any:
    """Turns a result of this library into what the HTTP interface says for it: dicts, lists and plain values.

    Args:
        value: Any result: an Answer, a Passage, a list of DocumentResult, and so on.
    """
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        return {
            _HTTP_NAMES.get((kind, item.name), item.name): to_json(getattr(value, item.name))
            for item in fields(value)
            if not ((kind, item.name) in _LEFT_OUT_WHEN_NONE and getattr(value, item.name) is None)
        }
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value
