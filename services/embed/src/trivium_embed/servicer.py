"""Converts between `trivium.embed.v1` and the domain, and does nothing else."""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceServicer
from trivium_encoders import CodeForm, Encoded, PartedText, Priority, Role
from trivium_model_service.deadlines import deadline_of
from trivium_model_service.messages import encoder_model_info, timing, timing_facts
from trivium_serving import tracing
from trivium_serving.errors import INTERNAL_MESSAGE, InvalidField, Overloaded, TriviumError, status_of
from trivium_serving.logs import log_failure
from trivium_serving.rpc_errors import retry_pushback_ms

from trivium_embed.embedder import Embedder, EmbeddingRequest
from trivium_embed.encodings import Encoding, to_binary, to_int8
from trivium_embed.late_chunking import may_chunk_late
from trivium_embed.pipeline import answer_in_order

_logger = logging.getLogger(__name__)

_ROLES = {
    pb.EMBED_ROLE_UNSPECIFIED: Role.DOCUMENT,
    pb.EMBED_ROLE_QUERY: Role.QUERY,
    pb.EMBED_ROLE_DOCUMENT: Role.DOCUMENT,
}

_ENCODINGS = {
    pb.VECTOR_ENCODING_UNSPECIFIED: Encoding.FLOAT32,
    pb.VECTOR_ENCODING_FLOAT32: Encoding.FLOAT32,
    pb.VECTOR_ENCODING_INT8: Encoding.INT8,
    pb.VECTOR_ENCODING_BINARY: Encoding.BINARY,
}

_CODES = {
    pb.TOKEN_CODES_UNSPECIFIED: None,
    pb.TOKEN_CODES_1_BIT: CodeForm.SIGNS,
    pb.TOKEN_CODES_4_BIT: CodeForm.NIBBLES,
    pb.TOKEN_CODES_8_BIT: CodeForm.BYTES,
}
_CODE_NAMES = {form: name for name, form in _CODES.items()}

_Context = grpc.aio.ServicerContext[Any, Any]


class EmbedServicer(EmbedServiceServicer):
    """Serves an embedder.

    Args:
        embedder: Does the work.
        stream_in_flight: Requests of one stream that are worked on at a time.
    """

    def __init__(self, embedder: Embedder, *, stream_in_flight: int) -> None:
        self._embedder = embedder
        self._stream_in_flight = stream_in_flight

    async def Embed(self, request: pb.EmbedRequest, context: _Context) -> pb.EmbedResponse:
        """Embeds some texts."""
        return await self._embed(request, Priority.INTERACTIVE, deadline_of(context))

    async def EmbedStream(
        self, request_iterator: AsyncIterator[pb.EmbedStreamRequest], context: _Context
    ) -> AsyncIterator[pb.EmbedStreamResponse]:
        """Embeds a stream of requests; one that fails is answered with its error."""
        deadline = deadline_of(context)

        async def answer(item: pb.EmbedStreamRequest) -> pb.EmbedStreamResponse:
            try:
                response = await self._embed(item.request, Priority.BULK, deadline)
                return pb.EmbedStreamResponse(sequence=item.sequence, response=response)
            except Exception as error:  # the edge of one request: whatever broke it, the others go on
                log_failure(_logger, f"request {item.sequence} of an EmbedStream", error)
                broken = error if isinstance(error, TriviumError) else TriviumError(INTERNAL_MESSAGE)
                return pb.EmbedStreamResponse(sequence=item.sequence, error=_stream_error(broken))

        async with aclosing(answer_in_order(request_iterator, answer, at_most=self._stream_in_flight)) as responses:
            async for response in responses:
                yield response

    async def Tokenize(self, request: pb.TokenizeRequest, context: _Context) -> pb.TokenizeResponse:
        """Says where tokens lie."""
        starts = await self._embedder.tokenize(request.texts)
        backend = self._embedder.backend
        return pb.TokenizeResponse(
            texts=[pb.TextTokens(starts=offsets.tolist()) for offsets in starts],
            overhead_tokens=backend.overhead_tokens,
            max_input_tokens=backend.info.max_tokens,
        )

    async def GetModel(self, request: pb.GetModelRequest, context: _Context) -> pb.GetModelResponse:
        """Describes the model."""
        dimensions = self._embedder.dimensions
        info = dimensions.info(request.dimension)
        return pb.GetModelResponse(
            model=encoder_model_info(info, self._embedder.backend.name),
            dimension=info.dimension,
            normalized=info.normalized,
            max_texts=self._embedder.limits.max_texts,
            least_dimension=dimensions.least,
            most_dimension=dimensions.most,
            token_codes=_CODE_NAMES[self._embedder.default_codes],
            late_chunking=may_chunk_late(self._embedder.backend),
        )

    async def _embed(self, request: pb.EmbedRequest, priority: Priority, deadline: float | None) -> pb.EmbedResponse:
        start = time.perf_counter()
        domain_request = EmbeddingRequest(
            texts=list(request.texts),
            role=_role(request.role),
            truncate=request.truncate,
            expected_fingerprint=request.expected_fingerprint,
            dimension=request.dimension,
            encoding=_encoding(request.encoding),
            codes=self._codes(request.token_codes),
            chunks=_chunks(request),
            sparse=request.sparse,
        )
        with tracing.span("embeddings") as span:
            encoded = await self._embedder.embed(domain_request, priority=priority, deadline=deadline)
            if tracing.is_on():
                span.set(self._outcome(domain_request, encoded, priority))
        response = pb.EmbedResponse(
            dimension=encoded.vectors.shape[1],
            token_counts=encoded.token_counts,
            model=encoder_model_info(self._embedder.dimensions.info(request.dimension), self._embedder.backend.name),
            timing=timing(encoded, time.perf_counter() - start),
            read_shares=await self._embedder.read_shares(domain_request),
        )
        _put_vectors(response, encoded.vectors, domain_request.encoding)
        response.token_codes.extend(encoded.token_codes or ())
        response.sparse_vectors.extend(
            pb.SparseVector(indices=vector.indices, values=vector.values) for vector in encoded.sparse or ()
        )
        return response

    def _codes(self, wanted: pb.TokenCodes.ValueType) -> CodeForm | None:
        if wanted == pb.TOKEN_CODES_DEFAULT:
            return self._embedder.default_codes
        if wanted not in _CODES:
            raise InvalidField(
                "token_codes", f"token_codes is {wanted}; send a TOKEN_CODES that is known: DEFAULT, 1, 4 or 8 bits."
            )
        return _CODES[wanted]

    def _outcome(self, request: EmbeddingRequest, encoded: Encoded, priority: Priority) -> tracing.Attributes:
        """What a trace says of an embedding, as OpenTelemetry's conventions for generative models have it."""
        return {
            "gen_ai.operation.name": "embeddings",
            "gen_ai.provider.name": self._embedder.backend.name,
            "gen_ai.request.model": self._embedder.backend.info.name,
            "gen_ai.embeddings.dimension.count": encoded.vectors.shape[1],
            "gen_ai.usage.input_tokens": sum(encoded.token_counts),
            "trivium.texts": len(request.texts),
            "trivium.role": request.role.value,
            "trivium.priority": priority.name.lower(),
            **timing_facts(encoded),
        }


def _put_vectors(response: pb.EmbedResponse, vectors: NDArray[np.float32], encoding: Encoding) -> None:
    if encoding is Encoding.INT8:
        numbers, scales = to_int8(vectors)
        response.vectors_int8 = numbers.tobytes()
        response.int8_scales.extend(scales.tolist())
    elif encoding is Encoding.BINARY:
        response.vectors_binary = to_binary(vectors).tobytes()
    else:
        response.vectors_f32 = vectors.astype("<f4", copy=False).tobytes()


def _chunks(request: pb.EmbedRequest) -> list[PartedText]:
    if request.chunks and len(request.chunks) != len(request.texts):
        raise InvalidField(
            "chunks", f"chunks has {len(request.chunks)} entries for {len(request.texts)} texts; send one for each."
        )
    return [
        PartedText(text, [(span.start, span.end) for span in one.spans], one.heading_characters)
        for text, one in zip(request.texts, request.chunks, strict=False)
    ]


def _role(role: pb.EmbedRole.ValueType) -> Role:
    if role not in _ROLES:
        raise InvalidField("role", f"role is {role}; send EMBED_ROLE_QUERY or EMBED_ROLE_DOCUMENT.")
    return _ROLES[role]


def _encoding(encoding: pb.VectorEncoding.ValueType) -> Encoding:
    if encoding not in _ENCODINGS:
        raise InvalidField(
            "encoding", f"encoding is {encoding}; send a VECTOR_ENCODING that is known: FLOAT32, INT8 or BINARY."
        )
    return _ENCODINGS[encoding]


def _stream_error(error: TriviumError) -> pb.EmbedStreamError:
    code, _ = status_of(error).grpc_code.value
    pause = retry_pushback_ms(error) if isinstance(error, Overloaded) else 0
    return pb.EmbedStreamError(code=code, reason=error.reason, message=error.message, retry_after_ms=pause)
