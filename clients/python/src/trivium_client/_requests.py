"""Builds the contract's messages from this library's values."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from google.protobuf import struct_pb2
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.type.v1 import message_pb2

from trivium_client._answers import AnswerMode, Message
from trivium_client._documents import NewDocument
from trivium_client._errors import InvalidRequest

_Value = TypeVar("_Value")

_ROLES = {
    "system": message_pb2.ROLE_SYSTEM,
    "user": message_pb2.ROLE_USER,
    "assistant": message_pb2.ROLE_ASSISTANT,
}
_MODES = {
    "auto": pb.ANSWER_MODE_AUTO,
    "model": pb.ANSWER_MODE_MODEL,
    "extractive": pb.ANSWER_MODE_EXTRACTIVE,
}


def document_input(document: NewDocument) -> pb.DocumentInput:
    """Raises InvalidRequest if the document cannot be written down in the contract's terms."""
    if (document.text is None) == (document.data is None):
        raise InvalidRequest(
            "a document needs either text or data, and not both", reason="INVALID_DOCUMENT", field="text"
        )
    try:
        message = pb.DocumentInput(id=document.id, title=document.title, uri=document.uri)
        if document.data is not None:
            message.file.CopyFrom(
                pb.FileContent(data=document.data, filename=document.filename, media_type=document.media_type)
            )
        else:
            message.text = document.text or ""
    except (ValueError, TypeError) as error:  # lone surrogates, values of another type
        raise InvalidRequest(f"the document has a field that is not text: {error}", reason="INVALID_DOCUMENT") from None
    if document.metadata:
        message.metadata.CopyFrom(_struct("metadata", document.metadata))
    return message


def filter_struct(conditions: Mapping[str, Any] | None) -> struct_pb2.Struct | None:
    """Raises InvalidRequest if a value of the filter is not JSON."""
    return None if conditions is None else _struct("filter", conditions)


def messages(history: Sequence[Message]) -> list[message_pb2.Message]:
    """Raises InvalidRequest for a role that does not exist."""
    return [
        message_pb2.Message(role=_choice("history.role", turn.role, _ROLES), content=turn.content) for turn in history
    ]


def answer_mode(mode: AnswerMode) -> "pb.AnswerMode.ValueType":
    """Raises InvalidRequest for a mode that does not exist."""
    return _choice("mode", mode, _MODES)


def _struct(field: str, values: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    try:
        struct.update(values)
    except (ValueError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            f"{field} may hold strings, numbers, booleans and lists of those: {error}",
            reason="INVALID_FIELD",
            field=field,
        ) from None
    return struct


def _choice(field: str, name: str, choices: Mapping[str, _Value]) -> _Value:
    try:
        return choices[name]
    except KeyError:
        raise InvalidRequest(
            f"{field} is {name!r}; choose one of {', '.join(choices)}", reason="INVALID_FIELD", field=field
        ) from None
