"""Puts the HTTP surface together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute

from trivium_gateway.surfaces.http.access import AccessMiddleware
from trivium_gateway.surfaces.http.cohere_embed import cohere_embed_routes
from trivium_gateway.surfaces.http.collections import collection_routes
from trivium_gateway.surfaces.http.documents import document_routes
from trivium_gateway.surfaces.http.errors import RATE_HEADERS, install_error_handlers
from trivium_gateway.surfaces.http.feedback import feedback_routes
from trivium_gateway.surfaces.http.files import file_routes
from trivium_gateway.surfaces.http.indexes import index_routes
from trivium_gateway.surfaces.http.jobs import job_routes
from trivium_gateway.surfaces.http.keys import key_routes
from trivium_gateway.surfaces.http.middleware import RequestMiddleware
from trivium_gateway.surfaces.http.openai.routes import openai_routes
from trivium_gateway.surfaces.http.operations import operation_routes
from trivium_gateway.surfaces.http.origins import OriginMiddleware, OriginPolicy
from trivium_gateway.surfaces.http.overload import OverloadMiddleware
from trivium_gateway.surfaces.http.page import page_routes
from trivium_gateway.surfaces.http.paths import PathMiddleware
from trivium_gateway.surfaces.http.questions import question_routes
from trivium_gateway.surfaces.http.rendering import DEGRADED_HEADER
from trivium_gateway.surfaces.http.rerank.routes import rerank_routes
from trivium_gateway.surfaces.http.traces import trace_routes
from trivium_gateway.surfaces.http.transfers import transfer_routes
from trivium_gateway.surfaces.http.usage import usage_routes

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.routing import BaseRoute
    from trivium_serving.body_budget import BodyBudget

    from trivium_gateway.access.keyring import Access
    from trivium_gateway.gateway import Gateway
    from trivium_gateway.metering.book import UsageBook
    from trivium_gateway.surfaces.http.mcp.routes import McpEndpoint
    from trivium_gateway.surfaces.metrics import HttpMetrics


def http_application(
    gateway: Gateway,
    registry: CollectorRegistry,
    metrics: HttpMetrics,
    bodies: BodyBudget,
    access: Access,
    book: UsageBook,
    origins: OriginPolicy | None = None,
    mcp: McpEndpoint | None = None,
) -> FastAPI:
    """The ASGI application.

    Args:
        gateway: Does the work.
        registry: Whose metrics `/metrics` shows.
        metrics: Where requests are counted.
        bodies: Bounds the bytes of all requests' bodies.
        access: Who may ask.
        book: What is used, and how much may be.
        origins: Whose pages may call it; only its own if None.
        mcp: What answers at /mcp; nothing if None. It works while the application's lifespan is entered.
    """
    origins = origins or OriginPolicy()
    app = FastAPI(
        title="Trivium",
        description="Answers questions from a person's own documents, with citations.",
        version="1",
        openapi_url=None,  # these routes are our own: see operations.py
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=None if mcp is None else lambda _: mcp.running(),
    )
    routes: list[BaseRoute] = []
    for router in (
        question_routes(gateway),
        openai_routes(gateway),
        rerank_routes(gateway),
        cohere_embed_routes(gateway),
        document_routes(gateway),
        file_routes(gateway),
        collection_routes(gateway),
        index_routes(gateway),
        transfer_routes(gateway),
        job_routes(gateway.jobs),
        trace_routes(gateway),
        feedback_routes(gateway),
        key_routes(access.keyring, gateway.limits),
        usage_routes(book, gateway.limits),
        operation_routes(gateway, registry),
        page_routes(gateway.limits),
        *(() if mcp is None else (mcp.routes(),)),
    ):
        routes += router.routes
        for route in router.routes:
            if isinstance(route, APIRoute):
                for method in route.methods or ():
                    metrics.declare(method, route.path.replace(":path}", "}"))
        app.include_router(router)
    install_error_handlers(app, routes)
    app.add_middleware(OverloadMiddleware, gateway=gateway, routes=routes)
    app.add_middleware(AccessMiddleware, guard=access.guard)
    app.add_middleware(PathMiddleware)
    if origins.allowed:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=sorted(origins.allowed),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["X-Request-Id", DEGRADED_HEADER, "Retry-After", *RATE_HEADERS],
        )
    app.add_middleware(OriginMiddleware, policy=origins)
    app.add_middleware(RequestMiddleware, metrics=metrics, bodies=bodies)
    return app
