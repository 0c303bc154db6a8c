"""Who asks is said at the door and handed on: whoever forgets it does not get past the type checker."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from trivium_gateway.access.guard import Guard
from trivium_gateway.answering.plan import Search
from trivium_gateway.answering.question import Question
from trivium_gateway.gateway import Library, Questions
from trivium_gateway.ingestion.ingester import Ingester
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.documents import Documents
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.request.metrics import QuestionMetrics
from trivium_gateway.surfaces.door import let_in, principal
from trivium_serving.request_context import tenant

_WHO = ("principal", "tenant", "reader")


@pytest.mark.parametrize(
    "owner",
    [Question, Search, Questions, Library, Ingester, ChunkStore, Collections, Documents, ChunkSearch, QuestionMetrics],
)
def test_who_asks_has_a_default_nowhere(owner: type[Any]) -> None:
    named = [
        parameter
        for name, member in inspect.getmembers(owner, callable)
        if name == "__init__" or not name.startswith("__")
        for parameter in inspect.signature(member).parameters.values()
        if parameter.name in _WHO
    ]

    assert named
    assert [one for one in named if one.default is not inspect.Parameter.empty] == []


async def test_principal_is_known_behind_the_door_only() -> None:
    async def behind() -> str:
        let_in(Guard(), {})
        return principal().tenant

    with pytest.raises(LookupError):
        principal()
    assert await asyncio.create_task(behind()) == "default"
    assert tenant() == ""
    with pytest.raises(LookupError):
        principal()
