"""What callers are told of an encoder's errors."""

import pytest
from trivium_encoders import (
    DeadlineExpired,
    EncoderClosed,
    EncoderError,
    EncoderFailed,
    EncoderUnavailable,
    InputTooLong,
)
from trivium_model_service.encoder_errors import computing_errors, loading_errors
from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, TooLarge, TriviumError, Unavailable


@pytest.mark.parametrize(
    ("raised", "error", "reason"),
    [
        (InputTooLong(2, 300, 256), TooLarge, "TEXT_TOO_LONG"),
        (DeadlineExpired("late"), DeadlineExceeded, "DEADLINE_EXCEEDED"),
        (EncoderFailed(2, "odd"), TriviumError, "TEXT_FAILED"),
        (EncoderUnavailable("down"), Unavailable, "UNAVAILABLE"),
        (EncoderClosed("closed"), Unavailable, "UNAVAILABLE"),
    ],
)
def test_computing_errors_become_those_of_the_service(
    raised: EncoderError, error: type[TriviumError], reason: str
) -> None:
    with pytest.raises(TriviumError) as refusal, computing_errors():
        raise raised

    assert type(refusal.value) is error
    assert refusal.value.reason == reason


def test_computing_errors_name_a_text_only_where_its_place_is_the_requests() -> None:
    with pytest.raises(TooLarge, match=r"^texts\[2\] has 300 tokens") as named, computing_errors():
        raise InputTooLong(2, 300, 256)
    with pytest.raises(TriviumError, match=r"^A passage could not be computed\.$"), computing_errors("A passage"):
        raise EncoderFailed(2, "odd")
    assert named.value.field == "texts[2]"


def test_loading_errors_say_why_the_model_is_not_served() -> None:
    with pytest.raises(FailedPrecondition, match="no such folder") as refusal, loading_errors():
        raise EncoderError("no such folder")
    assert refusal.value.reason == "MODEL_NOT_LOADED"
