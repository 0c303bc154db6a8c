"""Stacks to break, how hard to break them, and what was seen."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pytest
from e2e.stack import Stack, stacks_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Scale:
    """How long the experiments are: a part of the ordinary tests, or by themselves with `make chaos`."""

    long: bool

    def pick(self, short: _Value, long: _Value) -> _Value:
        """The value for this run."""
        return long if self.long else short


@pytest.fixture(scope="session")
def scale() -> Scale:
    """Short, unless TRIVIUM_CHAOS says `long`."""
    return Scale(os.environ.get("TRIVIUM_CHAOS") == "long")


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The moments at which things break: others at each run, unless TRIVIUM_CHAOS_SEED repeats one."""
    seed = int(os.environ.get("TRIVIUM_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    print(f"{request.node.name}: TRIVIUM_CHAOS_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Notes what an experiment showed."""
    return lambda text: write_report(f"{request.node.name}: {text}")


def write_report(line: str) -> None:
    """Prints what was seen, and adds it to the file that TRIVIUM_CHAOS_REPORT names."""
    print(line)
    if report := os.environ.get("TRIVIUM_CHAOS_REPORT"):
        with open(report, "a", encoding="utf-8") as file:
            file.write(line + "\n")


@pytest.fixture
def make_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Stack]]:
    """Makes stacks that are ended with the test; variables that go before a stack's own may be given by name."""
    yield from stacks_in(lambda: tmp_path_factory.mktemp("chaos"))
