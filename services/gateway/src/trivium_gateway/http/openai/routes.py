"""The routes of OpenAI's API."""

from fastapi import APIRouter

from trivium_gateway.gateway import Gateway
from trivium_gateway.http.openai.chat import add_chat_routes
from trivium_gateway.http.openai.errors import OpenAIRoute
from trivium_gateway.http.openai.models import add_model_routes


def openai_routes(gateway: Gateway) -> APIRouter:
    """The routes.

    Args:
        gateway: Does the work.
    """
    router = APIRouter(tags=["openai"], route_class=OpenAIRoute)
    add_chat_routes(router, gateway)
    add_model_routes(router, gateway)
    return router
