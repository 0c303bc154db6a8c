"""Links between the gateway and the other processes that can be bad, for a stack that is a part of no event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from faults.bad_link import BadLink

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from e2e.stack import Stack

_LAG_SECONDS = 0.05
_DROP_SECONDS = 0.5


class Links:
    """Good at first."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._open = contextlib.AsyncExitStack()
        self.to: dict[str, BadLink] = {}
        """By the service that they lead to."""

    def insert(self, stack: Stack) -> None:
        """Puts one before each process that the gateway calls; to be done before it is started."""
        self._thread.start()
        for service in ("embed", "rerank", "generate"):
            name = f"TRIVIUM_GATEWAY_{service.upper()}_TARGET"
            self.to[service] = self._before(urlsplit(f"//{stack.environ[name]}").port or 0)
            stack.environ[name] = f"127.0.0.1:{self.to[service].port}"
        name = "TRIVIUM_GATEWAY_QDRANT_GRPC_PORT"
        self.to["qdrant_edge"] = self._before(int(stack.environ[name]))
        stack.environ[name] = str(self.to["qdrant_edge"].port)

    @contextlib.contextmanager
    def late(self, service: str) -> Iterator[None]:
        """All bytes come late."""
        self.to[service].lag_seconds = _LAG_SECONDS
        yield
        self.to[service].lag_seconds = 0.0

    @contextlib.contextmanager
    def dropping(self, service: str) -> Iterator[None]:
        """Connections break twice a second."""
        end = threading.Event()

        def drop() -> None:
            while not end.wait(_DROP_SECONDS):
                self._loop.call_soon_threadsafe(self.to[service].drop)

        thread = threading.Thread(target=drop)
        thread.start()
        yield
        end.set()
        thread.join()

    def close(self) -> None:
        """Ends them."""
        self._run(self._open.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _before(self, port: int) -> BadLink:
        link: BadLink = self._run(self._open.enter_async_context(BadLink(port).serving()))
        return link

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)
