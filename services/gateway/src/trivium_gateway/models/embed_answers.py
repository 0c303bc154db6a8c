"""What the embed service answers: read from its messages, and checked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from grpc import StatusCode
from numpy.typing import NDArray
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium_serving.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidField,
    Overloaded,
    TriviumError,
    Unavailable,
)

from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_gateway.models.upstream import broken_answer

__all__ = [
    "EmbedModel",
    "EmbeddedDocuments",
    "EmbeddedTexts",
    "Tokens",
    "check_late_chunking",
    "check_learned_sparse",
    "documents_from",
    "error_in_stream",
    "learned_from",
    "model_changed_or",
    "model_from",
    "texts_from",
    "tokens_from",
    "vectors_from",
]

_TEXT = re.compile(r"\btexts\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class EmbedModel:
    """The model that the embed service runs.

    Attributes:
        name: As its operator configured it.
        fingerprint: Identity of its vectors.
        dimension: Numbers per vector.
        max_texts: Most texts in one call.
        max_input_tokens: Longest input in tokens; 0 if there is no such limit.
        gives_codes: Whether documents get the vectors of their tokens as well.
        token_fingerprint: Identity of the vectors of tokens; empty if there are none to be had.
        late_chunking: Whether it gives vectors of the chunks of a text that it reads whole.
        sparse_fingerprint: Identity of its learned sparse vectors; empty if it gives none.
    """

    name: str
    fingerprint: str
    dimension: int
    max_texts: int
    max_input_tokens: int
    gives_codes: bool = False
    token_fingerprint: str = ""
    late_chunking: bool = False
    sparse_fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Where the model's tokens lie in some texts.

    Attributes:
        starts: Per text, the offset in code points of each token; uint32, ascending.
        overhead_tokens: Tokens that the model adds to every document.
        max_input_tokens: Longest input in tokens, overhead included; 0 if there is no such limit.
    """

    starts: Sequence[NDArray[np.uint32]]
    overhead_tokens: int
    max_input_tokens: int


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Texts with their vectors.

    Attributes:
        vectors: float32 [texts, dimension].
        token_count: Tokens of all of them as the model read them.
        model: Name of the model.
        sparse: Their learned sparse vectors; none if nobody asked for them.
    """

    vectors: NDArray[np.float32]
    token_count: int
    model: str
    sparse: Sequence[SparseWeights] = ()


@dataclass(frozen=True, slots=True)
class EmbeddedDocuments:
    """What the model made of some texts.

    Attributes:
        vectors: float32 [texts, dimension].
        token_codes: For each text the vectors of its tokens, packed; empty where the service gives none.
        learned: Their learned sparse vectors; none if nobody asked for them.
    """

    vectors: NDArray[np.float32]
    token_codes: Sequence[bytes]
    learned: Sequence[SparseWeights] = ()


def model_from(response: pb.GetModelResponse) -> EmbedModel:
    """Read what the service says about its model."""
    return EmbedModel(
        name=response.model.name,
        fingerprint=response.model.fingerprint,
        dimension=response.dimension,
        max_texts=response.max_texts,
        max_input_tokens=response.model.max_input_tokens,
        gives_codes=response.token_codes != pb.TOKEN_CODES_UNSPECIFIED,
        token_fingerprint=response.model.token_fingerprint,
        late_chunking=response.late_chunking,
        sparse_fingerprint=response.model.sparse_fingerprint,
    )


def check_late_chunking(model: EmbedModel) -> None:
    """Accept a model for late chunking.

    Raises:
        FailedPrecondition: It cannot do that (LATE_CHUNKING_NOT_SUPPORTED).
    """
    if not model.late_chunking:
        raise FailedPrecondition(
            f"{model.name} cannot do late chunking: that takes a model in the embed service itself whose vectors are "
            "the means of those of its tokens. Run such a model (docs/models.md), or leave late_chunking out.",
            reason="LATE_CHUNKING_NOT_SUPPORTED",
        )


def check_learned_sparse(model: EmbedModel) -> None:
    """Accept a service for learned sparse vectors.

    Raises:
        FailedPrecondition: It gives none (LEARNED_SPARSE_NOT_SUPPORTED).
    """
    if not model.sparse_fingerprint:
        raise FailedPrecondition(
            f"The embed service that runs {model.name} gives no learned sparse vectors. Set TRIVIUM_EMBED_SPARSE_MODEL "
            "for it, or have it run a model that makes both (docs/models.md); or leave learned_sparse out.",
            reason="LEARNED_SPARSE_NOT_SUPPORTED",
        )


def tokens_from(response: pb.TokenizeResponse, count: int) -> Tokens:
    """Read where the tokens of so many texts lie."""
    if len(response.texts) != count:
        raise broken_answer("embed", "does not tokenize each text once")
    return Tokens(
        starts=[np.asarray(tokens.starts, dtype=np.uint32) for tokens in response.texts],
        overhead_tokens=response.overhead_tokens,
        max_input_tokens=response.max_input_tokens,
    )


def vectors_from(response: pb.EmbedResponse, count: int, expected_fingerprint: str) -> NDArray[np.float32]:
    """Read the vectors of so many texts.

    Returns:
        float32 [count, dimension], a view of the message.

    Raises:
        FailedPrecondition: They are another model's (MODEL_CHANGED).
    """
    if response.model.fingerprint != expected_fingerprint:
        raise _model_changed(expected_fingerprint)
    return _matrix(response, count)


def documents_from(
    response: pb.EmbedResponse, count: int, expected_fingerprint: str, learned: str = ""
) -> EmbeddedDocuments:
    """Read the vectors of so many documents, those of their tokens, and learned sparse ones of some fingerprint.

    Raises:
        FailedPrecondition: They are another model's (MODEL_CHANGED), or the sparse ones are (SPARSE_MODEL_CHANGED).
    """
    vectors = vectors_from(response, count, expected_fingerprint)
    codes = list(response.token_codes) or [b""] * count
    if len(codes) != count:
        raise broken_answer("embed", "does not have token codes for each text")
    if not learned:
        return EmbeddedDocuments(vectors, codes)
    if response.model.sparse_fingerprint != learned:
        raise _sparse_model_changed(learned)
    return EmbeddedDocuments(vectors, codes, _sparse_vectors(response, count))


def learned_from(response: pb.EmbedResponse, learned: str) -> SparseWeights | None:
    """Read a query's learned sparse vector; None if none was asked for, or none of that fingerprint is there."""
    if not learned or response.model.sparse_fingerprint != learned:
        return None
    return _sparse_vectors(response, 1)[0]


def texts_from(response: pb.EmbedResponse, count: int, *, with_sparse: bool = False) -> EmbeddedTexts:
    """Read so many texts with their vectors, whichever model's.

    Raises:
        InvalidField: Sparse ones were asked for, and the service makes none.
    """
    sparse: Sequence[SparseWeights] = ()
    if with_sparse:
        if not response.model.sparse_fingerprint:
            raise InvalidField(
                "sparse",
                "The embed service makes no learned sparse vectors. Leave out sparse, or have the service run a model "
                "that does (TRIVIUM_EMBED_SPARSE_MODEL, docs/models.md).",
            )
        sparse = _sparse_vectors(response, count)
    return EmbeddedTexts(_matrix(response, count), sum(response.token_counts), response.model.name, sparse)


def model_changed_or(error: TriviumError, expected_fingerprint: str) -> TriviumError:
    """Say what another fingerprint means to the one who asked; other errors, such as of a refused API key, are left."""
    return _model_changed(expected_fingerprint) if error.reason == "MODEL_MISMATCH" else error


def error_in_stream(error: pb.EmbedStreamError, first: int = 0) -> TriviumError:
    """Read an error that came inside a stream.

    Args:
        error: The error.
        first: How many texts came before those that it is about.
    """
    reason = error.reason or None
    if error.code == StatusCode.INVALID_ARGUMENT.value[0]:
        message = _TEXT.sub(lambda text: f"texts[{int(text[1]) + first}]", error.message)
        named = _TEXT.search(message)
        field = "dimension" if reason == "DIMENSION_NOT_SUPPORTED" else named[0] if named else "texts"
        return InvalidField(field, message, reason=reason)
    if error.code == StatusCode.FAILED_PRECONDITION.value[0]:
        return FailedPrecondition(error.message, reason=reason)
    if error.code == StatusCode.RESOURCE_EXHAUSTED.value[0]:
        return Overloaded(error.message, reason=reason, retry_after_seconds=error.retry_after_ms / 1000 or 1.0)
    if error.code == StatusCode.DEADLINE_EXCEEDED.value[0]:
        return DeadlineExceeded(error.message, reason=reason)
    return Unavailable(error.message, reason=reason)


def _model_changed(expected_fingerprint: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"The collection's vectors come from another model (fingerprint {expected_fingerprint[:12]}) than the embed "
        "service runs now. Start that model again, name a service that runs it in TRIVIUM_GATEWAY_EMBED_TARGETS, or "
        "change the collection's model: trivium reindex NAME --model MODEL.",
        reason="MODEL_CHANGED",
    )


def _sparse_model_changed(learned: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"The collection's learned sparse vectors come from another model (fingerprint {learned[:12]}) than the embed "
        "service runs now. Start that model again (TRIVIUM_EMBED_SPARSE_MODEL), or make them anew: trivium reindex "
        "NAME --model MODEL, with the name of the collection's embedding model.",
        reason="SPARSE_MODEL_CHANGED",
    )


def _sparse_vectors(response: pb.EmbedResponse, count: int) -> Sequence[SparseWeights]:
    if len(response.sparse_vectors) != count:
        raise broken_answer("embed", "does not have one sparse vector per text")
    return [SparseWeights(list(one.indices), list(one.values)) for one in response.sparse_vectors]


def _matrix(response: pb.EmbedResponse, count: int) -> NDArray[np.float32]:
    if not response.dimension or len(response.vectors_f32) != 4 * count * response.dimension:
        raise broken_answer("embed", "does not have one vector per text")
    return np.frombuffer(response.vectors_f32, dtype="<f4").reshape(count, response.dimension)
