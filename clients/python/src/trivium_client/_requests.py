"""Builds the contract's messages from this library's values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from google.protobuf import struct_pb2
from trivium.gateway.v1 import feedback_service_pb2 as feedback_pb
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.gateway.v1 import trace_service_pb2 as traces_pb
from trivium.type.v1 import message_pb2

from trivium_client._answers import AnswerMode, Expansion, Message, Refusal
from trivium_client._collections import SettingValues
from trivium_client._documents import NewDocument
from trivium_client._errors import InvalidRequest
from trivium_client._structs import struct_of

_Value = TypeVar("_Value")

_ROLES = {
    "system": message_pb2.ROLE_SYSTEM,
    "user": message_pb2.ROLE_USER,
    "assistant": message_pb2.ROLE_ASSISTANT,
}
_EXPANSIONS = {"queries": pb.EXPANSION_QUERIES, "hyde": pb.EXPANSION_HYDE}
_REFUSALS = {"off": pb.REFUSAL_OFF, "mark": pb.REFUSAL_MARK, "refuse": pb.REFUSAL_REFUSE}
_QUANTISATIONS = {
    "off": pb.QUANTISATION_OFF,
    "scalar": pb.QUANTISATION_SCALAR,
    "binary": pb.QUANTISATION_BINARY,
}
_MODES = {
    "auto": pb.ANSWER_MODE_AUTO,
    "model": pb.ANSWER_MODE_MODEL,
    "extractive": pb.ANSWER_MODE_EXTRACTIVE,
}


def retrieve(
    query: str,
    *,
    collection: str,
    collections: Sequence[str],
    top_n: int | None,
    candidates: int | None,
    conditions: Mapping[str, Any] | None,
    rerank: bool | None,
    collapse: bool | None,
    history: Sequence[Message],
    queries: Sequence[str],
    expand: Sequence[Expansion],
    settings: SettingValues | None,
) -> pb.RetrieveRequest:
    """Raises InvalidRequest for an argument that the contract cannot say."""
    return _built(
        pb.RetrieveRequest,
        query=query,
        top_n=top_n,
        candidates=candidates,
        collection=collection,
        collections=list(collections),
        filter=_filter_struct(conditions),
        rerank=rerank,
        collapse=collapse,
        history=_turns(history),
        queries=list(queries),
        expand=[_choice("expand", one, _EXPANSIONS) for one in expand],
        settings=None if settings is None else settings_message(settings),
    )


def answer(
    question: str,
    *,
    collection: str,
    collections: Sequence[str],
    history: Sequence[Message],
    top_n: int | None,
    candidates: int | None,
    conditions: Mapping[str, Any] | None,
    mode: AnswerMode,
    collapse: bool | None,
    queries: Sequence[str],
    expand: Sequence[Expansion],
    refusal: Refusal | None,
    strict: bool,
    settings: SettingValues | None,
) -> pb.AnswerRequest:
    """Raises InvalidRequest for an argument that the contract cannot say."""
    return _built(
        pb.AnswerRequest,
        question=question,
        history=_turns(history),
        top_n=top_n,
        candidates=candidates,
        collection=collection,
        collections=list(collections),
        filter=_filter_struct(conditions),
        mode=_choice("mode", mode, _MODES),
        collapse=collapse,
        queries=list(queries),
        expand=[_choice("expand", one, _EXPANSIONS) for one in expand],
        refusal=None if refusal is None else _choice("refusal", refusal, _REFUSALS),
        strict=strict,
        settings=None if settings is None else settings_message(settings),
    )


def _turns(history: Sequence[Message]) -> list[message_pb2.Message]:
    return [
        _built(message_pb2.Message, role=_choice("history.role", turn.role, _ROLES), content=turn.content)
        for turn in history
    ]


def delete_documents(ids: Iterable[str], *, collection: str) -> pb.DeleteDocumentsRequest:
    """Raises InvalidRequest for an id that is no text."""
    return _built(pb.DeleteDocumentsRequest, ids=[ids] if isinstance(ids, str) else list(ids), collection=collection)


def set_readers(ids: Iterable[str], readers: Iterable[str], *, collection: str) -> pb.SetReadersRequest:
    """Raises InvalidRequest for an id or a reader that is no text."""
    return _built(
        pb.SetReadersRequest,
        ids=[ids] if isinstance(ids, str) else list(ids),
        readers=[readers] if isinstance(readers, str) else list(readers),
        collection=collection,
    )


def get_document(document_id: str, *, collection: str) -> pb.GetDocumentRequest:
    """Raises InvalidRequest for an id that is no text."""
    return _built(pb.GetDocumentRequest, id=document_id, collection=collection)


def list_documents(*, collection: str, page_size: int) -> pb.ListDocumentsRequest:
    """Raises InvalidRequest for an argument that the contract cannot say."""
    return _built(pb.ListDocumentsRequest, collection=collection, page_size=page_size)


def create_collection(name: str) -> pb.CreateCollectionRequest:
    """Raises InvalidRequest for a name that is no text."""
    return _built(pb.CreateCollectionRequest, name=name)


def update_collection(
    name: str, settings: SettingValues, *, note: str, based_on: int | None
) -> pb.UpdateCollectionRequest:
    """Raises InvalidRequest for a setting that there is none of, or a value of the wrong type."""
    return _built(
        pb.UpdateCollectionRequest,
        name=name,
        settings=settings_message(settings),
        clear=[one for one, value in settings.items() if value is None],
        note=note,
        based_on=based_on,
    )


def roll_back_settings(name: str) -> pb.RollBackCollectionSettingsRequest:
    """Raises InvalidRequest for a name that is no text."""
    return _built(pb.RollBackCollectionSettingsRequest, name=name)


def settings_message(values: SettingValues) -> pb.CollectionSettings:
    """Raises InvalidRequest for a setting that the contract cannot say."""
    given = {name: value for name, value in values.items() if value is not None}
    if "refusal" in given:
        given["refusal"] = _choice("settings.refusal", str(given["refusal"]), _REFUSALS)
    if "quantisation" in given:
        given["quantisation"] = _choice("settings.quantisation", str(given["quantisation"]), _QUANTISATIONS)
    return _built(pb.CollectionSettings, **given)


def get_collection(name: str) -> pb.GetCollectionRequest:
    """Raises InvalidRequest for a name that is no text."""
    return _built(pb.GetCollectionRequest, name=name)


def delete_collection(name: str) -> pb.DeleteCollectionRequest:
    """Raises InvalidRequest for a name that is no text."""
    return _built(pb.DeleteCollectionRequest, name=name)


def reindex_collection(name: str, *, model: str, force: bool) -> pb.ReindexCollectionRequest:
    """Raises InvalidRequest for a name that is no text."""
    return _built(pb.ReindexCollectionRequest, name=name, model=model, force=force)


def estimate_reindex(name: str, model: str) -> pb.EstimateReindexRequest:
    """Raises InvalidRequest for a name that is no text."""
    return _built(pb.EstimateReindexRequest, name=name, model=model)


def roll_back_index(name: str) -> pb.RollBackCollectionIndexRequest:
    """Raises InvalidRequest for a name that is no text."""
    return _built(pb.RollBackCollectionIndexRequest, name=name)


def discard_index(name: str) -> pb.DiscardCollectionIndexRequest:
    """Raises InvalidRequest for a name that is no text."""
    return _built(pb.DiscardCollectionIndexRequest, name=name)


def document_input(document: NewDocument) -> pb.DocumentInput:
    """Raises InvalidRequest if the document cannot be written down in the contract's terms."""
    if (document.text is None) == (document.data is None):
        raise InvalidRequest(
            "a document needs either text or data, and not both", reason="INVALID_DOCUMENT", field="text"
        )
    try:
        message = pb.DocumentInput(
            id=document.id,
            title=document.title,
            uri=document.uri,
            default_id=document.default_id,
            moved_from=document.moved_from,
            readers=document.readers,
        )
        if document.data is not None:
            message.file.CopyFrom(
                pb.FileContent(data=document.data, filename=document.filename, media_type=document.media_type)
            )
        else:
            message.text = document.text or ""
    except (ValueError, TypeError) as error:  # lone surrogates, values of another type
        raise InvalidRequest(f"the document has a field that is not text: {error}", reason="INVALID_DOCUMENT") from None
    if document.metadata:
        message.metadata.CopyFrom(struct_of("metadata", document.metadata))
    return message


def replay(request_id: str, settings: Mapping[str, Any], *, include_texts: bool) -> traces_pb.ReplayTraceRequest:
    """Raises InvalidRequest for a setting that the contract cannot say."""
    return _built(
        traces_pb.ReplayTraceRequest,
        request_id=request_id,
        set=struct_of("settings", settings),
        include_texts=include_texts,
    )


def feedback(**fields: Any) -> feedback_pb.GiveFeedbackRequest:
    """Raises InvalidRequest for an argument that the contract cannot say."""
    return _built(feedback_pb.GiveFeedbackRequest, **fields)


def _built(kind: Callable[..., _Value], **fields: Any) -> _Value:
    """Makes a message of fields that may be of the wrong type, over the range, or hold lone surrogates."""
    try:
        return kind(**fields)
    except (ValueError, TypeError) as error:
        raise InvalidRequest(f"an argument is not what it should be: {error}", reason="INVALID_FIELD") from None


def _filter_struct(conditions: Mapping[str, Any] | None) -> struct_pb2.Struct | None:
    return None if conditions is None else struct_of("filter", conditions)


def _choice(field: str, name: str, choices: Mapping[str, _Value]) -> _Value:
    try:
        return choices[name]
    except KeyError:
        raise InvalidRequest(
            f"{field} is {name!r}; choose one of {', '.join(choices)}", reason="INVALID_FIELD", field=field
        ) from None
