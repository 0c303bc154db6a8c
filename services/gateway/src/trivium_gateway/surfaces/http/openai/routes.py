"""The routes of OpenAI's API."""

from fastapi import APIRouter

from trivium_gateway.gateway import Gateway
from trivium_gateway.surfaces.http.openai.chat import add_chat_routes
from trivium_gateway.surfaces.http.openai.embeddings import add_embedding_routes
from trivium_gateway.surfaces.http.openai.errors import OpenAIRoute
from trivium_gateway.surfaces.http.openai.models import add_model_routes
from trivium_gateway.surfaces.http.openai.responses import add_response_routes
from trivium_gateway.surfaces.http.openai.vector_stores import add_vector_store_routes


def openai_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["openai"], route_class=OpenAIRoute)
    add_chat_routes(router, gateway)
    add_response_routes(router, gateway)
    add_embedding_routes(router, gateway)
    add_vector_store_routes(router, gateway)
    add_model_routes(router, gateway)
    return router
