"""Messages made up from what the protos say of them, and bytes that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message_factory import GetMessageClass

if TYPE_CHECKING:
    import random

    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

_TEXTS = (
    "", " ", "default", "heron", "What do herons eat?", "../../etc/passwd", "\x00", "\u202e\u0301\U0001f4a9", "{}",
    "a" * 9_000, "*", "user:ann", "%s%n", "'; --", "2024-02-30T99:00:00Z", "1e999", "\n" * 300,
)  # fmt: skip
_INTEGERS = (0, 1, 2, 5, 100, 1000, 2**31 - 1)
_WIDE = (2**32 - 1, 2**63 - 1)
_NEGATIVE = (-1, -(2**31))
_FLOATS = (0.0, 1.0, -1.0, 0.5, 1e300, -1e-300, float("nan"), float("inf"), float("-inf"))
_DEEPEST = 6
_SIGNED = frozenset(
    [Field.TYPE_INT32, Field.TYPE_SINT32, Field.TYPE_SFIXED32, Field.TYPE_INT64, Field.TYPE_SINT64, Field.TYPE_SFIXED64]
)
_64_BITS = frozenset([Field.TYPE_INT64, Field.TYPE_SINT64, Field.TYPE_SFIXED64, Field.TYPE_UINT64, Field.TYPE_FIXED64])


def random_message(chance: random.Random, descriptor: Descriptor, depth: int = 0) -> Message:
    """A message of a kind, with few or many of its fields: the more there are, the sooner one of them is refused."""
    absent = chance.choice((0.35, 0.7, 0.9))
    message = GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if chance.random() < absent or (depth >= _DEEPEST and field.message_type is not None):
            continue
        if field.is_repeated:
            _fill(chance, message, field, depth)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(random_message(chance, field.message_type, depth + 1))
        else:
            setattr(message, field.name, _value(chance, field))
    return message


def random_bytes(chance: random.Random, message: Message) -> bytes:
    """A message as it travels, of which some bytes were lost, turned over or added."""
    data = bytearray(message.SerializeToString())
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(data) + 1)
        match chance.randrange(3):
            case 0:
                del data[place:]
            case 1:
                data[place:place] = chance.randbytes(chance.randrange(1, 9))
            case _ if place < len(data):
                data[place] ^= 1 << chance.randrange(8)
    return bytes(data)


def _fill(chance: random.Random, message: Message, field: FieldDescriptor, depth: int) -> None:
    values = getattr(message, field.name)
    count = chance.choice((0, 1, 1, 2, 3, 40)) if depth < 2 else chance.choice((0, 1, 2))
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        for _ in range(count):
            key, value = kind.fields_by_name["key"], kind.fields_by_name["value"]
            name: Any = _value(chance, key)
            if value.message_type is not None:
                values[name].CopyFrom(random_message(chance, value.message_type, depth + 1))
            else:
                values[name] = _value(chance, value)
    elif kind is not None:
        values.extend(random_message(chance, kind, depth + 1) for _ in range(count))
    else:
        values.extend(_value(chance, field) for _ in range(count))


def _value(chance: random.Random, field: FieldDescriptor) -> Any:
    match field.type:
        case Field.TYPE_STRING:
            return chance.choice(_TEXTS)
        case Field.TYPE_BYTES:
            return chance.randbytes(chance.choice((0, 1, 16, 2000)))
        case Field.TYPE_BOOL:
            return chance.random() < 0.5
        case Field.TYPE_DOUBLE | Field.TYPE_FLOAT:
            return chance.choice(_FLOATS)
        case Field.TYPE_ENUM:
            known = field.enum_type.values if field.enum_type else ()
            return chance.choice([*(one.number for one in known), 77])
        case kind:
            choices = _INTEGERS + (_NEGATIVE if kind in _SIGNED else ()) + (_WIDE[1:] if kind in _64_BITS else ())
            return chance.choice(choices)
