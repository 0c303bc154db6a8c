"""What became of documents, those in others included."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from trivium_serving.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trivium_gateway.library.documents import DocumentResult

_logger = logging.getLogger(__name__)


def each_result(results: Iterable[DocumentResult]) -> list[DocumentResult]:
    """Results with those of what is in the documents."""
    return [one for result in results for one in (result, *result.parts)]


def log_causes(results: Sequence[DocumentResult]) -> None:
    """Logs why documents failed where their entries do not say it all: once for all that failed by the same error."""
    failed = Counter(result.error for result in results if result.error is not None)
    for error, count in failed.items():
        log_failure(_logger, f"{count} of {len(results)} documents", error)
