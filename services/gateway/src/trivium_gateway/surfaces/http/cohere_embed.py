"""POST /v2/embed, as Cohere's API has it."""

import asyncio
import base64
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Depends
from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response
from trivium_serving.errors import InvalidField
from trivium_serving.request_context import request_id

from trivium_gateway.answering.embedding import Embeddings, EmbedTask
from trivium_gateway.domain.limits import GatewayLimits
from trivium_gateway.gateway import Gateway
from trivium_gateway.models.embed import EmbedOptions, EmbedRole
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, at_most, read_json
from trivium_gateway.surfaces.http.openai.model_ids import MODEL
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse, json_bytes
from trivium_gateway.surfaces.http.shapes.shape import Shape
from trivium_gateway.surfaces.http.streams import while_connected

_LIMITS = GatewayLimits()
# Vectors are written so many at a time, so that other requests are served in between.
_ROWS_AT_A_TIME = 64
_TYPES = ("float", "base64")


class TextPart(JsonBody):
    """A text in a mixed input."""

    type: Literal["text"] = Field(description="Only texts can be embedded.")
    text: str


class Input(JsonBody):
    """What one vector is for."""

    content: Annotated[list[TextPart], *at_most(64)] = Field(description="Texts; they are embedded as one.")


class CohereEmbedBody(JsonBody):
    """Texts to embed: `texts`, or `inputs`."""

    model: str = Field(description=f"`{MODEL}`, or the embedding model's own name. Any other is a 404.")
    input_type: Literal["search_document", "search_query", "classification", "clustering"] = Field(
        description="What the texts are for. Matters to models that tell queries from documents."
    )
    texts: Annotated[list[str], *at_most(_LIMITS.max_embed_texts, "TOO_MANY_TEXTS")] | None = Field(
        None, description="1 to 2048 texts."
    )
    inputs: Annotated[list[Input], *at_most(_LIMITS.max_embed_texts, "TOO_MANY_TEXTS")] | None = Field(
        None, description="1 to 2048 inputs, of texts."
    )
    embedding_types: Annotated[list[str], *at_most(8)] | None = Field(
        None, description="`float`, which is the default, and `base64`."
    )
    output_dimension: int | None = Field(None, description="Numbers per vector, if the model was trained for fewer.")
    truncate: Literal["NONE", "END", "START"] | None = Field(
        None,
        description="What becomes of a text that is longer than the model reads: cut (`END`, the default) or refused.",
    )
    max_tokens: int | None = Field(None, description="Must be left out: as much is read as the model can.")
    priority: int | None = Field(None, description="Taken, without effect.")

    @model_validator(mode="after")
    def _only_what_can_be_done(self) -> Self:
        if (self.texts is None) == (self.inputs is None):
            raise InvalidField("texts", "Send either texts or inputs.")
        if self.truncate == "START":
            raise InvalidField("truncate", "truncate must be END or NONE: of a long text, the beginning is read.")
        if self.max_tokens is not None:
            raise InvalidField("max_tokens", "max_tokens must be left out: as much is read as the model can.")
        wrong = next((kind for kind in self.embedding_types or () if kind not in _TYPES), None)
        if wrong is not None:
            raise InvalidField("embedding_types", f"embedding_types must be of {' and '.join(_TYPES)}, not {wrong!r}.")
        return self

    def task(self) -> EmbedTask:
        """What to do."""
        role = EmbedRole.QUERY if self.input_type == "search_query" else EmbedRole.DOCUMENT
        return EmbedTask(
            tuple(self.texts or (" ".join(part.text for part in one.content) for one in self.inputs or ())),
            EmbedOptions(role, self.output_dimension, self.truncate != "NONE"),
            None if self.model == MODEL else self.model,
            "texts" if self.texts is not None else "inputs",
            "output_dimension",
        )


class VectorsShape(Shape):
    """Vectors in the order of the request, by the types that it asked for."""

    float_: list[list[float]] | None = Field(None, alias="float")
    base64: list[str] | None = Field(None, description="Little-endian float32.")


class CohereEmbedResponse(Shape):
    """Cohere's shape."""

    response_type: Literal["embeddings_by_type"]
    id: str
    texts: list[str]
    embeddings: VectorsShape
    meta: dict[str, Any]


def cohere_embed_routes(gateway: Gateway) -> APIRouter:
    """The route.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["embed"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.post(
        "/v2/embed", summary="Embed texts, in Cohere's shape", **documented(CohereEmbedResponse, CohereEmbedBody)
    )
    async def embed(request: Request) -> Response:
        body = await read_json(request, CohereEmbedBody, gateway.limits.max_body_bytes)
        task = body.task()
        embeddings = await while_connected(request, gateway.questions.embed(principal(), task))
        columns = [
            json_bytes(kind) + b":[" + b",".join(await _rows(embeddings, kind)) + b"]"
            for kind in dict.fromkeys(body.embedding_types or ["float"])
        ]
        meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": embeddings.token_count}}
        rest = {"response_type": "embeddings_by_type", "id": request_id(), "texts": task.texts, "meta": meta}
        content = json_bytes(rest)[:-1] + b',"embeddings":{' + b",".join(columns) + b"}}"
        return Response(content, media_type=JsonResponse.media_type)

    return router


async def _rows(embeddings: Embeddings, kind: str) -> list[bytes]:
    """Each vector as JSON."""
    rows = []
    for index, vector in enumerate(embeddings.vectors, start=1):
        as_base64 = kind == "base64"
        rows.append(
            json_bytes(base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector.tolist())
        )
        if not index % _ROWS_AT_A_TIME:
            await asyncio.sleep(0)
    return rows
