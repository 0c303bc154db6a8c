"""Calls the embed service."""

import re
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import grpc
import numpy as np
from numpy.typing import NDArray
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from trivium_serving.channels import outgoing_metadata
from trivium_serving.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidField,
    Overloaded,
    TriviumError,
    Unavailable,
)

from trivium_gateway.models.long_queries import split_query
from trivium_gateway.models.query_memory import QueryMemory, QueryVector
from trivium_gateway.models.upstream import broken_answer, upstream_error

__all__ = [
    "FULL_NAME",
    "EmbedClient",
    "EmbedModel",
    "EmbedOptions",
    "EmbedRole",
    "EmbeddedDocuments",
    "EmbeddedTexts",
    "Tokens",
]

FULL_NAME = pb.DESCRIPTOR.services_by_name["EmbedService"].full_name

_CODES = grpc.StatusCode
_SPARE_TOKENS = 16  # of a prompt before queries
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
    """

    name: str
    fingerprint: str
    dimension: int
    max_texts: int
    max_input_tokens: int
    gives_codes: bool = False
    token_fingerprint: str = ""


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


class EmbedRole(StrEnum):
    """What a text is for."""

    QUERY = "query"
    DOCUMENT = "document"


_ROLES = {EmbedRole.QUERY: pb.EMBED_ROLE_QUERY, EmbedRole.DOCUMENT: pb.EMBED_ROLE_DOCUMENT}


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """How to embed texts.

    Attributes:
        role: What they are for.
        dimension: Numbers per vector; None for as many as the model has.
        truncate: Whether to cut a text that is longer than the model reads, instead of refusing it.
    """

    role: EmbedRole = EmbedRole.DOCUMENT
    dimension: int | None = None
    truncate: bool = False


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Texts with their vectors.

    Attributes:
        vectors: float32 [texts, dimension].
        token_count: Tokens of all of them as the model read them.
        model: Name of the model.
    """

    vectors: NDArray[np.float32]
    token_count: int
    model: str


@dataclass(frozen=True, slots=True)
class EmbeddedDocuments:
    """What the model made of some texts.

    Attributes:
        vectors: float32 [texts, dimension].
        token_codes: For each text the vectors of its tokens, packed; empty where the service gives none.
    """

    vectors: NDArray[np.float32]
    token_codes: Sequence[bytes]


class EmbedClient:
    """The embed service, as the gateway uses it. Every call has a deadline and names the model that it expects.

    All methods raise the domain error that the service sent: Unavailable, Overloaded, DeadlineExceeded, and so on.

    Args:
        channel: To the service.
        max_remembered_bytes: How much memory the vectors of recent queries may take; 0 to remember none.
    """

    def __init__(self, channel: grpc.aio.Channel, *, max_remembered_bytes: int = 8 * 1024 * 1024) -> None:
        self._stub = EmbedServiceStub(channel)
        self._remembered = QueryMemory(max_remembered_bytes)

    async def model(self, *, timeout_seconds: float = 5.0) -> EmbedModel:
        """Ask which model the service runs now."""
        try:
            response = await self._stub.GetModel(
                pb.GetModelRequest(), timeout=timeout_seconds, metadata=outgoing_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise upstream_error("embed", error) from error
        return EmbedModel(
            name=response.model.name,
            fingerprint=response.model.fingerprint,
            dimension=response.dimension,
            max_texts=response.max_texts,
            max_input_tokens=response.model.max_input_tokens,
            gives_codes=response.token_codes != pb.TOKEN_CODES_UNSPECIFIED,
            token_fingerprint=response.model.token_fingerprint,
        )

    async def embed_query(
        self, text: str, *, expected_fingerprint: str, with_codes: bool = False, timeout_seconds: float
    ) -> QueryVector:
        """Embed a query, or remember its vector. One that is longer than the model reads is read in parts.

        Args:
            text: The query; not blank.
            expected_fingerprint: The model's fingerprint, as the collection has it.
            with_codes: Whether to have the vectors of its tokens as well, of one that is read whole.
            timeout_seconds: How long it may take.

        Raises:
            FailedPrecondition: The service runs another model (MODEL_CHANGED).
        """
        remembered = self._remembered.get(expected_fingerprint, text)
        if remembered is not None:
            return remembered
        until = time.monotonic() + timeout_seconds
        response = await self._embed_queries([text], expected_fingerprint, timeout_seconds, with_codes=with_codes)
        vector = _vectors(response, 1, expected_fingerprint)[0].copy()
        token_count, long = sum(response.token_counts), None
        token_codes = b"".join(response.token_codes[:1])
        if 0 < response.model.max_input_tokens <= token_count:  # it was cut
            tokens = await self.tokenize([text], timeout_seconds=max(0.001, until - time.monotonic()))
            window_tokens = tokens.max_input_tokens - tokens.overhead_tokens - _SPARE_TOKENS
            long = split_query(text, tokens.starts[0], max(1, window_tokens))
            response = await self._embed_queries(long.parts, expected_fingerprint, max(0.001, until - time.monotonic()))
            vector = long.combined(_vectors(response, len(long.parts), expected_fingerprint))
            vector /= max(float(np.linalg.norm(vector)), 1e-12)
            token_count += sum(response.token_counts)
            token_codes = b""
        read_share = response.read_shares[0] if response.read_shares else 1.0
        made = QueryVector(
            vector.tolist(), token_count, cached=False, read_share=read_share, token_codes=token_codes, long=long
        )
        self._remembered.put(expected_fingerprint, text, vector, made)
        return made

    async def _embed_queries(
        self, texts: Sequence[str], expected_fingerprint: str, timeout_seconds: float, *, with_codes: bool = False
    ) -> pb.EmbedResponse:
        request = pb.EmbedRequest(
            texts=texts,
            role=pb.EMBED_ROLE_QUERY,
            truncate=True,
            expected_fingerprint=expected_fingerprint,
            token_codes=pb.TOKEN_CODES_8_BIT if with_codes else pb.TOKEN_CODES_UNSPECIFIED,
        )
        try:
            return await self._stub.Embed(request, timeout=timeout_seconds, metadata=outgoing_metadata())
        except grpc.aio.AioRpcError as error:
            raise _model_changed_or(upstream_error("embed", error), expected_fingerprint) from error

    async def embed_documents(
        self, texts: Sequence[str], *, expected_fingerprint: str, timeout_seconds: float
    ) -> EmbeddedDocuments:
        """Embed documents at bulk priority: queries overtake them.

        Args:
            texts: At most the model's `max_texts`, none of them blank or over the model's maximum.
            expected_fingerprint: The model's fingerprint, as the collection has it.
            timeout_seconds: How long it may take.

        Returns:
            The vectors, and those of the texts' tokens.

        Raises:
            FailedPrecondition: The service runs another model (MODEL_CHANGED).
        """
        request = pb.EmbedRequest(
            texts=texts,
            role=pb.EMBED_ROLE_DOCUMENT,
            expected_fingerprint=expected_fingerprint,
            token_codes=pb.TOKEN_CODES_DEFAULT,
        )

        try:
            (response,) = await self._in_bulk([request], timeout_seconds)
        except TriviumError as error:
            raise _model_changed_or(error, expected_fingerprint) from error
        vectors = _vectors(response, len(texts), expected_fingerprint)
        codes = list(response.token_codes) or [b""] * len(texts)
        if len(codes) != len(texts):
            raise broken_answer("embed", "does not have token codes for each text")
        return EmbeddedDocuments(vectors, codes)

    async def embed_texts(
        self, batches: Sequence[Sequence[str]], options: EmbedOptions, *, timeout_seconds: float
    ) -> list[EmbeddedTexts]:
        """Embed texts of a caller with whichever model runs: a single text at once, several as bulk work.

        Args:
            batches: The texts, none of them blank; at most the model's `max_texts` in a batch.
            options: How to embed them.
            timeout_seconds: How long it may take.

        Raises:
            InvalidField: The model does not take a text, or has no vectors of the dimension. Its field is `texts[n]`,
                counted over all batches, or `dimension`.
        """
        requests = [
            pb.EmbedRequest(
                texts=batch, role=_ROLES[options.role], truncate=options.truncate, dimension=options.dimension or 0
            )
            for batch in batches
        ]
        if [len(batch) for batch in batches] == [1]:
            try:
                response = await self._stub.Embed(requests[0], timeout=timeout_seconds, metadata=outgoing_metadata())
            except grpc.aio.AioRpcError as error:
                raise upstream_error("embed", error) from error
            return [_embedded_texts(response, 1)]
        responses = await self._in_bulk(requests, timeout_seconds)
        return [_embedded_texts(one, len(batch)) for one, batch in zip(responses, batches, strict=True)]

    async def _in_bulk(self, requests: Sequence[pb.EmbedRequest], timeout_seconds: float) -> list[pb.EmbedResponse]:
        """Answer each request, in a stream, which says that it is bulk work, and costs nothing beside that."""

        async def numbered() -> AsyncIterator[pb.EmbedStreamRequest]:
            for number, request in enumerate(requests):
                yield pb.EmbedStreamRequest(sequence=number, request=request)

        responses: list[pb.EmbedResponse] = []
        call = self._stub.EmbedStream(numbered(), timeout=timeout_seconds, metadata=outgoing_metadata())
        try:
            async for answer in call:
                if answer.HasField("error"):
                    raise _stream_error(answer.error, sum(len(one.texts) for one in requests[: len(responses)]))
                responses.append(answer.response)
        except grpc.aio.AioRpcError as error:
            raise upstream_error("embed", error) from error
        finally:
            call.cancel()
        if len(responses) != len(requests):
            raise broken_answer("embed", "does not answer each request once")
        return responses

    async def tokenize(self, texts: Sequence[str], *, timeout_seconds: float) -> Tokens:
        """Say where the model's tokens lie in some texts.

        Args:
            texts: At most the model's `max_texts`.
            timeout_seconds: How long it may take.
        """
        try:
            response = await self._stub.Tokenize(
                pb.TokenizeRequest(texts=texts), timeout=timeout_seconds, metadata=outgoing_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise upstream_error("embed", error) from error
        if len(response.texts) != len(texts):
            raise broken_answer("embed", "does not tokenize each text once")
        return Tokens(
            starts=[np.asarray(tokens.starts, dtype=np.uint32) for tokens in response.texts],
            overhead_tokens=response.overhead_tokens,
            max_input_tokens=response.max_input_tokens,
        )


def _vectors(response: pb.EmbedResponse, count: int, expected_fingerprint: str) -> NDArray[np.float32]:
    """Read the vectors of a response.

    Returns:
        float32 [count, dimension], a view of the message.
    """
    if response.model.fingerprint != expected_fingerprint:
        raise _model_changed(expected_fingerprint)
    return _matrix(response, count)


def _embedded_texts(response: pb.EmbedResponse, count: int) -> EmbeddedTexts:
    return EmbeddedTexts(_matrix(response, count), sum(response.token_counts), response.model.name)


def _matrix(response: pb.EmbedResponse, count: int) -> NDArray[np.float32]:
    if not response.dimension or len(response.vectors_f32) != 4 * count * response.dimension:
        raise broken_answer("embed", "does not have one vector per text")
    return np.frombuffer(response.vectors_f32, dtype="<f4").reshape(count, response.dimension)


def _model_changed_or(error: TriviumError, expected_fingerprint: str) -> TriviumError:
    """Say what another fingerprint means to the one who asked; other errors, such as of a refused API key, are left."""
    return _model_changed(expected_fingerprint) if error.reason == "MODEL_MISMATCH" else error


def _model_changed(expected_fingerprint: str) -> FailedPrecondition:
    return FailedPrecondition(
        f"The collection's vectors come from another model (fingerprint {expected_fingerprint[:12]}) than the embed "
        "service runs now. Start that model again, or ingest the documents into a new collection.",
        reason="MODEL_CHANGED",
    )


def _stream_error(error: pb.EmbedStreamError, first: int = 0) -> TriviumError:
    """Read an error that came inside a stream.

    Args:
        error: The error.
        first: How many texts came before those that it is about.
    """
    reason = error.reason or None
    if error.code == _CODES.INVALID_ARGUMENT.value[0]:
        message = _TEXT.sub(lambda text: f"texts[{int(text[1]) + first}]", error.message)
        named = _TEXT.search(message)
        field = "dimension" if reason == "DIMENSION_NOT_SUPPORTED" else named[0] if named else "texts"
        return InvalidField(field, message, reason=reason)
    if error.code == _CODES.FAILED_PRECONDITION.value[0]:
        return FailedPrecondition(error.message, reason=reason)
    if error.code == _CODES.RESOURCE_EXHAUSTED.value[0]:
        return Overloaded(error.message, reason=reason, retry_after_seconds=error.retry_after_ms / 1000 or 1.0)
    if error.code == _CODES.DEADLINE_EXCEEDED.value[0]:
        return DeadlineExceeded(error.message, reason=reason)
    return Unavailable(error.message, reason=reason)
