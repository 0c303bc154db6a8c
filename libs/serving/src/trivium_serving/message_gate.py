"""Looks at the messages of strangers before they are decoded.

An empty message is two bytes on the wire and fifty times that once it is decoded, so 64 MiB of them would take the
memory of the machine. So fields are counted on the wire, and the bytes of all messages that are worked on are bounded.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor

from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator

    from google.protobuf.descriptor import Descriptor

    from trivium_serving.body_budget import BodyBudget, HeldBody

MAX_FIELDS = 250_000
"""Most fields in one message, those of the messages in it included."""
MAX_DEPTH = 100
"""Deepest nesting of messages, which is what decoders of protobuf allow, too."""
_SMALL_BYTES = 16 * 1024
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5


class MessageGate:
    """Decodes messages that are within bounds.

    Args:
        budget: Where their bytes are held while they are worked on.
    """

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget

    @contextmanager
    def request(self) -> Iterator[HeldBody]:
        """Holds what the messages of one call need, and gives it back at its end."""
        with self._budget.body() as held:
            yield held

    async def one(self, raw: bytes, held: HeldBody, message_type: Descriptor, decode: Callable[[bytes], Any]) -> Any:
        """The only message of a call, decoded.

        Args:
            raw: Its bytes.
            held: What the call holds of the budget.
            message_type: What it is.
            decode: Decodes it.

        Raises:
            Overloaded: There is no room for it (BODIES_IN_FLIGHT).
            TooLarge: It has too many fields (CALL_TOO_LARGE).
            InvalidField: It is no such message.
        """
        held.grow(len(raw))
        return await _decoded(raw, message_type, decode)

    async def each(
        self, messages: AsyncIterable[bytes], held: HeldBody, message_type: Descriptor, decode: Callable[[bytes], Any]
    ) -> AsyncGenerator[Any, None]:
        """The messages of a stream, each held until the next is taken; all but the first wait for room.

        Args and errors are those of `one`.
        """
        first = True
        async for raw in messages:
            held.shrink()
            if first:
                held.grow(len(raw))
            else:
                await held.grow_when_there_is_room(len(raw))
            first = False
            yield await _decoded(raw, message_type, decode)


async def _decoded(raw: bytes, message_type: Descriptor, decode: Callable[[bytes], Any]) -> Any:
    if len(raw) > _SMALL_BYTES:
        await asyncio.to_thread(check_fields, raw, message_type)
    else:
        check_fields(raw, message_type)
    try:
        return decode(raw)
    except Exception as error:  # of a class that depends on which decoder is installed
        raise InvalidField("", f"The message is no {message_type.name}: {error}") from error


def check_fields(raw: bytes, message_type: Descriptor) -> None:
    """Refuses a message with more fields than anybody needs, without decoding it.

    Args:
        raw: Its bytes.
        message_type: What it is.

    Raises:
        TooLarge: It has too many (CALL_TOO_LARGE), or they are nested too deeply.
        InvalidField: It breaks off, or has what no encoder of this contract writes.
    """
    left = MAX_FIELDS
    # Ends of the messages around the place that is read, with their types; the innermost last.
    open_messages: list[tuple[int, Descriptor | None]] = [(len(raw), message_type)]
    place = 0
    while open_messages:
        end, kind = open_messages[-1]
        if place == end:
            open_messages.pop()
            continue
        left -= 1
        if left < 0 or len(open_messages) > MAX_DEPTH:
            raise TooLarge(
                f"The message has more than {MAX_FIELDS} fields, or messages over {MAX_DEPTH} levels deep. "
                "Send less at a time.",
                reason="CALL_TOO_LARGE",
            )
        tag, place = _varint(raw, place, end)
        wire = tag & 7
        if wire == _VARINT:
            _, place = _varint(raw, place, end)
        elif wire == _LENGTH:
            size, place = _varint(raw, place, end)
            field = None if kind is None else kind.fields_by_number.get(tag >> 3)
            if place + size > end:
                raise _broken(message_type)
            if field is not None and field.type == FieldDescriptor.TYPE_MESSAGE:
                open_messages.append((place + size, field.message_type))
            else:
                place += size
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            place += 8 if wire == _EIGHT_BYTES else 4
        else:
            raise _broken(message_type)
        if place > end:
            raise _broken(message_type)


def _varint(raw: bytes, place: int, end: int) -> tuple[int, int]:
    """A number of variable length, and the place behind it."""
    number = shift = 0
    while place < end and shift < 70:
        byte = raw[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
        shift += 7
    raise InvalidField("", f"The message breaks off at byte {place}.")


def _broken(message_type: Descriptor) -> InvalidField:
    return InvalidField(
        "", f"The message is no {message_type.name}: it breaks off, or has fields that cannot be in it."
    )
