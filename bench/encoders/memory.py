"""How much memory the embedding service takes, and whether that grows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
from callers import embed_all, embed_stub
from results import say
from workload import mixed_texts, requests_of, short_texts

if TYPE_CHECKING:
    from processes import Service
    from results import Results

_SAMPLES = 50
_SETTLED = 0.3
"""Share of the texts after which caches are full."""
_LONG_ONE_IN = 20


def measure(results: Results, service: Service, texts: int) -> None:
    """Has it embed many texts, each another one; one in twenty of mixed length, the others short."""
    memory = asyncio.run(_sampled(service, texts))
    served = np.linspace(texts / _SAMPLES, texts, _SAMPLES)
    settled = served > texts * _SETTLED
    slope = float(np.polyfit(served[settled], np.asarray(memory)[settled], 1)[0]) * 1e5
    results.add(
        f"memory over {texts:,} texts, default settings",
        f"{memory[-1]:.0f} MB at the end, {max(memory):.0f} at most, {memory[0]:.0f} after {texts // _SAMPLES:,}; "
        f"{slope:+.1f} MB per 100,000 texts once caches are full",
        "<= 350 MB, flat",
        memory_megabytes=memory,
    )


async def _sampled(service: Service, texts: int) -> list[float]:
    size, memory = texts // _SAMPLES, []
    async with embed_stub(service.target) as stub:
        for number in range(_SAMPLES):
            mixed = mixed_texts(size // _LONG_ONE_IN, seed=number)
            batch = short_texts(size - len(mixed), seed=number) + mixed
            await embed_all(stub, requests_of([f"{number} {text}" for text in batch]))
            memory.append(service.memory_bytes() / 1e6)
            if not (number + 1) % 5:
                say(f"{(number + 1) * size:,} texts: {memory[-1]:.0f} MB")
    return memory
