"""Restarts at random moments, by SIGTERM and SIGKILL, while documents are written: nothing acknowledged is lost."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest
from chaos.witness import Witness, create_collections
from e2e.stack import wait_until

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from chaos.conftest import Scale
    from e2e.stack import Stack

_PARTS = ("qdrant_edge", "embed", "gateway")
"""What it takes to write and to search."""
_LONGEST_SECONDS = 1200.0
"""Of breaking; a busy machine ends fewer processes in it, and what was acknowledged is counted all the same."""


def _serves(stack: Stack) -> bool:
    stages = stack.stages()
    return stages.get("search", False) and stages.get("embed", False)


def _restart(stack: Stack, service: str, chance: random.Random) -> None:
    """Ends a service and starts it again; now and then once more while it is starting."""
    for _ in range(1 if chance.random() < 0.7 else 2):
        stack.end(service, by=chance.choice((signal.SIGTERM, signal.SIGKILL)))
        stack.start(service)
        time.sleep(chance.uniform(0, 1.5))  # the moment is the experiment


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("collection_count", [1, 50, 200])
def test_restarts_at_random_moments_lose_nothing_and_say_nothing_untrue(
    make_stack: Callable[[], Stack],
    scale: Scale,
    chance: random.Random,
    seen: Callable[[str], None],
    collection_count: int,
) -> None:
    restarts = scale.pick({1: 3, 50: 3, 200: 0}, {1: 100, 50: 80, 200: 40})[collection_count]
    if not restarts:
        pytest.skip("200 collections are a part of make chaos")
    stack = make_stack()
    stack.start(*_PARTS)
    wait_until(lambda: _serves(stack), "stack that serves", 120)
    witness = Witness(stack, create_collections(stack, collection_count), seed=chance.getrandbits(32))
    witness.seed(3)

    end, done = time.monotonic() + _LONGEST_SECONDS, 0
    with witness.running():
        while done < restarts and time.monotonic() < end:
            done += 1
            witness.wait_for_writes(chance.randint(1, 30))
            _restart(stack, "qdrant_edge" if chance.random() < 0.7 else "gateway", chance)
        wait_until(lambda: _serves(stack), "stack that serves", 120)
        witness.wait_for_writes(10)

    seen(
        f"{done} restarts; {len(witness.acknowledged)} documents acknowledged, {len(witness.deleted)} deleted; "
        f"{dict(sorted(witness.outcomes.items()))}"
    )
    assert not witness.silent, witness.silent[:5]
    witness.assert_nothing_lost()
