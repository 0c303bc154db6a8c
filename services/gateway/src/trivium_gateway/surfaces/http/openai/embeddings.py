"""POST /v1/embeddings."""

import asyncio
import base64
from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from trivium_serving.errors import InvalidField

from trivium_gateway.answering.embedding import Embeddings, EmbedTask
from trivium_gateway.gateway import Gateway
from trivium_gateway.models.embed import EmbedOptions, EmbedRole
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import read_json
from trivium_gateway.surfaces.http.openai.bodies import OpenAIBody
from trivium_gateway.surfaces.http.openai.errors import OpenAIErrorResponse
from trivium_gateway.surfaces.http.openai.model_ids import MODEL
from trivium_gateway.surfaces.http.openai.shapes import EmbeddingsResponse
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, json_bytes
from trivium_gateway.surfaces.http.streams import while_connected

# Vectors are written so many at a time, so that other requests are served in between.
_ROWS_AT_A_TIME = 64


class EmbeddingsBody(OpenAIBody):
    """Texts to embed."""

    model: str = Field(description="`trivium`, or the embedding model's own name. Any other is a 404.")
    input: Any = Field(description="A text, or a list of 1 to 2048 texts. Ids of tokens are refused.")
    encoding_format: Literal["float", "base64"] | None = Field(
        None, description="`base64`: little-endian float32; default `float`."
    )
    dimensions: int | None = Field(None, description="Numbers per vector, if the model was trained for fewer.")
    input_type: Literal["query", "document"] | None = Field(
        None, description="Trivium: what the texts are for; default `document`. Matters to models that tell them apart."
    )
    truncate: bool | None = Field(
        None, description="Trivium: cut texts that are longer than the model reads, instead of refusing them."
    )
    sparse: bool | None = Field(None, description="Trivium: give learned sparse vectors as well, where a model does.")

    def task(self) -> EmbedTask:
        """What to do.

        Raises:
            InvalidField: The input is neither a text nor a list of texts.
        """
        role = EmbedRole(self.input_type or "document")
        options = EmbedOptions(role, self.dimensions, bool(self.truncate), bool(self.sparse))
        return EmbedTask(_texts(self.input), options, None if self.model == MODEL else self.model)


def add_embedding_routes(router: APIRouter, gateway: Gateway) -> None:
    """Adds the route.

    Args:
        router: What to add it to.
        gateway: Does the work.
    """

    @router.post(
        "/v1/embeddings",
        summary="Embed texts, in OpenAI's shape",
        **documented(EmbeddingsResponse, EmbeddingsBody, errors=OpenAIErrorResponse),
    )
    async def embed(request: Request) -> Response:
        body = await read_json(request, EmbeddingsBody, gateway.limits.max_body_bytes)
        embeddings = await while_connected(request, gateway.questions.embed(principal(), body.task()))
        rows = await _rows(embeddings, as_base64=body.encoding_format == "base64")
        usage = {"prompt_tokens": embeddings.token_count, "total_tokens": embeddings.token_count}
        rest = json_bytes({"object": "list", "model": embeddings.model, "usage": usage})
        return Response(rest[:-1] + b',"data":[' + b",".join(rows) + b"]}", media_type=JsonResponse.media_type)


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list):
        raise InvalidField("input", "input must be a text or a list of texts.")
    if any(isinstance(one, int | list) for one in value):
        raise InvalidField(
            "input",
            "input has ids of tokens, which mean something only to the model whose tokens they are. Send texts; "
            "LangChain's OpenAIEmbeddings does with check_embedding_ctx_length=False.",
            reason="UNSUPPORTED_FIELD",
        )
    wrong = next((place for place, one in enumerate(value) if not isinstance(one, str)), None)
    if wrong is not None:
        raise InvalidField(f"input[{wrong}]", f"input[{wrong}] must be a text.")
    return tuple(value)


async def _rows(embeddings: Embeddings, *, as_base64: bool) -> list[bytes]:
    """Each text's vectors as JSON."""
    rows = []
    for index, vector in enumerate(embeddings.vectors):
        shown = base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector.tolist()
        row = {"object": "embedding", "index": index, "embedding": shown}
        if embeddings.sparse:
            row["sparse_embedding"] = embeddings.sparse[index]._asdict()
        rows.append(json_bytes(row))
        if index % _ROWS_AT_A_TIME == _ROWS_AT_A_TIME - 1:
            await asyncio.sleep(0)
    return rows
