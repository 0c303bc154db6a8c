"""What the processes of a stack hold over time: memory, descriptors, threads and tasks."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Mapping

    from e2e.stack import Stack

KINDS = ("memory MB", "descriptors", "threads", "tasks")


class Held:
    """Samples of each process.

    Args:
        stack: Whose.
        metrics: Where each service's metrics are.
        key: That may see them.
    """

    def __init__(self, stack: Stack, metrics: Mapping[str, str], key: str) -> None:
        self._stack = stack
        self._metrics = metrics
        self._headers = {"authorization": f"Bearer {key}"}
        self._samples: dict[str, list[dict[str, float]]] = defaultdict(list)

    def look(self) -> None:
        """Takes a sample of each process that answers."""
        for service, url in self._metrics.items():
            with contextlib.suppress(httpx.TransportError):  # it stands still
                process = Path(f"/proc/{self._stack.pid(service)}")
                page = self._stack.http.get(url, headers=self._headers, timeout=2).text
                found = {one.name: one.samples for one in text_string_to_metric_families(page)}
                numbers = (
                    self._stack.memory_bytes(service) / 1e6,
                    len(os.listdir(process / "fd")),
                    len(os.listdir(process / "task")),
                    found[f"trivium_{service}_tasks"][0].value,
                )
                self._samples[service].append(dict(zip(KINDS, numbers, strict=True)))

    def first_and_last(self) -> dict[str, dict[str, tuple[float, float]]]:
        """Medians of the first and of the last quarter, by service and kind."""
        quarters = {service: (all_, max(1, len(all_) // 4)) for service, all_ in self._samples.items()}
        return {
            service: {
                kind: (
                    statistics.median(one[kind] for one in samples[:quarter]),
                    statistics.median(one[kind] for one in samples[-quarter:]),
                )
                for kind in KINDS
            }
            for service, (samples, quarter) in quarters.items()
        }
