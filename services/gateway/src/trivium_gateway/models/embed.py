"""Calls the embed services."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

import grpc
import numpy as np
from trivium.embed.v1 import embed_service_pb2 as pb
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from trivium_evidence.letters import plain_letters
from trivium_serving.channels import outgoing_metadata
from trivium_serving.errors import TriviumError

from trivium_gateway.domain.readers import Reader
from trivium_gateway.models.embed_answers import (
    EmbeddedDocuments,
    EmbeddedTexts,
    EmbedModel,
    Tokens,
    documents_from,
    error_in_stream,
    learned_from,
    model_changed_or,
    model_from,
    texts_from,
    tokens_from,
    vectors_from,
)
from trivium_gateway.models.embed_options import EmbedOptions, EmbedRole
from trivium_gateway.models.late_chunks import ChunkedText, documents_request
from trivium_gateway.models.long_queries import long_query
from trivium_gateway.models.query_memory import QueryMemory, QueryVector
from trivium_gateway.models.upstream import broken_answer, upstream_error
from trivium_gateway.request.tally import count_read

__all__ = ["FULL_NAME", "EmbedClient", "EmbedOptions", "EmbedRole"]

FULL_NAME = pb.DESCRIPTOR.services_by_name["EmbedService"].full_name

_LOOK_SECONDS = 1.0
_LOOK_AGAIN_SECONDS = 1.0
"""How often to ask which service runs a model that none was known to run."""


class EmbedClient:
    """An embed service, as the gateway uses it. Every call has a deadline and names the model that it expects.

    All methods raise the domain error that the service sent: Unavailable, Overloaded, DeadlineExceeded, and so on.

    Attributes:
        stage: The stage that the service is, as readiness and errors name it.

    Args:
        channel: To the service.
        name: Its name, if it is a further one beside the first; empty for the first.
        further: The services beside this one, which run other models.
        remembered: The vectors of recent queries; None for a memory of its own.
    """

    def __init__(
        self,
        channel: grpc.aio.Channel,
        *,
        name: str = "",
        further: Sequence["EmbedClient"] = (),
        remembered: QueryMemory | None = None,
    ) -> None:
        self.stage = f"embed.{name}" if name else "embed"
        self._stub = EmbedServiceStub(channel)
        self._every = (self, *further)
        self._running = ""
        self._looking = asyncio.Lock()
        self._looked_at = float("-inf")
        self._remembered = remembered or QueryMemory()

    @property
    def every(self) -> Sequence["EmbedClient"]:
        """This service's, and those of the further ones."""
        return self._every

    async def of(self, fingerprint: str) -> "EmbedClient":
        """Give the client of the service that runs a model. Cheap: what they run is remembered.

        Args:
            fingerprint: The model's.

        Returns:
            That one; if none is known to, one that was never there; else this one, whose service then says so.
        """
        if len(self._every) == 1:
            return self
        if (found := self._known(fingerprint)) is not None:
            return found
        async with self._looking:
            if self._known(fingerprint) is None and time.monotonic() - self._looked_at >= _LOOK_AGAIN_SECONDS:
                await asyncio.gather(*(one._look() for one in self._every))
                self._looked_at = time.monotonic()
        return self._known(fingerprint) or next((one for one in self._every if not one._running), self)

    def _known(self, fingerprint: str) -> "EmbedClient | None":
        return next((one for one in self._every if one._running == fingerprint), None)

    async def _look(self) -> None:
        with contextlib.suppress(TriviumError):
            await self.model(timeout_seconds=_LOOK_SECONDS)

    async def model(self, *, timeout_seconds: float = 5.0) -> EmbedModel:
        """Ask which model the service runs now."""
        try:
            response = await self._stub.GetModel(
                pb.GetModelRequest(), timeout=timeout_seconds, metadata=outgoing_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise upstream_error(self.stage, error) from error
        model = model_from(response)
        self._running = model.fingerprint
        return model

    async def embed_query(
        self,
        text: str,
        *,
        reader: Reader,
        expected_fingerprint: str,
        learned: str = "",
        with_codes: bool = False,
        timeout_seconds: float,
    ) -> QueryVector:
        """Embed a query, or remember its vector. One that is longer than the model reads is read in parts.

        Args:
            text: The query; not blank.
            reader: Who asks.
            expected_fingerprint: The model's fingerprint, as the collection has it.
            learned: That of the learned sparse vectors that it has; empty for none. A service of others gives none.
            with_codes: Whether to have the vectors of its tokens as well, of one that is read whole.
            timeout_seconds: How long it may take.

        Raises:
            FailedPrecondition: The service runs another model (MODEL_CHANGED).
        """
        remembered = self._remembered.get(reader, expected_fingerprint + learned, text, with_codes=with_codes)
        if remembered is not None:
            return remembered
        until = time.monotonic() + timeout_seconds
        response = await self._embed_queries(
            [text], expected_fingerprint, timeout_seconds, with_codes=with_codes, sparse=bool(learned)
        )
        weights = learned_from(response, learned)
        vector = vectors_from(response, 1, expected_fingerprint)[0].copy()
        token_count, token_codes, long = sum(response.token_counts), b"".join(response.token_codes[:1]), None
        if 0 < response.model.max_input_tokens <= token_count:  # it was cut
            long = long_query(text, await self.tokenize([text], timeout_seconds=max(0.001, until - time.monotonic())))
        if long is not None:
            response = await self._embed_queries(long.parts, expected_fingerprint, max(0.001, until - time.monotonic()))
            vector = long.combined(vectors_from(response, len(long.parts), expected_fingerprint))
            vector /= max(float(np.linalg.norm(vector)), 1e-12)
            token_count += sum(response.token_counts)
            token_codes = b""
        read_share = response.read_shares[0] if response.read_shares else 1.0
        made = QueryVector(
            vector.tolist(),
            token_count,
            cached=False,
            read_share=read_share,
            token_codes=token_codes,
            long=long,
            learned=weights,
        )
        if weights is not None or not learned:  # what is lacking may be there the next time
            self._remembered.put(reader, expected_fingerprint + learned, text, vector, made, with_codes=with_codes)
        return made

    async def _embed_queries(
        self,
        texts: Sequence[str],
        expected_fingerprint: str,
        timeout_seconds: float,
        *,
        with_codes: bool = False,
        sparse: bool = False,
    ) -> pb.EmbedResponse:
        request = pb.EmbedRequest(
            texts=map(plain_letters, texts),
            role=pb.EMBED_ROLE_QUERY,
            truncate=True,
            expected_fingerprint=expected_fingerprint,
            token_codes=pb.TOKEN_CODES_8_BIT if with_codes else pb.TOKEN_CODES_UNSPECIFIED,
            sparse=sparse,
        )
        try:
            response = await self._stub.Embed(request, timeout=timeout_seconds, metadata=outgoing_metadata())
        except grpc.aio.AioRpcError as error:
            raise self._changed_or(upstream_error(self.stage, error), expected_fingerprint) from error
        self._running = response.model.fingerprint
        return response

    async def embed_documents(
        self,
        texts: Sequence[str] | Sequence[ChunkedText],
        *,
        expected_fingerprint: str,
        learned: str = "",
        timeout_seconds: float,
    ) -> EmbeddedDocuments:
        """Embed documents at bulk priority: queries overtake them.

        Args:
            texts: At most the model's `max_texts`, none of them blank or over the model's maximum; or texts to be read
                whole, with at most so many chunks.
            expected_fingerprint: The model's fingerprint, as the collection has it.
            learned: The fingerprint of the learned sparse vectors that it has; empty for none.
            timeout_seconds: How long it may take.

        Returns:
            The vectors, those of tokens, and learned sparse ones; or those of all chunks, in their order.

        Raises:
            FailedPrecondition: The service runs another model (MODEL_CHANGED, SPARSE_MODEL_CHANGED), or one that cannot
                do late chunking (LATE_CHUNKING_NOT_SUPPORTED).
        """
        request, count = documents_request(texts, sparse=bool(learned))
        request.expected_fingerprint = expected_fingerprint
        try:
            response = await self._in_bulk(request, 0, timeout_seconds)
        except TriviumError as error:
            raise self._changed_or(error, expected_fingerprint) from error
        self._running = response.model.fingerprint
        count_read(tokens=sum(response.token_counts))
        return documents_from(response, count, expected_fingerprint, learned)

    def _changed_or(self, error: TriviumError, expected_fingerprint: str) -> TriviumError:
        found = model_changed_or(error, expected_fingerprint)
        if found is not error:
            self._running = ""  # another one, so that the next call looks for it
        return found

    async def embed_texts(
        self, texts: Sequence[str], options: EmbedOptions, *, is_bulk: bool, first: int = 0, timeout_seconds: float
    ) -> EmbeddedTexts:
        """Embed texts of a caller with whichever model runs.

        Args:
            texts: The texts, none of them blank; at most the model's `max_texts`.
            options: How to embed them.
            is_bulk: Whether questions overtake them.
            first: How many texts of the caller come before them, for errors.
            timeout_seconds: How long it may take.

        Raises:
            InvalidField: The model does not take a text, or has no vectors of the dimension, or no sparse ones. Its
                field is `texts[n]`, `dimension` or `sparse`.
        """
        request = options.request(texts)
        if is_bulk:
            response = await self._in_bulk(request, first, timeout_seconds)
            return texts_from(response, len(texts), with_sparse=options.sparse)
        try:
            response = await self._stub.Embed(request, timeout=timeout_seconds, metadata=outgoing_metadata())
        except grpc.aio.AioRpcError as error:
            raise upstream_error(self.stage, error) from error
        return texts_from(response, len(texts), with_sparse=options.sparse)

    async def _in_bulk(self, request: pb.EmbedRequest, first: int, timeout_seconds: float) -> pb.EmbedResponse:
        """Answer a request in a stream, which says that it is bulk work, and costs nothing beside that."""

        async def numbered() -> AsyncIterator[pb.EmbedStreamRequest]:
            yield pb.EmbedStreamRequest(sequence=0, request=request)

        responses: list[pb.EmbedResponse] = []
        call = self._stub.EmbedStream(numbered(), timeout=timeout_seconds, metadata=outgoing_metadata())
        try:
            async for answer in call:
                if answer.HasField("error"):
                    raise error_in_stream(answer.error, first)
                responses.append(answer.response)
        except grpc.aio.AioRpcError as error:
            raise upstream_error(self.stage, error) from error
        finally:
            call.cancel()
        if len(responses) != 1:
            raise broken_answer(self.stage, "does not answer each request once")
        return responses[0]

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
            raise upstream_error(self.stage, error) from error
        return tokens_from(response, len(texts))
