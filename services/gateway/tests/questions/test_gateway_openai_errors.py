"""Errors in OpenAI's words."""

from __future__ import annotations

import pytest
from trivium_gateway.surfaces.http.openai.errors import openai_error_body
from trivium_serving.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidField,
    Overloaded,
    StorageFull,
    TriviumError,
    Unavailable,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidField("question", "It is blank."), "invalid_request_error"),
        (FailedPrecondition("Another model.", reason="MODEL_CHANGED"), "invalid_request_error"),
        (Overloaded("Full."), "rate_limit_error"),
        (Unavailable("Down."), "server_error"),
        (StorageFull("No room."), "server_error"),
        (DeadlineExceeded("Late."), "server_error"),
        (TriviumError("Broken."), "server_error"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_type_of_an_error_says_whose_fault_it_is(error: TriviumError, kind: str) -> None:
    assert openai_error_body(error)["error"]["type"] == kind
