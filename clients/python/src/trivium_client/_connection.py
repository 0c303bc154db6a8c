"""One connection to a gateway, for threads that wait."""

import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
from trivium.gateway.v1 import (
    feedback_service_pb2_grpc,
    gateway_service_pb2_grpc,
    job_service_pb2_grpc,
    key_service_pb2_grpc,
    trace_service_pb2_grpc,
    transfer_service_pb2_grpc,
    usage_service_pb2_grpc,
)

from trivium_client._channel import ChannelSettings, new_request_id
from trivium_client._errors import Cancelled, TriviumError, closed_error, error_from_rpc
from trivium_client._retries import Attempts
from trivium_client._spread import open_channel

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Stub = TypeVar("_Stub")


class Connection:
    """A channel to a gateway; safe to share between threads.

    Args:
        settings: Where it leads, and how.
        sleep: Waits between two attempts.
    """

    def __init__(self, settings: ChannelSettings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.address = settings.address
        self.sleep = sleep
        self._settings = settings
        self._closed = False
        self._channel = open_channel(settings)
        self._stub = gateway_service_pb2_grpc.GatewayServiceStub(self._channel)
        self._job_stub = job_service_pb2_grpc.JobServiceStub(self._channel)
        self._key_stub = key_service_pb2_grpc.KeyServiceStub(self._channel)
        self._trace_stub = trace_service_pb2_grpc.TraceServiceStub(self._channel)
        self._feedback_stub = feedback_service_pb2_grpc.FeedbackServiceStub(self._channel)
        self._usage_stub = usage_service_pb2_grpc.UsageServiceStub(self._channel)
        self._transfer_stub = transfer_service_pb2_grpc.TransferServiceStub(self._channel)

    @property
    def stub(self) -> "gateway_service_pb2_grpc.GatewayServiceStub":
        """The gateway's calls.

        Raises:
            Cancelled: If the connection is closed.
        """
        return self._while_open(self._stub)

    @property
    def job_stub(self) -> "job_service_pb2_grpc.JobServiceStub":
        """The calls about jobs.

        Raises:
            Cancelled: If the connection is closed.
        """
        return self._while_open(self._job_stub)

    @property
    def key_stub(self) -> "key_service_pb2_grpc.KeyServiceStub":
        """The calls about keys.

        Raises:
            Cancelled: If the connection is closed.
        """
        return self._while_open(self._key_stub)

    @property
    def trace_stub(self) -> "trace_service_pb2_grpc.TraceServiceStub":
        """The calls about traces.

        Raises:
            Cancelled: If the connection is closed.
        """
        return self._while_open(self._trace_stub)

    @property
    def feedback_stub(self) -> "feedback_service_pb2_grpc.FeedbackServiceStub":
        """The calls about feedback.

        Raises:
            Cancelled: If the connection is closed.
        """
        return self._while_open(self._feedback_stub)

    @property
    def usage_stub(self) -> "usage_service_pb2_grpc.UsageServiceStub":
        """The calls about usage and quotas.

        Raises:
            Cancelled: If the connection is closed.
        """
        return self._while_open(self._usage_stub)

    @property
    def transfer_stub(self) -> "transfer_service_pb2_grpc.TransferServiceStub":
        """The calls about exports and imports.

        Raises:
            Cancelled: If the connection is closed.
        """
        return self._while_open(self._transfer_stub)

    def _while_open(self, stub: _Stub) -> _Stub:
        if self._closed:
            raise closed_error()
        return stub

    def metadata(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """What each attempt of a call brings along."""
        return self._settings.metadata(request_id)

    def unary(
        self,
        method: "grpc.UnaryUnaryMultiCallable[_Request, _Response]",
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
                return method(request, timeout=attempts.remaining_seconds(), metadata=self.metadata(request_id))
            except grpc.RpcError as rpc_error:
                error = self.error(rpc_error, timeout_seconds, request_id)
            self._pause_or_raise(attempts, error)

    def stream(
        self,
        method: "grpc.UnaryStreamMultiCallable[_Request, _Response]",
        request: _Request,
        timeout_seconds: float,
        *,
        is_shown: bool = True,
    ) -> Generator[_Response, None, None]:
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
                for response in responses:
                    begun = True
                    yield response
                return
            except grpc.RpcError as rpc_error:
                error = self.error(rpc_error, timeout_seconds, request_id)
            finally:
                responses.cancel()
            if begun and is_shown:
                raise error
            self._pause_or_raise(attempts, error)

    def error(self, rpc_error: Any, timeout_seconds: float, request_id: str) -> TriviumError:
        """What a failed call means."""
        error = error_from_rpc(rpc_error, self.address, timeout_seconds, request_id)
        return closed_error() if self._closed and isinstance(error, Cancelled) else error

    def _pause_or_raise(self, attempts: Attempts, error: TriviumError) -> None:
        pause = None if self._closed else attempts.pause_seconds(error)
        if pause is None:
            raise error
        self.sleep(pause)
        if self._closed:
            raise closed_error()

    def close(self) -> None:
        self._closed = True
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
