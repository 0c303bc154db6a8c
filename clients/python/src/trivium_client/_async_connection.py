"""One connection to a gateway, for an event loop."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
from trivium.gateway.v1 import (
    feedback_service_pb2_grpc,
    gateway_service_pb2_grpc,
    job_service_pb2_grpc,
    key_service_pb2_grpc,
    trace_service_pb2_grpc,
    transfer_service_pb2_grpc,
    usage_service_pb2_grpc,
)

from trivium_client._async_spread import open_async_channel
from trivium_client._channel import ChannelSettings, new_request_id
from trivium_client._errors import Cancelled, InvalidRequest, TriviumError, closed_error, error_from_rpc
from trivium_client._retries import Attempts

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class AsyncConnection:
    """A channel to a gateway. It opens with its first call, in the event loop of that call, and stays there.

    Args:
        settings: Where it leads, and how.
        sleep: Waits between two attempts.
    """

    def __init__(
        self, settings: ChannelSettings, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self.address = settings.address
        self.sleep = sleep
        self._settings = settings
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._channel: grpc.aio.Channel | None = None
        self._stub: gateway_service_pb2_grpc.GatewayServiceAsyncStub | None = None
        self._job_stub: job_service_pb2_grpc.JobServiceAsyncStub | None = None
        self._key_stub: key_service_pb2_grpc.KeyServiceAsyncStub | None = None
        self._trace_stub: trace_service_pb2_grpc.TraceServiceAsyncStub | None = None
        self._feedback_stub: feedback_service_pb2_grpc.FeedbackServiceAsyncStub | None = None
        self._usage_stub: usage_service_pb2_grpc.UsageServiceAsyncStub | None = None
        self._transfer_stub: transfer_service_pb2_grpc.TransferServiceAsyncStub | None = None

    @property
    def stub(self) -> "gateway_service_pb2_grpc.GatewayServiceAsyncStub":
        """The gateway's calls.

        Raises:
            Cancelled: If the connection is closed.
            InvalidRequest: If it belongs to another event loop, which still runs.
        """
        if self._closed:
            raise closed_error()
        loop = asyncio.get_running_loop()
        if self._stub is None or (self._loop is not loop and self._loop is not None and self._loop.is_closed()):
            self._open(loop)
        if self._loop is not loop:
            raise InvalidRequest(
                "this AsyncTrivium is in use in another event loop; make one for each loop", reason="OTHER_EVENT_LOOP"
            )
        assert self._stub is not None, "it was opened above"
        return self._stub

    @property
    def job_stub(self) -> "job_service_pb2_grpc.JobServiceAsyncStub":
        """The calls about jobs; see `stub`."""
        assert self.stub is not None, "it opens all of them"
        assert self._job_stub is not None, "it was opened with it"
        return self._job_stub

    @property
    def key_stub(self) -> "key_service_pb2_grpc.KeyServiceAsyncStub":
        """The calls about keys; see `stub`."""
        assert self.stub is not None, "it opens all of them"
        assert self._key_stub is not None, "it was opened with it"
        return self._key_stub

    @property
    def trace_stub(self) -> "trace_service_pb2_grpc.TraceServiceAsyncStub":
        """The calls about traces; see `stub`."""
        assert self.stub is not None, "it opens all"
        assert self._trace_stub is not None, "it was opened with it"
        return self._trace_stub

    @property
    def feedback_stub(self) -> "feedback_service_pb2_grpc.FeedbackServiceAsyncStub":
        """The calls about feedback; see `stub`."""
        assert self.stub is not None, "it opens all"
        assert self._feedback_stub is not None, "it was opened with it"
        return self._feedback_stub

    @property
    def usage_stub(self) -> "usage_service_pb2_grpc.UsageServiceAsyncStub":
        """The calls about usage; see `stub`."""
        assert self.stub is not None, "it opens all"
        assert self._usage_stub is not None, "it was opened with it"
        return self._usage_stub

    @property
    def transfer_stub(self) -> "transfer_service_pb2_grpc.TransferServiceAsyncStub":
        """The calls about exports and imports; see `stub`."""
        assert self.stub is not None, "it opens all"
        assert self._transfer_stub is not None, "it was opened with it"
        return self._transfer_stub

    def metadata(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """What each attempt of a call brings along."""
        return self._settings.metadata(request_id)

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        settings = self._settings
        self._channel = open_async_channel(settings)
        self._loop = loop
        self._stub = gateway_service_pb2_grpc.GatewayServiceStub(self._channel)
        self._job_stub = job_service_pb2_grpc.JobServiceStub(self._channel)
        self._key_stub = key_service_pb2_grpc.KeyServiceStub(self._channel)
        self._trace_stub = trace_service_pb2_grpc.TraceServiceStub(self._channel)
        self._feedback_stub = feedback_service_pb2_grpc.FeedbackServiceStub(self._channel)
        self._usage_stub = usage_service_pb2_grpc.UsageServiceStub(self._channel)
        self._transfer_stub = transfer_service_pb2_grpc.TransferServiceStub(self._channel)

    async def unary(
        self,
        method: "grpc.aio.UnaryUnaryMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_seconds: float,
        *,
        repeatable: bool = True,
    ) -> _Response:
        """Makes one call, again if need be, and waits for its response.

        Args:
            method: One of `stub`.
            request: Its request.
            timeout_seconds: For all attempts together.
            repeatable: Whether it may be made twice.

        Raises:
            TriviumError: If the call fails.
        """
        attempts = Attempts(self._settings.retries, timeout_seconds, repeatable=repeatable)
        request_id = new_request_id()
        while True:
            try:
                return await method(request, timeout=attempts.remaining_seconds(), metadata=self.metadata(request_id))
            except grpc.aio.AioRpcError as rpc_error:
                error = self.error(rpc_error, timeout_seconds, request_id)
            except asyncio.CancelledError:
                if self.was_closed_under_a_call():
                    raise closed_error() from None
                raise
            await self._pause_or_raise(attempts, error)

    async def stream(
        self,
        method: "grpc.aio.UnaryStreamMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_seconds: float,
        *,
        is_shown: bool = True,
    ) -> AsyncGenerator[_Response, None]:
        """Yields the responses of one call, which is made again only before the first. Closing cancels the call.

        Args:
            method: One of `stub`.
            request: Its request.
            timeout_seconds: For all attempts together.
            is_shown: Whether what is yielded counts as it comes. If not, the call may be made again from the beginning.

        Raises:
            TriviumError: If the call fails.
        """
        attempts = Attempts(self._settings.retries, timeout_seconds, repeatable=True)
        request_id = new_request_id()
        while True:
            responses = method(request, timeout=attempts.remaining_seconds(), metadata=self.metadata(request_id))
            begun = False
            try:
                async for response in responses:
                    begun = True
                    yield response
                return
            except grpc.aio.AioRpcError as rpc_error:
                error = self.error(rpc_error, timeout_seconds, request_id)
            except asyncio.CancelledError:
                if self.was_closed_under_a_call():
                    raise closed_error() from None
                raise
            finally:
                responses.cancel()
            if begun and is_shown:
                raise error
            await self._pause_or_raise(attempts, error)

    def error(self, rpc_error: Any, timeout_seconds: float, request_id: str) -> TriviumError:
        """What a failed call means."""
        error = error_from_rpc(rpc_error, self.address, timeout_seconds, request_id)
        return closed_error() if self._closed and isinstance(error, Cancelled) else error

    def was_closed_under_a_call(self) -> bool:
        """Whether a CancelledError is that of a call whose channel was closed, and not that of the task."""
        task = asyncio.current_task()
        return self._closed and (task is None or not task.cancelling())

    async def _pause_or_raise(self, attempts: Attempts, error: TriviumError) -> None:
        pause = None if self._closed else attempts.pause_seconds(error)
        if pause is None:
            raise error
        await self.sleep(pause)
        if self._closed:
            raise closed_error()

    async def close(self) -> None:
        self._closed = True
        if self._channel is not None and self._loop is asyncio.get_running_loop():
            await self._channel.close()
