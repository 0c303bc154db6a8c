"""Wraps every RPC: request id, trace, errors to status codes, metrics, one line in the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf import descriptor_pool
from grpc_status import rpc_status

from trivium_serving.errors import (
    INTERNAL_MESSAGE,
    DeadlineExceeded,
    Overloaded,
    QuotaExceeded,
    TriviumError,
    Unavailable,
    status_of,
)
from trivium_serving.logs import log_failure, log_request
from trivium_serving.request_context import (
    REQUEST_ID_KEY,
    TENANT_KEY,
    begin_request,
    request_id,
    set_caller,
    set_tenant,
)
from trivium_serving.rpc_errors import retry_pushback_ms, to_rpc_status
from trivium_serving.tracing import Span, request_span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from trivium_serving.message_gate import MessageGate
    from trivium_serving.metrics import RequestMetrics
    from trivium_serving.slow_readers import SlowReaders

_logger = logging.getLogger(__name__)

# Channels repeat what is UNAVAILABLE, for servers that come and go. A handler that says so has tried already, and four
# attempts of its caller would be four times its own, except for what is this instance's own trouble.
_ANOTHER_MAY_SERVE = ("CANCELLED", "DRAINING", "LOADING")
_NEVER = -1
# A client that does not read does not take a status either.
_ABORT_SECONDS = 1.0
_SLOW_READER = "SLOW_READER"

# Asked every half second by whoever looks whether a service is there: lines in the log at `debug`, and no traces.
_QUIET = frozenset({"GetModel", "GetStatus", "HealthCheck"})
# Those of the codes that are the service's failures, and not its caller's: OpenTelemetry's conventions for RPC servers.
_FAILURES = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"})


class RequestInterceptor(grpc.aio.ServerInterceptor):
    """Gives each RPC of one gRPC service its request id, turns what it raises into a status, and measures it.

    Args:
        full_name: The service it is for, for example `trivium.embed.v1.EmbedService`; others pass through.
        metrics: Where its RPCs are counted.
        label_prefix: Put before an RPC's name in the metrics, where several services share them.
        let_in: Called with the context of each call before it is served, to say who asks; may refuse it.
        gate: What decodes the messages of strangers; None for those of our own services.
        stall_seconds: How long a client may read nothing of a stream; 0 for any time.
        slow_readers: Where those are noted who read nothing; each is waited for if None.
    """

    def __init__(
        self,
        full_name: str,
        metrics: RequestMetrics,
        label_prefix: str = "",
        let_in: Callable[[Any], None] | None = None,
        gate: MessageGate | None = None,
        stall_seconds: float = 0.0,
        slow_readers: SlowReaders | None = None,
    ) -> None:
        self._prefix = f"/{full_name}/"
        self._domain = full_name.rpartition(".")[0]
        self._metrics = metrics
        self._label_prefix = label_prefix
        self._let_in = let_in
        self._gate = gate
        self._stall_seconds = stall_seconds
        self._slow_readers = slow_readers
        self._methods = descriptor_pool.Default().FindServiceByName(full_name).methods_by_name

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wraps the handler of a call."""
        handler = await continuation(handler_call_details)
        method: str = handler_call_details.method
        if handler is None or not method.startswith(self._prefix):
            return handler
        return self._wrap(handler, method.removeprefix(self._prefix))

    def _begin(self, method: str, context: Any) -> _Call:
        metadata: dict[str, str | bytes] = dict(context.invocation_metadata() or ())
        current = begin_request(str(metadata.get(REQUEST_ID_KEY, "")))
        if self._gate is None:  # strangers do not say whose data it is about
            set_tenant(str(metadata.get(TENANT_KEY, "")))
        set_caller(str(context.peer()).rpartition(":")[0])  # without the port, which each connection has its own of
        full_method, quiet = self._prefix[1:] + method, method in _QUIET
        if quiet and "traceparent" not in metadata:
            span = Span()
        else:
            attributes = {"rpc.system.name": "grpc", "rpc.method": full_method, "trivium.request_id": current}
            span = request_span(full_method, metadata, attributes)
        return _Call(self._domain, self._label_prefix + method, self._metrics, context, span, quiet=quiet)

    def _wrap(self, handler: Any, method: str) -> grpc.RpcMethodHandler[Any, Any]:
        """A handler of the same kind around the given one; the four kinds differ only in what is iterated."""
        codecs = {
            "request_deserializer": handler.request_deserializer if self._gate is None else None,
            "response_serializer": handler.response_serializer,
        }
        if handler.response_streaming:
            inner = handler.stream_stream if handler.request_streaming else handler.unary_stream

            async def stream(request: Any, context: Any) -> None:
                call = self._begin(method, context)
                try:
                    async with (
                        self._received(request, handler, method, context) as received,
                        aclosing(inner(received, context)) as responses,
                    ):
                        async for response in responses:
                            await self._write(context, response)
                except BaseException as error:
                    await call.fail(error)
                    raise
                call.end()

            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            return make(stream, **codecs)
        inner = handler.stream_unary if handler.request_streaming else handler.unary_unary

        async def unary(request: Any, context: Any) -> Any:
            call = self._begin(method, context)
            try:
                async with self._received(request, handler, method, context) as received:
                    response = await inner(received, context)
            except BaseException as error:
                await call.fail(error)
                raise
            call.end()
            return response

        make = (
            grpc.stream_unary_rpc_method_handler if handler.request_streaming else grpc.unary_unary_rpc_method_handler
        )
        return make(unary, **codecs)

    async def _write(self, context: Any, response: Any) -> None:
        """Sends a response of a stream; gRPC takes it when the client has read most of those before.

        Raises:
            DeadlineExceeded: The client reads nothing (SLOW_READER).
        """
        if not self._stall_seconds:
            await context.write(response)
            return
        # Not cancelled if it takes too long: gRPC would go on with it all the same.
        writing = asyncio.ensure_future(context.write(response))
        begin, given_up = time.monotonic(), asyncio.get_running_loop().create_future()
        noted = self._slow_readers and self._slow_readers.waiting_for(writing, partial(given_up.set_result, None))
        try:
            with noted or contextlib.nullcontext():
                await asyncio.wait(
                    (writing, given_up), timeout=self._stall_seconds, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            writing.add_done_callback(lambda written: written.cancelled() or written.exception())
        if not writing.done():
            raise DeadlineExceeded(
                f"Nothing of the stream was read for {time.monotonic() - begin:.0f} seconds. Read it as it comes.",
                reason=_SLOW_READER,
            )
        writing.result()

    @asynccontextmanager
    async def _received(self, request: Any, handler: Any, method: str, context: Any) -> AsyncIterator[Any]:
        """What a handler gets: the request, or the requests, once they were let in."""
        if self._let_in is not None:
            self._let_in(context)
        if self._gate is None:
            yield request
            return
        message_type, decode = self._methods[method].input_type, handler.request_deserializer
        with self._gate.request() as held:
            if handler.request_streaming:
                async with aclosing(self._gate.each(request, held, message_type, decode)) as messages:
                    yield messages
            else:
                yield await self._gate.one(request, held, message_type, decode)


class _Call:
    """One RPC while it is served."""

    def __init__(
        self, domain: str, method: str, metrics: RequestMetrics, context: Any, span: Span, *, quiet: bool
    ) -> None:
        self._domain = domain
        self._method = method
        self._metrics = metrics
        self._context = context
        self._code = grpc.StatusCode.OK
        self._start = time.perf_counter()
        self._quiet = quiet
        self._reason = ""
        self._span = span
        span.__enter__()  # it is the task's: the call's end is its end

    async def fail(self, error: BaseException) -> None:
        """Ends the RPC with the status that the error stands for, counted before the caller has it.

        Returns only if the error has to go on as it is: the client is gone, or the handler aborted the call itself.
        """
        status = self._status(error)
        self.end()
        if status is not None and self._reason == _SLOW_READER:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._context.abort_with_status(status), _ABORT_SECONDS)
        elif status is not None:
            await self._context.abort_with_status(status)

    def _status(self, error: BaseException) -> Any:
        """What to answer for an error; None if it has to go on as it is."""
        if isinstance(error, grpc.aio.AbortError):
            self._code = grpc.StatusCode.UNKNOWN
            return None
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                self._code = grpc.StatusCode.CANCELLED
                return None
            # The handler awaited something that was cancelled. Let through, it would leave the client hanging.
            error = Unavailable(
                "The work for this call was cancelled inside the service. Try again.", reason="CANCELLED"
            )
        if not isinstance(error, Exception):
            return None
        log_failure(_logger, self._method, error)
        if not isinstance(error, TriviumError):
            error = TriviumError(INTERNAL_MESSAGE)
        self._code, self._reason = status_of(error).grpc_code, error.reason
        status: Any = rpc_status.to_status(to_rpc_status(error, self._domain))
        own_id = (REQUEST_ID_KEY, request_id())  # under which the log has the cause
        status = status._replace(trailing_metadata=(*status.trailing_metadata, own_id))
        if isinstance(error, QuotaExceeded):
            told = ((name.lower(), value) for name, value in error.standing.headers().items())
            status = status._replace(trailing_metadata=(*status.trailing_metadata, *told))
        pause = retry_pushback_ms(error) if isinstance(error, Overloaded) else None
        if isinstance(error, Unavailable) and error.reason not in _ANOTHER_MAY_SERVE:
            pause = _NEVER
        if pause is not None:
            pushback = ("grpc-retry-pushback-ms", str(pause))
            status = status._replace(trailing_metadata=(*status.trailing_metadata, pushback))
        return status

    def end(self) -> None:
        """Counts the RPC, logs it, and ends its span."""
        seconds, code = time.perf_counter() - self._start, self._code.name
        self._metrics.observe(self._method, code, seconds)
        log_request(_logger, self._method, code, seconds, quiet=self._quiet and code == "OK")
        self._span.set({"rpc.response.status_code": code})
        if self._reason:
            self._span.set({"error.type": self._reason})
        if code in _FAILURES:
            self._span.fail(self._reason or code)
        self._span.end()
