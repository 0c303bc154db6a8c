"""Restarts at random moments, by SIGTERM and SIGKILL, while documents are written: nothing acknowledged is lost.

TRIVIUM_CHAOS_RESTARTS says how many processes to end with how many collections, in the place of what goes with all
experiments: `1:150,50:42,200:10`.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from chaos.conftest import write_report
from chaos.witness import PATIENCE_SECONDS, Witness, create_collections
from e2e.stack import wait_until

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from chaos.conftest import Scale
    from e2e.stack import Stack

_PARTS = ("qdrant_edge", "embed", "gateway")
"""What it takes to write and to search."""
_WANTED = {
    int(collections): int(restarts)
    for collections, _, restarts in (
        one.partition(":") for one in os.environ.get("TRIVIUM_CHAOS_RESTARTS", "").split(",") if one
    )
}
_LONGEST_SECONDS = max(1200.0, 40.0 * max(_WANTED.values(), default=0))
"""Of breaking; a busy machine ends fewer processes in it, and what was acknowledged is counted all the same."""


@pytest.fixture(scope="module")
def totals() -> Iterator[Counter[str]]:
    """What all of these count together, which is written down in the end."""
    counted: Counter[str] = Counter()
    yield counted
    if counted:
        write_report(f"restarts in all: {', '.join(f'{count} {what}' for what, count in counted.items())}")


def _serves(stack: Stack) -> bool:
    stages = stack.stages()
    return stages.get("search", False) and stages.get("embed", False)


def _restart(stack: Stack, service: str, chance: random.Random) -> int:
    """Ends a service and starts it again; now and then once more while it is starting. Says how often."""
    times = 1 if chance.random() < 0.7 else 2
    for _ in range(times):
        stack.end(service, by=chance.choice((signal.SIGTERM, signal.SIGKILL)))
        stack.start(service)
        time.sleep(chance.uniform(0, 1.5))  # the moment is the experiment
    return times


@pytest.mark.timeout(_LONGEST_SECONDS + 600)
@pytest.mark.parametrize("collection_count", [1, 50, 200])
def test_restarts_at_random_moments_lose_nothing_and_say_nothing_untrue(
    make_stack: Callable[[], Stack],
    scale: Scale,
    chance: random.Random,
    seen: Callable[[str], None],
    totals: Counter[str],
    collection_count: int,
) -> None:
    wanted = _WANTED or scale.pick({1: 3, 50: 3}, {1: 100, 50: 80, 200: 40})
    restarts = wanted.get(collection_count, 0)
    if not restarts:
        pytest.skip("200 collections are a part of make chaos")
    stack = make_stack()
    stack.start(*_PARTS)
    wait_until(lambda: _serves(stack), "stack that serves", PATIENCE_SECONDS)
    witness = Witness(stack, create_collections(stack, collection_count), seed=chance.getrandbits(32))
    witness.seed(3)

    end, done = time.monotonic() + _LONGEST_SECONDS, 0
    with witness.running():
        while done < restarts and time.monotonic() < end:
            witness.wait_for_writes(chance.randint(1, 30))
            done += _restart(stack, "qdrant_edge" if chance.random() < 0.7 else "gateway", chance)
        wait_until(lambda: _serves(stack), "stack that serves", PATIENCE_SECONDS)
        witness.wait_for_writes(10)

    lost, returned = witness.losses()
    counted = {
        "processes ended": done,
        "documents acknowledged": len(witness.acknowledged),
        "of them lost": len(lost),
        "deletions acknowledged": len(witness.deleted),
        "of them undone": len(returned),
        "answers silent": len(witness.silent),
    }
    totals.update(counted)
    seen(f"{', '.join(f'{count} {what}' for what, count in counted.items())}; {dict(sorted(witness.outcomes.items()))}")
    assert not witness.silent, witness.silent[:5]
    assert not lost, lost[:5]
    assert not returned, returned[:5]
    witness.assert_documents_are_as_they_were_sent()
