"""Makes a span of every call through a channel, and tells the callee which trace it belongs to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

from trivium_serving import tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


def traced_calls(target: str) -> Sequence[grpc.aio.ClientInterceptor] | None:
    """The interceptors for a channel; None while traces are off, so that calls cost what they always did.

    Args:
        target: Where the channel leads.
    """
    if not tracing.is_on():
        return None
    return [kind(target) for kind in (_UnaryUnary, _UnaryStream, _StreamUnary, _StreamStream)]


class _Calls:
    """What the interceptors of the four kinds of calls share.

    The call itself is handed on and not wrapped: deadlines and cancellation stay gRPC's.
    """

    def __init__(self, target: str) -> None:
        self._target = target

    async def _traced(self, continuation: Callable[[Any, Any], Awaitable[Any]], details: Any, request: Any) -> Any:
        method = details.method.decode() if isinstance(details.method, bytes) else details.method
        name = method.removeprefix("/")
        attributes = {"rpc.system.name": "grpc", "rpc.method": name, "server.address": self._target}
        span = tracing.span(name, attributes, kind="client")
        headers = span.headers() or tracing.outgoing_headers()
        metadata = grpc.aio.Metadata(*(details.metadata or ()), *headers.items())
        try:
            call = await continuation(details._replace(metadata=metadata), request)
        except BaseException as error:
            span.fail(tracing.error_type(error))
            span.end()
            raise
        call.add_done_callback(lambda done: _ending.add(asyncio.ensure_future(_end(span, done))))
        return call


_ending: set[asyncio.Future[None]] = set()


async def _end(span: tracing.Span, call: Any) -> None:
    code = (await call.code()).name
    span.set({"rpc.response.status_code": code})
    if code not in ("OK", "CANCELLED"):
        span.fail(code)
    span.end()
    _ending.difference_update([one for one in _ending if one.done()])


class _UnaryUnary(_Calls, grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._traced(continuation, client_call_details, request)


class _UnaryStream(_Calls, grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await self._traced(continuation, client_call_details, request)


class _StreamUnary(_Calls, grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._traced(continuation, client_call_details, request_iterator)


class _StreamStream(_Calls, grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await self._traced(continuation, client_call_details, request_iterator)
