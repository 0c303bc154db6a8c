"""Traces: what a request does, span by span, across all processes. Off unless an endpoint is set.

`OTEL_EXPORTER_OTLP_ENDPOINT` (or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`) turns them on: only then is OpenTelemetry
imported, and spans are sent there over OTLP/gRPC. Its other standard variables hold, too, for example
`OTEL_TRACES_SAMPLER`. The provider is our own and not the process's: no library adds spans with what it thinks is worth
telling.

Attributes are numbers, names and ids, never texts of questions, documents or answers, nor messages of errors.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Literal, Self

from trivium_serving.errors import TriviumError

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import SpanKind, Tracer

AttributeValue = str | bool | int | float | Sequence[str]
Attributes = Mapping[str, AttributeValue]
Kind = Literal["internal", "client", "server"]

_logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
# How long the end of a process waits for its last spans to leave: a collector that is gone must not hold it.
_FLUSH_SECONDS = 2.0


class Span:
    """A part of a request's work. This one records nothing: it stands where traces are off."""

    __slots__ = ()

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hexadecimal digits; empty where nothing is recorded."""
        return ""

    @property
    def traceparent(self) -> str:
        """The span as W3C's trace context names it; empty where traces are off."""
        return ""

    def headers(self) -> dict[str, str]:
        """What tells another process that its work belongs to this span: W3C's `traceparent` and `tracestate`."""
        return {}

    def set(self, attributes: Attributes) -> None:
        """Adds attributes."""

    def rename(self, name: str) -> None:
        """Gives it another name."""

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        """Adds something that happened at this moment."""

    def fail(self, error_type: str) -> None:
        """Marks it as failed.

        Args:
            error_type: A reason, a code or the name of a class; never a message.
        """

    def end(self) -> None:
        """Ends it."""

    def __enter__(self) -> Self:
        """Makes it the current span."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it, as failed if the block raised."""


_NONE = Span()
_current: ContextVar[Span] = ContextVar("trivium_span", default=_NONE)
_tracer: Tracer | None = None


class _RecordedSpan(Span):
    __slots__ = ("_token", "otel")

    def __init__(self, otel: OtelSpan) -> None:
        self.otel = otel

    @property
    def trace_id(self) -> str:
        context = self.otel.get_span_context()
        return format(context.trace_id, "032x") if context.trace_flags.sampled else ""

    @property
    def traceparent(self) -> str:
        context = self.otel.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def headers(self) -> dict[str, str]:
        state = self.otel.get_span_context().trace_state.to_header()
        return {"traceparent": self.traceparent} | ({"tracestate": state} if state else {})

    def set(self, attributes: Attributes) -> None:
        self.otel.set_attributes(attributes)

    def rename(self, name: str) -> None:
        self.otel.update_name(name)

    def event(self, name: str, attributes: Attributes | None = None) -> None:
        self.otel.add_event(name, attributes)

    def fail(self, error_type: str) -> None:
        from opentelemetry.trace import StatusCode

        self.otel.set_attribute("error.type", error_type)
        self.otel.set_status(StatusCode.ERROR, error_type)

    def end(self) -> None:
        self.otel.end()

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ValueError):  # an iterator may be closed in another context than it was begun in
            _current.reset(self._token)
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self.set({"trivium.cancelled": True})  # who asked has left, or has enough
        elif error is not None:
            self.fail(error_type(error))
        self.end()


def configure_tracing(service: str) -> None:
    """Turns traces on if the environment asks for them.

    Args:
        service: The service's short name; `trivium-<service>` is its name in traces, unless `OTEL_SERVICE_NAME` is set.

    Raises:
        ValueError: The environment asks for what is not there.
    """
    if not _is_wanted():
        return
    protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "grpc")
    if protocol != "grpc":
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; traces are sent over grpc only")
    for variable in _ENDPOINTS:
        if "@" in os.environ.get(variable, ""):  # unrepeated
            raise ValueError(
                f"{variable} holds a user name or a password. Give it without; OTEL_EXPORTER_OTLP_HEADERS takes what "
                "the collector asks for"
            )
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_NAMESPACE, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ValueError(
            f"{error}: traces need trivium-serving[tracing]. Install it, or unset {_ENDPOINTS[1]}."
        ) from error

    name = os.environ.get("OTEL_SERVICE_NAME") or f"trivium-{service}"
    resource = Resource.create({SERVICE_NAME: name, SERVICE_NAMESPACE: "trivium"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use_provider(provider)
    _flush_at_exit(provider)
    _logger.info("traces are on")


def _flush_at_exit(provider: TracerProvider) -> None:
    # The SDK's own flush waits as long as the exporter tries, and a thread cannot be started any more at the end.
    leaving, left = threading.Event(), threading.Event()

    def flush() -> None:
        leaving.wait()
        provider.shutdown()
        left.set()

    def leave() -> None:
        leaving.set()
        left.wait(_FLUSH_SECONDS)

    threading.Thread(target=flush, name="last spans", daemon=True).start()
    atexit.register(leave)


def use_provider(provider: TracerProvider | None) -> None:
    """Makes spans with a provider from now on; with None, makes none."""
    global _tracer
    _tracer = provider.get_tracer("trivium") if provider is not None else None


def is_on() -> bool:
    """Whether spans are made."""
    return _tracer is not None


def current() -> Span:
    """The span of the work that is being done."""
    return _current.get()


def span(name: str, attributes: Attributes | None = None, *, kind: Kind = "internal") -> Span:
    """A part of the current span's work, to be used as a context manager.

    What a process does on its own account, outside of any request, makes no spans.
    """
    parent = _current.get()
    if _tracer is None or not isinstance(parent, _RecordedSpan):
        return _NONE
    from opentelemetry.trace import set_span_in_context

    return _RecordedSpan(
        _tracer.start_span(name, context=set_span_in_context(parent.otel), kind=_kind(kind), attributes=attributes)
    )


def request_span(name: str, headers: Mapping[str, str | bytes], attributes: Attributes | None = None) -> Span:
    """The span of a request that has come in; it goes on with the caller's trace. To be used as a context manager.

    Args:
        name: What is asked for.
        headers: The request's headers or metadata, with names in small letters.
        attributes: What is known of it.
    """
    if _tracer is None:
        return _NONE
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {key: str(headers[key]) for key in ("traceparent", "tracestate") if key in headers}
    context = TraceContextTextMapPropagator().extract(carrier, context=Context())
    return _RecordedSpan(_tracer.start_span(name, context=context, kind=_kind("server"), attributes=attributes))


def outgoing_headers() -> dict[str, str]:
    """What tells another process that a call to it belongs to the current span.

    A call that belongs to none, a health check for example, is to make no trace there either.
    """
    if _tracer is None:
        return {}
    headers = _current.get().headers()
    return headers or {"traceparent": f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00"}


def error_type(error: BaseException) -> str:
    """What kind of error it is, without what it says."""
    return error.reason if isinstance(error, TriviumError) else type(error).__qualname__


def _is_wanted() -> bool:
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return False
    return any(os.environ.get(variable, "").strip() for variable in _ENDPOINTS)


def _kind(kind: Kind) -> SpanKind:
    from opentelemetry.trace import SpanKind

    return {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT, "server": SpanKind.SERVER}[kind]
