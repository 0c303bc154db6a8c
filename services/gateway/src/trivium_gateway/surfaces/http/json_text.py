"""Reads JSON from strangers: as its standard has it, and never more of it than the memory of one request allows.

A list of a million empty lists is three megabytes of text and two hundred of objects. So values are counted while they
are read, and how deep they are nested. The structure is read in Python and only strings in C: slower where there are
many values, which the count bounds, and other threads go on in between.
"""

from __future__ import annotations

import codecs
import json
import math
from json import decoder, scanner
from typing import TYPE_CHECKING, Any, NoReturn

from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_VALUES = 100_000
"""Most values in one text: members of objects, items of lists."""
MAX_DEPTH = 100
"""Deepest nesting of objects and lists."""


def parse_json(raw: bytes | bytearray | str | list[bytes], field: str) -> Any:
    """Parses JSON as its standard has it: without NaN and Infinity.

    Args:
        raw: The text; bytes are UTF-8. A list of pieces is emptied, to hold them no longer than needed.
        field: What it is, for the error.

    Raises:
        InvalidField: It is not JSON, or nested too deeply (INVALID_JSON).
        TooLarge: It has too many values (BODY_TOO_LARGE).
    """
    try:
        text = raw if isinstance(raw, str) else _decoded(raw if isinstance(raw, list) else [bytes(raw)])
        return _Parser(field).decode(text)
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8: byte {error.start} begins no character"
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError as error:
        problem = f"is not JSON: {error}"
    raise InvalidField(field, f"The {field} {problem}.", reason="INVALID_JSON")


class _Parser(json.JSONDecoder):
    """The standard library's decoder in its Python form, in which each value passes by here."""

    def __init__(self, field: str) -> None:
        super().__init__(parse_constant=_refuse_constant, parse_float=_finite)
        self._field = field
        self._names: dict[str, str] = {}
        self._left = MAX_VALUES
        self._depth = 0
        self.parse_array = self._array
        self.parse_object = self._object
        self._scan = scanner.py_make_scanner(self)  # type: ignore[attr-defined]  # not in typeshed
        self.scan_once = self._counted

    def _counted(self, text: str, start: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooLarge(
                f"The {self._field} has more than {MAX_VALUES} values, the limit of one request. Send less at a time.",
                reason="BODY_TOO_LARGE",
                field=self._field,
            )
        return self._scan(text, start)

    def _array(self, place: tuple[str, int], _scan: Any) -> Any:
        return self._deeper(decoder.JSONArray, place, self._counted)  # type: ignore[attr-defined]

    def _object(self, place: tuple[str, int], *_: Any) -> Any:
        return self._deeper(decoder.JSONObject, place, True, self._counted, None, None, self._names)  # type: ignore[attr-defined]

    def _deeper(self, read: Callable[..., Any], *arguments: Any) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidField(
                self._field,
                f"The {self._field} is nested over {MAX_DEPTH} levels deep. Flatten it.",
                reason="INVALID_JSON",
            )
        value = read(*arguments)
        self._depth -= 1
        return value


def _decoded(pieces: list[bytes]) -> str:
    """The text of bytes, piece by piece: one call for all of it would hold every other thread."""
    incremental = codecs.getincrementaldecoder("utf-8-sig")()
    texts: list[str] = []
    read = 0
    pieces.reverse()
    while pieces:
        piece = pieces.pop()
        texts.append(_decode(incremental, piece, read, final=not pieces))
        read += len(piece)
    return "".join(texts)


def _decode(incremental: codecs.IncrementalDecoder, piece: bytes, read: int, *, final: bool) -> str:
    pending = incremental.getstate()[0]
    try:
        return incremental.decode(piece, final)
    except UnicodeDecodeError as error:  # which counts from the character that the piece before left unfinished
        start = read - len(pending) + error.start
        raise UnicodeDecodeError(error.encoding, b"", start, start + 1, error.reason) from None


def _finite(number: str) -> float:
    value = float(number)
    if math.isinf(value):
        raise ValueError(f"{number[:20]} is no number that can be computed with")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")
