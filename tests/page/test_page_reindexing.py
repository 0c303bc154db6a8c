"""A collection gets another index on the page: what it takes, how far it is, what it finds, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from e2e.stack import Stack, wait_until
from page.browser import program
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from page.browser import Pages

_SLOW_MS = 240_000
_ANIMALS = ("heron", "otter", "lynx", "badger", "falcon", "salmon")
_PLACES = ("a frozen canal", "the old brewery", "a chalk quarry", "the north pier")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with two embedding models: the first 128 numbers of each vector, and all of them."""
    program()
    new = Stack(tmp_path_factory.mktemp("new"))
    environ = {
        "TRIVIUM_EMBED_DIMENSION": "128",
        "TRIVIUM_EMBED_LEAST_DIMENSION": "128",
        "TRIVIUM_GATEWAY_EMBED_TARGETS": f"new={new.environ['TRIVIUM_EMBED_LISTEN']}",
    }
    stack = Stack(tmp_path_factory.mktemp("page"), environ)
    new.start("embed")
    stack.start("qdrant_edge", "embed", "gateway")
    try:
        for stage in ("search", "embed", "embed.new"):
            wait_until(lambda stage=stage: stack.stages().get(stage, False), stage, 180)  # type: ignore[misc]
        told = [f"In spring a young {animal} was filmed at {place}." for animal in _ANIMALS for place in _PLACES]
        documents = [{"id": f"story-{number}", "text": text} for number, text in enumerate(told)]
        assert {one["status"] for one in stack.ingest(*documents)} == {"indexed"}
        yield stack
    finally:
        for one in (stack, new):
            one.end()
            one.http.close()


def _described(stack: Stack) -> dict[str, Any]:
    body: dict[str, Any] = stack.http.get("/v1/collections/default").raise_for_status().json()
    return body


@pytest.mark.timeout(900)
def test_collection_gets_another_index_on_the_page_and_goes_back(pages: Pages, stack: Stack) -> None:
    page = pages.open("/#documents", expected=("503", "504"))
    page.get_by_role("button", name="Index of default").click()
    dialog = page.get_by_role("dialog")
    model = dialog.get_by_label("Embedding model of the new index")
    model.select_option("embed")
    dialog.get_by_role("button", name="Estimate").click()
    expect(dialog.get_by_role("status")).to_contain_text("There is nothing to do", timeout=_SLOW_MS)
    model.select_option("new")
    dialog.get_by_role("button", name="Estimate").click()
    expect(dialog.get_by_role("status")).to_contain_text("24 pieces: about 1 min", timeout=_SLOW_MS)
    assert Axe().run(page).response["violations"] == []

    dialog.get_by_role("button", name="Make a new index").click()
    expect(dialog).to_contain_text("Done: this index answers.", timeout=_SLOW_MS)
    expect(dialog).to_contain_text("with 24 questions")
    expect(dialog).to_contain_text("The index before")
    described = _described(stack)
    assert (described["dimension"], described["index_beside"]["role"]) == (384, "previous")

    dialog.get_by_role("button", name="Go back to the index before").click()
    expect(dialog.get_by_role("button", name="Make a new index")).to_be_enabled(timeout=_SLOW_MS)
    described = _described(stack)
    assert (described["dimension"], described["index_beside"]) == (128, None)

    model.select_option("new")
    dialog.get_by_role("button", name="Make a new index").click()
    dialog.get_by_role("button", name="Delete the other index").click(timeout=_SLOW_MS)
    expect(dialog.get_by_role("button", name="Make a new index")).to_be_enabled(timeout=_SLOW_MS)
    described = _described(stack)
    assert (described["dimension"], described["index_beside"]) == (384, None)
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
