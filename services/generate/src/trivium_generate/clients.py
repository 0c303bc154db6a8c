"""Calls to other services; protobuf types end here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import numpy as np
from trivium.embed.v1 import embed_service_pb2, embed_service_pb2_grpc
from trivium_evidence.letters import plain_letters
from trivium_serving.channels import open_channel, outgoing_metadata
from trivium_serving.errors import Unavailable
from trivium_serving.pulse import Pulse, health_of
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class EmbedClient:
    """Similarities of sentences to a question, by the vectors of the embedding service.

    Args:
        target: Its address, `HOST:PORT`.
        timeout_seconds: How long one answer may wait for it.
    """

    def __init__(self, target: str, timeout_seconds: float) -> None:
        self._channel = open_channel(target)
        self._stub = embed_service_pb2_grpc.EmbedServiceStub(self._channel)
        self._timeout_seconds = timeout_seconds
        self.pulse = Pulse("The embed service", health_of(self._channel))

    async def similarities(self, question: str, sentences: Sequence[str], seconds: float | None) -> NDArray[np.float32]:
        """The cosine of each sentence's vector to the question's; texts over the model's length are cut.

        Args:
            question: The question.
            sentences: The sentences.
            seconds: Longest wait, if it is shorter than this client's own; None for that alone.

        Raises:
            TriviumError: The service is down, late or overloaded, or changed its model between two calls.
        """
        timeout = self._timeout_seconds if seconds is None else min(seconds, self._timeout_seconds)
        async with self.pulse.waiting():
            query, documents = await asyncio.gather(
                self._embed([question], embed_service_pb2.EMBED_ROLE_QUERY, timeout),
                self._embed(sentences, embed_service_pb2.EMBED_ROLE_DOCUMENT, timeout),
            )
        if query.model.fingerprint != documents.model.fingerprint:
            raise Unavailable("The embedding service changed its model between two calls. Try again.")
        similarities: NDArray[np.float32] = _unit_rows(documents) @ _unit_rows(query)[0]
        return similarities

    async def close(self) -> None:
        """Closes the connection."""
        await self._channel.close()

    async def _embed(
        self, texts: Sequence[str], role: embed_service_pb2.EmbedRole.ValueType, timeout_seconds: float
    ) -> embed_service_pb2.EmbedResponse:
        request = embed_service_pb2.EmbedRequest(texts=map(plain_letters, texts), role=role, truncate=True)
        try:
            response: embed_service_pb2.EmbedResponse = await self._stub.Embed(
                request, timeout=timeout_seconds, metadata=outgoing_metadata()
            )
        except grpc.aio.AioRpcError as error:
            raise error_from_rpc(error) from error
        return response


def _unit_rows(response: embed_service_pb2.EmbedResponse) -> NDArray[np.float32]:
    vectors = np.frombuffer(response.vectors_f32, dtype="<f4").reshape(-1, response.dimension)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(lengths, 1e-12)
    return unit
