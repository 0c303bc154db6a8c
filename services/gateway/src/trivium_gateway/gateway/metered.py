"""Counts what bulk work uses."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trivium_gateway.metering.kinds import Kind
from trivium_gateway.request.tally import counting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trivium_gateway.metering.quotas import Quotas
    from trivium_gateway.request.metrics import QuestionMetrics
    from trivium_gateway.request.principal import Principal


class BulkMeter:
    """Counts it where usage and tokens are counted.

    Args:
        quotas: Counts what is used.
        metrics: Counts tokens by tenant.
    """

    def __init__(self, quotas: Quotas, metrics: QuestionMetrics) -> None:
        self._quotas = quotas
        self._metrics = metrics

    @contextmanager
    def bulk(self, principal: Principal) -> Iterator[Counter[Kind]]:
        """Counts what the block uses, also if it does not end well; the block adds what only it knows."""
        used: Counter[Kind] = Counter()
        with counting() as tally:
            try:
                yield used
            finally:
                used[Kind.EMBEDDED_TOKENS], used[Kind.PAGES] = tally.tokens, tally.pages
                used[Kind.BYTES] = tally.text_bytes
                self._quotas.spend(principal, used)
                self._metrics.count_tokens(principal.tenant, "document", tally.tokens)
