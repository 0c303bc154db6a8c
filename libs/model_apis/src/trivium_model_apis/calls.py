"""Calls of model APIs over the network: within budgets, tried again when that helps, and never past the deadline."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from prometheus_client import Counter, Histogram
from trivium_serving import tracing
from trivium_serving.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidField,
    Overloaded,
    TriviumError,
    Unavailable,
)
from trivium_serving.metrics import DURATION_BUCKETS

from trivium_model_apis.rate import Rate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from prometheus_client import CollectorRegistry

_Answer = TypeVar("_Answer")

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 8.0
_RESULTS = ("ok", "refused", "overloaded", "failed")


class ApiFailure(Exception):
    """One attempt failed.

    Args:
        message: What the API or the network said.
        status: HTTP status; 0 without an answer, or with one that cannot be read.
        retry_after_seconds: When the API wants to be asked again; None if it did not say.
        quota_exhausted: Whether what was paid for is used up, so that waiting does not help.
        field: Path of the request's field that the API refuses, as far as can be told.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        retry_after_seconds: float | None = None,
        quota_exhausted: bool = False,
        field: str = "texts",
    ) -> None:
        super().__init__(message)
        self.message = message[:300]
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.quota_exhausted = quota_exhausted
        self.field = field

    @property
    def is_passing(self) -> bool:
        """Whether the same call may succeed later."""
        return not self.quota_exhausted and (self.status in (0, 408, 409, 429) or self.status >= 500)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """When to ask again, as `retry-after-ms` or `retry-after` say it in milliseconds or seconds."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with contextlib.suppress(KeyError, ValueError):
            return max(0.0, float(headers[name]) * unit)
    return None


@dataclass(frozen=True, slots=True)
class ApiBudget:
    """How much an API may be asked."""

    attempts: int
    """Most attempts of one call."""
    timeout_seconds: float
    """Longest time of one attempt."""
    concurrency: int
    """Most attempts at the same time; bulk work takes half of them at most."""
    requests_per_minute: int
    """Most attempts in a minute; 0 for no bound."""
    tokens_per_minute: int
    """Most tokens (estimated) in a minute; 0 for no bound."""


class ApiCalls:
    """Calls one API. Belongs to one event loop.

    Args:
        service: The service's short name, for the metrics.
        api: The API's name, which begins sentences.
        address: Its address, for the log.
        settings_prefix: What the environment variables begin with that are about it, for example `TRIVIUM_EMBED_`.
        budget: How much it may be asked.
        registry: Where the metrics are registered.
    """

    def __init__(
        self,
        *,
        service: str,
        api: str,
        address: str,
        settings_prefix: str,
        budget: ApiBudget,
        registry: CollectorRegistry,
    ) -> None:
        self._api = api
        self._address = address
        self._settings_prefix = settings_prefix
        self._described = {"trivium.api": api, "server.address": address}
        self._budget = budget
        self._slots = asyncio.Semaphore(budget.concurrency)
        self._bulk_slots = asyncio.Semaphore(max(1, budget.concurrency // 2))
        self._rates = (Rate(budget.requests_per_minute), Rate(budget.tokens_per_minute))
        self._closed_until = 0.0
        self._attempts = Counter(
            f"trivium_{service}_api_attempts_total",
            "Attempts to call the model API, by how they ended.",
            ("result",),
            registry=registry,
        )
        for result in _RESULTS:
            self._attempts.labels(result)
        self._seconds = Histogram(
            f"trivium_{service}_api_attempt_seconds",
            "Time of an attempt to call the model API.",
            buckets=DURATION_BUCKETS,
            registry=registry,
        )

    async def call(
        self,
        send: Callable[[], Awaitable[_Answer]],
        *,
        tokens: int,
        bulk: bool,
        deadline: float | None,
        held: contextlib.AsyncExitStack | None = None,
    ) -> _Answer:
        """Calls the API, again after failures that pass, as long as attempts and time last.

        Args:
            send: Makes one attempt; raises ApiFailure.
            tokens: About how many tokens it is.
            bulk: Whether it can wait for others.
            deadline: When to give up, on the event loop's clock in seconds; None for never.
            held: Keeps the place among those at the same time until it is closed, for an answer that goes on after
                `send` has returned; None to give it back then.

        Raises:
            FailedPrecondition: The API refuses the key (API_KEY_REFUSED), the quota is used up (API_QUOTA_EXHAUSTED),
                or there is no such model (API_MODEL_UNKNOWN).
            InvalidField: The API refuses what it was asked (API_REQUEST_REFUSED).
            Overloaded: It wants fewer requests, or the budget is used up for longer than the deadline allows.
            Unavailable: It cannot be reached or is broken (UPSTREAM_UNAVAILABLE).
            DeadlineExceeded: The deadline passed.
        """
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, self._budget.attempts + 1):
            await self._wait_for_budget(tokens, deadline)
            try:
                return await self._attempt(send, bulk, deadline, held)
            except ApiFailure as failure:
                wait = failure.retry_after_seconds
                if wait is None:
                    wait = pause * random.uniform(0.5, 1.0)
                elif failure.status == 429:
                    self._closed_until = max(self._closed_until, _now() + wait)
                late = deadline is not None and _now() + wait >= deadline
                if not failure.is_passing or attempt == self._budget.attempts or late:
                    raise self.error_of(failure, wait) from failure
            await asyncio.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        raise AssertionError("the last attempt returns or raises")

    async def _wait_for_budget(self, tokens: int, deadline: float | None) -> None:
        now = _now()
        wait = max(0.0, self._closed_until - now, *(rate.wait(now) for rate in self._rates))
        if deadline is not None and now + wait >= deadline > now:
            raise Overloaded(
                f"{self._api} may not be asked for another {wait:.1f} s, by its own word or by the budget that is set. "
                "Try again then.",
                retry_after_seconds=wait,
            )
        for rate, amount in zip(self._rates, (1, tokens), strict=True):
            rate.take(amount, now)
        if wait:
            await asyncio.sleep(wait)

    async def _attempt(
        self,
        send: Callable[[], Awaitable[_Answer]],
        bulk: bool,
        deadline: float | None,
        held: contextlib.AsyncExitStack | None,
    ) -> _Answer:
        result = "failed"
        try:
            async with asyncio.timeout_at(deadline), contextlib.AsyncExitStack() as place:
                await place.enter_async_context(self._slot(bulk))
                with self._seconds.time(), tracing.span("api attempt", self._described, kind="client"):
                    try:
                        async with asyncio.timeout(self._budget.timeout_seconds):
                            answer = await send()
                    except TimeoutError as error:
                        if deadline is not None and _now() >= deadline:
                            raise
                        raise ApiFailure(f"no answer within {self._budget.timeout_seconds:g} s") from error
                if held is not None:
                    held.push_async_exit(place.pop_all())
            result = "ok"
            return answer
        except TimeoutError as error:
            raise DeadlineExceeded(f"{self._api} did not answer before the deadline.") from error
        except ApiFailure as failure:
            if not failure.is_passing:
                result = "refused"
            elif failure.status == 429:
                result = "overloaded"
            raise
        finally:
            self._attempts.labels(result).inc()

    @contextlib.asynccontextmanager
    async def _slot(self, bulk: bool) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as slots:
            if bulk:
                await slots.enter_async_context(self._bulk_slots)
            await slots.enter_async_context(self._slots)
            yield

    def error_of(self, failure: ApiFailure, wait: float) -> TriviumError:
        """What a failure that is final means to the caller, in our words. The API's own are the error's cause.

        Args:
            failure: The failure.
            wait: Seconds after which it is worth asking again.
        """
        said = f"{self._api} at {self._address} said {failure.status or 'nothing'}: {failure.message}"
        return self._classified(failure, wait).because(said)

    def _classified(self, failure: ApiFailure, wait: float) -> TriviumError:
        api, settings, status = self._api, self._settings_prefix, failure.status
        if failure.quota_exhausted:
            return FailedPrecondition(
                f"{api} says that what was paid for is used up. Look into the account's quota and billing.",
                reason="API_QUOTA_EXHAUSTED",
            )
        if status in (401, 403):
            return FailedPrecondition(
                f"{api} refused the API key (status {status}). Set {settings}API_KEY to one that may use the model, "
                "and start again.",
                reason="API_KEY_REFUSED",
            )
        if status == 404:
            return FailedPrecondition(
                f"{api} does not have this model, or not at this address (status 404). Correct {settings}MODEL or "
                f"{settings}API_URL.",
                reason="API_MODEL_UNKNOWN",
            )
        if status == 429:
            return Overloaded(f"{api} wants fewer requests (status 429). Try again later.", retry_after_seconds=wait)
        if failure.is_passing:
            what = f"failed with status {status}" if status else "cannot be reached, or sends what cannot be read"
            return Unavailable(
                f"{api} {what}. Try again later; the log has what it said under this request's id.",
                reason="UPSTREAM_UNAVAILABLE",
            )
        return InvalidField(
            failure.field,
            f"{api} refuses what it was asked (status {status}): most often a text that is too long for the model, or "
            "an option that it does not have. The log has what it said under this request's id.",
            reason="API_REQUEST_REFUSED",
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
