"""Stacks for the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e.stack import Stack, stacks_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Makes stacks that are ended with the test; variables that go before a stack's own may be given by name."""
    yield from stacks_in(lambda: tmp_path / "stack")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A ready stack for the tests of a module."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    stack.start()
    try:
        stack.wait_ready()
        yield stack
    finally:
        stack.end()
        stack.http.close()
