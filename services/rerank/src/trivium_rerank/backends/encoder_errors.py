"""Turns what encoders raise into the errors that callers of the service see."""

from collections.abc import Iterator
from contextlib import contextmanager

from trivium_encoders import DeadlineExpired, EncoderClosed, EncoderError, EncoderFailed, EncoderUnavailable
from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, TriviumError, Unavailable


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
def scoring_errors() -> Iterator[None]:
    """Around the use of a model.

    Raises:
        DeadlineExceeded: The deadline passed while the work waited.
        Unavailable: What computes broke down.
        TriviumError: A text could not be computed (TEXT_FAILED).
    """
    try:
        yield
    except DeadlineExpired as error:
        raise DeadlineExceeded("The deadline passed while the passages waited for a worker.") from error
    except EncoderFailed as error:
        raise TriviumError("A passage could not be computed.", reason="TEXT_FAILED") from error
    except (EncoderUnavailable, EncoderClosed) as error:
        raise Unavailable(str(error)) from error
