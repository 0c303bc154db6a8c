"""Turns what encoders raise into the errors that callers of a service see."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from trivium_encoders import (
    DeadlineExpired,
    EncoderClosed,
    EncoderError,
    EncoderFailed,
    EncoderUnavailable,
    InputTooLong,
)
from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, TooLarge, TriviumError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def loading_errors() -> Iterator[None]:
    """Around the loading of a model.

    Raises:
        FailedPrecondition: It cannot be served (MODEL_NOT_LOADED); the message says why.
    """
    try:
        yield
    except EncoderError as error:
        raise FailedPrecondition(str(error), reason="MODEL_NOT_LOADED") from error


@contextmanager
def computing_errors(what: str = "texts[{index}]") -> Iterator[None]:
    """Around the use of a model.

    Args:
        what: What the request calls a text; without `{index}` where the encoder's places are not the request's.

    Raises:
        TooLarge: A text is longer than the model reads (TEXT_TOO_LONG).
        DeadlineExceeded: The deadline passed while the work waited.
        Unavailable: What computes broke down.
        TriviumError: A text could not be computed (TEXT_FAILED).
    """
    try:
        yield
    except InputTooLong as error:
        text = what.format(index=error.index)
        raise TooLarge(
            f"{text} has {error.token_count} tokens, and the model reads at most {error.max_tokens}. "
            "Cut it into chunks, or set truncate.",
            reason="TEXT_TOO_LONG",
            field=text,
        ) from error
    except DeadlineExpired as error:
        raise DeadlineExceeded("The deadline passed while the texts waited for a worker.") from error
    except EncoderFailed as error:
        text = what.format(index=error.index)
        raise TriviumError(f"{text} could not be computed.", reason="TEXT_FAILED") from error
    except (EncoderUnavailable, EncoderClosed) as error:
        raise Unavailable(str(error)) from error
