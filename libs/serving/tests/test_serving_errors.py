"""Errors keep their class, reason and details over a real connection."""

from __future__ import annotations

import grpc
import pytest
from trivium_serving.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidField,
    NotFound,
    Overloaded,
    StorageFull,
    TooLarge,
    TriviumError,
    Unavailable,
    Unimplemented,
    cause_of,
    chain_of,
    status_of,
)
from trivium_serving.rpc_errors import error_from_rpc, to_rpc_status

ERRORS = [
    InvalidField("texts[3]", "is blank", reason="BLANK_TEXT"),
    TooLarge("11 texts; at most 10", reason="TOO_MANY_TEXTS", field="texts"),
    NotFound("no such collection", reason="COLLECTION_NOT_FOUND"),
    AlreadyExists("the collection exists"),
    FailedPrecondition("the model changed", reason="MODEL_CHANGED"),
    Unimplemented("no geo filters here", reason="GEO_FILTER"),
    Overloaded("busy", retry_after_seconds=0.25),
    Unavailable("loading", reason="LOADING"),
    StorageFull("no room left"),
    DeadlineExceeded("too late"),
]


def _rpc_error(error: TriviumError) -> grpc.aio.AioRpcError:
    status = to_rpc_status(error, "trivium.embed.v1")
    trailers = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()))
    return grpc.aio.AioRpcError(status_of(error).grpc_code, grpc.aio.Metadata(), trailers, details=status.message)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_error_over_the_wire_comes_back_as_it_was(error: TriviumError) -> None:
    received = error_from_rpc(_rpc_error(error))

    assert type(received) is type(error)
    assert (received.message, received.reason, received.field) == (error.message, error.reason, error.field)
    if isinstance(error, Overloaded):
        assert isinstance(received, Overloaded)
        assert received.retry_after_seconds == error.retry_after_seconds


def test_error_of_a_peer_without_details_has_its_class_by_the_code_and_our_words() -> None:
    bare = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), details="gone")

    received = error_from_rpc(bare)

    assert type(received) is Unavailable
    assert "gone" not in received.message
    assert received.cause == "gone"


def test_status_of_a_subclass_is_its_parents() -> None:
    class Draining(Unavailable):
        pass

    assert status_of(Draining("bye")) == status_of(Unavailable("bye"))


def test_cause_of_an_error_that_is_among_its_own_causes_is_found_or_empty() -> None:
    shared, outer = Unavailable("gone"), Unavailable("gone, too")
    shared.__cause__, outer.__cause__ = outer, shared

    assert cause_of(outer) == ""
    shared.because("the peer's words")
    assert cause_of(outer) == "the peer's words"


def test_chain_of_an_error_raised_while_another_was_handled_has_both_unless_that_was_hidden() -> None:
    def raised(hidden: bool) -> list[type[BaseException]]:
        try:
            try:
                raise KeyError("first")
            except KeyError:
                if hidden:
                    raise Unavailable("gone") from None
                raise Unavailable("gone")  # noqa: B904 - which is what is tested
        except Unavailable as error:
            return [type(link) for link in chain_of(error)]

    assert raised(hidden=False) == [Unavailable, KeyError]
    assert raised(hidden=True) == [Unavailable]
