"""Payload indexes: their parameters, to the engine and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qdrant_edge
from trivium_serving.errors import InvalidField

from trivium_qdrant_edge.changed_points import Change
from trivium_qdrant_edge.generated import qdrant
from trivium_qdrant_edge.wire.fields import allow_only, unsupported

if TYPE_CHECKING:
    from google.protobuf.message import Message

_REQUEST = frozenset(
    ("collection_name", "wait", "ordering", "timeout", "field_name", "field_type", "field_index_params")
)
_HINTS = frozenset(("on_disk", "enable_hnsw"))

# Per kind of index: the engine's class and the parameters that mean the same on both sides.
_PARAMS: dict[str, tuple[Any, frozenset[str]]] = {
    "keyword_index_params": (qdrant_edge.KeywordIndexParams, _HINTS | {"is_tenant"}),
    "integer_index_params": (qdrant_edge.IntegerIndexParams, _HINTS | {"lookup", "range", "is_principal"}),
    "float_index_params": (qdrant_edge.FloatIndexParams, _HINTS | {"is_principal"}),
    "bool_index_params": (qdrant_edge.BoolIndexParams, _HINTS),
    "datetime_index_params": (qdrant_edge.DatetimeIndexParams, _HINTS | {"is_principal"}),
    "uuid_index_params": (qdrant_edge.UuidIndexParams, _HINTS | {"is_tenant"}),
    "text_index_params": (
        qdrant_edge.TextIndexParams,
        _HINTS | {"tokenizer", "lowercase", "min_token_len", "max_token_len", "phrase_matching", "ascii_folding"},
    ),
}
_PARAMS_BY_TYPE = {
    qdrant.FieldType.FieldTypeKeyword: "keyword_index_params",
    qdrant.FieldType.FieldTypeInteger: "integer_index_params",
    qdrant.FieldType.FieldTypeFloat: "float_index_params",
    qdrant.FieldType.FieldTypeBool: "bool_index_params",
    qdrant.FieldType.FieldTypeDatetime: "datetime_index_params",
    qdrant.FieldType.FieldTypeUuid: "uuid_index_params",
    qdrant.FieldType.FieldTypeText: "text_index_params",
}
_DATA_TYPES = {
    qdrant_edge.PayloadSchemaType.Keyword: ("keyword_index_params", qdrant.PayloadSchemaType.Keyword),
    qdrant_edge.PayloadSchemaType.Integer: ("integer_index_params", qdrant.PayloadSchemaType.Integer),
    qdrant_edge.PayloadSchemaType.Float: ("float_index_params", qdrant.PayloadSchemaType.Float),
    qdrant_edge.PayloadSchemaType.Bool: ("bool_index_params", qdrant.PayloadSchemaType.Bool),
    qdrant_edge.PayloadSchemaType.Datetime: ("datetime_index_params", qdrant.PayloadSchemaType.Datetime),
    qdrant_edge.PayloadSchemaType.Uuid: ("uuid_index_params", qdrant.PayloadSchemaType.Uuid),
    qdrant_edge.PayloadSchemaType.Text: ("text_index_params", qdrant.PayloadSchemaType.Text),
}
_TOKENIZERS = {
    qdrant.TokenizerType.Prefix: qdrant_edge.TokenizerType.Prefix,
    qdrant.TokenizerType.Whitespace: qdrant_edge.TokenizerType.Whitespace,
    qdrant.TokenizerType.Word: qdrant_edge.TokenizerType.Word,
    qdrant.TokenizerType.Multilingual: qdrant_edge.TokenizerType.Multilingual,
    qdrant.TokenizerType.Code: qdrant_edge.TokenizerType.Code,
}


def create_index_to_engine(request: qdrant.CreateFieldIndexCollection) -> Change:
    """Indexes a payload field; an index of the same kind stays, one of another kind is replaced.

    Raises:
        InvalidField: The kind is not given, or given twice and differently.
        Unimplemented: The kind, or one of its parameters, is not supported.
    """
    allow_only(request, _REQUEST)
    kind = request.field_index_params.WhichOneof("index_params")
    if request.HasField("field_type"):
        typed = _PARAMS_BY_TYPE.get(request.field_type)
        if typed is None:
            raise unsupported(f"a payload index of the kind {qdrant.FieldType.Name(request.field_type)}")
        if kind is not None and kind != typed:
            raise InvalidField("field_type", f"Wrong input: the field type says {typed}, the parameters are {kind}")
        kind = kind or typed
    if kind is None:
        raise InvalidField("field_type", "Wrong input: say of which type the payload field is")
    if kind not in _PARAMS:
        raise unsupported(f"a payload index with {kind}")
    schema = _engine_params(kind, getattr(request.field_index_params, kind))
    return Change(qdrant_edge.UpdateOperation.create_field_index(request.field_name, schema), None)


def index_info_to_wire(info: qdrant_edge.PayloadIndexInfo) -> qdrant.PayloadSchemaInfo:
    """An index as the description of a collection shows it."""
    kind, data_type = _DATA_TYPES[info.data_type]
    wire = qdrant.PayloadSchemaInfo(data_type=data_type, points=info.points)
    if info.params is None:
        return wire
    params = getattr(wire.params, kind)
    params.SetInParent()
    for name in _PARAMS[kind][1]:
        value = getattr(info.params, name)
        if name == "tokenizer":
            params.tokenizer = next(theirs for theirs, ours in _TOKENIZERS.items() if ours == value)
        elif value is not None:
            setattr(params, name, value)
    return wire


def _engine_params(kind: str, wire: Message) -> Any:
    engine_class, names = _PARAMS[kind]
    allow_only(wire, names)
    given = {field.name: value for field, value in wire.ListFields()}
    if "tokenizer" in given:
        if given["tokenizer"] not in _TOKENIZERS:
            raise InvalidField("field_index_params.tokenizer", "Wrong input: unknown tokenizer type")
        given["tokenizer"] = _TOKENIZERS[given["tokenizer"]]
    return engine_class(**given)
