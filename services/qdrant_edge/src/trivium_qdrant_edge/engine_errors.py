"""Turns what the engine raises into domain errors.

The bindings raise bare `Exception` with a text, `ValueError` and `TypeError` for values they cannot convert, and
`pyo3_runtime.PanicException`, a BaseException, where the engine's own code breaks.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, NotFound, StorageFull, TriviumError

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = logging.getLogger(__name__)

_INVALID = re.compile(
    r"dimension error|vector name error|Wrong usage of sparse|Validation failed|Validation error|No range index"
    r"|No appropriate index|Wrong input|not supported|Bad input|Invalid",
    re.IGNORECASE,
)
_FULL = "No space left on device"
_MISSING_POINT = re.compile(r"No point with id")


class EngineFailure(TriviumError):
    """The engine broke, or could not read or write its files."""

    default_reason = "ENGINE_FAILURE"


@contextmanager
def engine_errors() -> Iterator[None]:
    """Translates what the engine raises inside the block.

    Raises:
        InvalidField: The request asks for something that does not fit the collection.
        NotFound: It names a point that does not exist.
        StorageFull: The disk is full.
        EngineFailure: Anything else that the engine reports.
    """
    try:
        yield
    except TriviumError:
        raise
    except (ValueError, OverflowError) as error:
        raise InvalidField("", f"Wrong input: {error}") from error
    except TypeError as error:
        if "failed to extract" in str(error):  # any other TypeError is a defect of ours
            raise InvalidField("", f"Wrong input: {error}") from error
        raise
    except BaseException as error:
        if type(error) is Exception:
            raise _classify(error) from error
        if type(error).__module__ == "pyo3_runtime":
            _logger.exception("the engine panicked")
            raise EngineFailure(f"Service internal error: the engine panicked: {error}") from error
        raise


def _classify(error: Exception) -> TriviumError:
    text = str(error)
    if _FULL in text:
        _logger.error("the engine failed: %s", text)
        return StorageFull(f"{_FULL}: {text}")
    if _MISSING_POINT.search(text):
        return NotFound(f"Not found: {text} found", reason="POINT_NOT_FOUND")
    if _INVALID.search(text):
        return InvalidField("", f"Wrong input: {text}")
    _logger.error("the engine failed: %s", text)
    return EngineFailure(f"Service internal error: {text}")
