"""Puts the HTTP surface together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.routing import APIRoute

from trivium_gateway.http.collections import collection_routes
from trivium_gateway.http.documents import document_routes
from trivium_gateway.http.errors import install_error_handlers
from trivium_gateway.http.middleware import RequestMiddleware
from trivium_gateway.http.operations import operation_routes
from trivium_gateway.http.questions import question_routes

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from trivium_gateway.gateway import Gateway
    from trivium_gateway.metrics import HttpMetrics


def http_application(gateway: Gateway, registry: CollectorRegistry, metrics: HttpMetrics) -> FastAPI:
    """The ASGI application.

    Args:
        gateway: Does the work.
        registry: Whose metrics `/metrics` shows.
        metrics: Where requests are counted.
    """
    app = FastAPI(
        title="Trivium",
        description="Answers questions from a person's own documents, with citations.",
        version="1",
        openapi_url=None,  # these routes are our own: see operations.py
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for router in (
        question_routes(gateway),
        document_routes(gateway),
        collection_routes(gateway),
        operation_routes(gateway, registry),
    ):
        for route in router.routes:
            if isinstance(route, APIRoute):
                for method in route.methods or ():
                    metrics.declare(method, route.path.replace(":path}", "}"))
        app.include_router(router)
    install_error_handlers(app)
    app.add_middleware(RequestMiddleware, metrics=metrics)
    return app
