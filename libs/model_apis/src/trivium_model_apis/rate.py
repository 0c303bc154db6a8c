"""How much of something may be used in a minute: calls of an API, or tokens."""

from __future__ import annotations

# What may be sent at once after a quiet time, as a share of the budget of a minute.
_BURST_SECONDS = 6.0


class Rate:
    """A bound per minute."""

    def __init__(self, per_minute: int) -> None:
        self._seconds_each = 60 / per_minute if per_minute else 0.0
        self._paid_until = float("-inf")

    def wait(self, now: float) -> float:
        """Seconds until some may be used; the amount itself is paid for afterwards."""
        return max(0.0, self._paid_until - now) if self._seconds_each else 0.0

    def take(self, amount: int, now: float) -> None:
        """Uses an amount."""
        self._paid_until = max(self._paid_until, now - _BURST_SECONDS) + amount * self._seconds_each
