"""What the services around a model say in the same words: which model it was, and where the time went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from trivium.type.v1.model_info_pb2 import ModelInfo
from trivium.type.v1.timing_pb2 import Timing

if TYPE_CHECKING:
    from trivium_encoders import EncoderInfo

    from trivium_model_service.sharing import Timed


class Described(Protocol):
    """A model; empty strings where there is nothing to say."""

    @property
    def name(self) -> str:
        """The name that the operator configured."""

    @property
    def fingerprint(self) -> str:
        """Identity of its outputs."""

    @property
    def runtime(self) -> str:
        """What executes it."""

    @property
    def precision(self) -> str:
        """Numeric precision of the forward pass."""


def model_info(
    model: Described,
    *,
    backend: str,
    max_input_tokens: int,
    token_fingerprint: str = "",
    sparse_fingerprint: str = "",
) -> ModelInfo:
    """The description of a model.

    Args:
        model: The model.
        backend: The backend's name, as the settings know it.
        max_input_tokens: Most tokens that the model reads; 0 for no such limit.
        token_fingerprint: Identity of its token vectors; empty if it gives none.
        sparse_fingerprint: Identity of its learned sparse vectors; empty if it gives none.
    """
    return ModelInfo(
        name=model.name,
        fingerprint=model.fingerprint,
        backend=backend,
        runtime=model.runtime,
        precision=model.precision,
        max_input_tokens=max_input_tokens,
        token_fingerprint=token_fingerprint,
        sparse_fingerprint=sparse_fingerprint,
    )


def encoder_model_info(info: EncoderInfo, backend: str) -> ModelInfo:
    """The description of an encoder; `backend` as of `model_info`."""
    return model_info(
        info,
        backend=backend,
        max_input_tokens=info.max_tokens,
        token_fingerprint=info.token_fingerprint,
        sparse_fingerprint=info.sparse_fingerprint,
    )


def timing(done: Timed, total_seconds: float) -> Timing:
    """Where the time of a call went.

    Args:
        done: The work of the model.
        total_seconds: From the request to its answer.
    """
    return Timing(
        queue_ms=done.queue_seconds * 1000,
        tokenize_ms=done.tokenize_seconds * 1000,
        compute_ms=done.compute_seconds * 1000,
        total_ms=total_seconds * 1000,
    )


def timing_facts(done: Timed) -> dict[str, float]:
    """The same for a trace, in milliseconds."""
    return {
        "trivium.queue_ms": done.queue_seconds * 1000,
        "trivium.tokenize_ms": done.tokenize_seconds * 1000,
        "trivium.compute_ms": done.compute_seconds * 1000,
    }
