"""Stacks for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e.stack import Stack, ready, stacks_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Makes stacks that are ended with the test; variables that go before a stack's own may be given by name."""
    yield from stacks_in(lambda: tmp_path / "stack")


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `stack` empties for each module."""
    with ready(Stack(tmp_path_factory.mktemp("shared"))) as stack:
        yield stack


@pytest.fixture(scope="module")
def stack(shared_stack: Stack) -> Stack:
    """A ready stack without documents, for the tests of a module that leave its processes alone."""
    shared_stack.empty()
    return shared_stack


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A ready stack for the tests of a module that stop its processes, and start them again."""
    with ready(Stack(tmp_path_factory.mktemp("own"))) as stack:
        yield stack
