"""Bounds the work that a service accepts, so that overload is refused at once and never queued without end."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from trivium_serving.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry


_PACE_SECONDS = 1.0
"""How long work is watched for one reading of its pace."""
_NEWEST_SHARE = 0.25
"""Weight of the newest reading in the pace."""
_CAUTION = 1.2
"""Work is foretold to take so many times as long as at that pace. A pace is never exact, and what is begun and not done
in time has taken the time of others for nothing: worse than a refusal."""


class Admission:
    """Counts the requests and tokens in flight. Belongs to one event loop.

    A request whose turn would come after its deadline is refused, too: computing what nobody waits for any more would
    take the time of those who do. The turn is foretold by the pace at which requests were served lately.

    A single request is admitted whatever its size if nothing else is in flight, so that none is refused for ever.

    Args:
        service: The service's short name, for the metrics.
        registry: Where the metrics are registered.
        max_requests: Most requests in flight.
        max_tokens: Most tokens (or estimates of them) in flight.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        *,
        service: str,
        registry: CollectorRegistry,
        max_requests: int,
        max_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_requests = max_requests
        self._max_tokens = max_tokens
        self._requests = 0
        self._tokens = 0
        self._urgent_tokens = 0
        self._pace = _Pace(clock)
        prefix = f"trivium_{service}"
        self._requests_gauge = Gauge(
            f"{prefix}_in_flight_requests", "Requests admitted and not ended.", registry=registry
        )
        self._tokens_gauge = Gauge(f"{prefix}_in_flight_tokens", "Tokens of the admitted requests.", registry=registry)
        self._refused = Counter(f"{prefix}_refused_total", "Requests refused for want of capacity.", registry=registry)

    @contextmanager
    def admit(self, tokens: int, *, urgent: bool = True, seconds_left: float | None = None) -> Iterator[None]:
        """Holds a place for one request while the block runs.

        Args:
            tokens: How much work it is.
            urgent: Whether it goes before all that is not.
            seconds_left: Until its deadline; None for one that waits as long as it takes.

        Raises:
            Overloaded: There is no place, or none in time.
        """
        if self._requests > 0:
            self._refuse_too_much(tokens)
            self._refuse_too_late(tokens, self._urgent_tokens if urgent else self._tokens, seconds_left)
        else:
            self._pace.begin()
        self._change(1, tokens, urgent)
        try:
            yield
            self._pace.note(tokens)
        finally:
            self._change(-1, -tokens, urgent)

    def _refuse_too_much(self, tokens: int) -> None:
        if self._requests >= self._max_requests or self._tokens + tokens > self._max_tokens:
            self._refused.inc()
            raise Overloaded(
                f"{self._requests} requests with {self._tokens} tokens are in flight; the limits are "
                f"{self._max_requests} and {self._max_tokens}. Try again shortly, or send less at a time."
            )

    def _refuse_too_late(self, tokens: int, ahead: int, seconds_left: float | None) -> None:
        if seconds_left is None or not ahead or not self._pace.tokens_per_second:
            return
        needed = _CAUTION * (ahead + tokens) / self._pace.tokens_per_second
        if needed > seconds_left:
            self._refused.inc()
            raise Overloaded(
                f"{ahead} tokens are ahead, and this request would be done in about {needed:.1f} s; its deadline is in "
                f"{seconds_left:.1f} s. Try again shortly, or with a later deadline.",
                retry_after_seconds=max(0.1, needed - seconds_left),
            )

    def _change(self, requests: int, tokens: int, urgent: bool) -> None:
        self._requests += requests
        self._tokens += tokens
        self._urgent_tokens += tokens if urgent else 0
        self._requests_gauge.set(self._requests)
        self._tokens_gauge.set(self._tokens)


class _Pace:
    """How many tokens are served in a second, while any are wanted."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.tokens_per_second = 0.0
        self._clock = clock
        self._since = clock()
        self._tokens = 0

    def begin(self) -> None:
        """Says that work begins after a time without any."""
        self._since, self._tokens = self._clock(), 0

    def note(self, tokens: int) -> None:
        """Says that so much was served."""
        self._tokens += tokens
        seconds = self._clock() - self._since
        if seconds >= _PACE_SECONDS:
            known = self.tokens_per_second or self._tokens / seconds
            self.tokens_per_second = known + _NEWEST_SHARE * (self._tokens / seconds - known)
            self.begin()
