"""What is computed of texts that several calls want, and who gets which error."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry
from trivium_model_service.result_cache import CacheMetrics, ResultCache
from trivium_model_service.sharing import SharedResults, Times
from trivium_serving.errors import Overloaded, TooLarge


class Model:
    """Says how long texts are, and refuses those over ten characters by their place."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.may_end = asyncio.Event()

    async def read(self, read_as: str, texts: Sequence[str], deadline: float | None) -> tuple[list[int], Times]:
        self.calls.append(list(texts))
        await self.may_end.wait()
        for index, text in enumerate(texts):
            if len(text) > 10:
                raise TooLarge("It is too long.", field=f"texts[{index}]")
        return [len(text) for text in texts], Times(1, 2, 3)


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def shared(model: Model) -> SharedResults[int]:
    metrics = CacheMetrics("test", CollectorRegistry())
    cache = ResultCache[int](max_bytes=1000, fingerprint="model", size_of=lambda _: 1, metrics=metrics)
    return SharedResults(model.read, cache)


async def test_results_of_equal_texts_at_once_and_later_are_computed_once(
    model: Model, shared: SharedResults[int]
) -> None:
    calls = [asyncio.create_task(shared.get("query", ["a", "bb", "a"], None)) for _ in range(3)]
    await asyncio.sleep(0)
    model.may_end.set()

    assert [await call for call in calls] == [([1, 2, 1], Times(1, 2, 3))] * 3
    assert await shared.get("query", ["bb"], None) == ([2], Times())
    assert model.calls == [["a", "bb"]]
    assert shared.new("query", ["bb", "new", "new"]) == ["new"]
    assert shared.new("document", ["bb"]) == ["bb"]


async def test_results_text_at_fault_beside_shared_ones_is_named_by_its_own_place(
    model: Model, shared: SharedResults[int]
) -> None:
    fine = asyncio.create_task(shared.get("query", ["fine"], None))
    bad = asyncio.create_task(shared.get("query", ["fine", "much too long"], None))
    also_fine = asyncio.create_task(shared.get("query", ["other", "fine"], None))
    await asyncio.sleep(0)
    model.may_end.set()

    with pytest.raises(TooLarge) as refused:
        await bad
    assert refused.value.field == "texts[1]"
    assert (await fine)[0] == [4]
    assert (await also_fine)[0] == [5, 4]


async def test_results_place_is_held_only_for_what_has_to_be_computed(model: Model, shared: SharedResults[int]) -> None:
    admitted: list[list[str]] = []

    @contextmanager
    def no_place(new: Sequence[str]) -> Iterator[None]:
        admitted.append(list(new))
        raise Overloaded("full", retry_after_seconds=1)
        yield

    model.may_end.set()
    await shared.get("query", ["kept"], None)

    assert (await shared.get("query", ["kept"], None, no_place))[0] == [4]
    with pytest.raises(Overloaded):
        await shared.get("query", ["kept", "new"], None, no_place)
    assert admitted == [["new"]]
