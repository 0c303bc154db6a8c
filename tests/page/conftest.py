"""The page in a real browser, on a real stack with a language model that says what a test wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e.stack import Stack, ready
from page.browser import Pages, program, running_browser, wait_idle
from page.language_model import LanguageModel, running_language_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

BIRDS = (
    "# 🦩 Birds 鸟类\n\n"
    + "🦜🦜🦜 Parrots 鹦鹉 are loud, and they live long. They like nuts, and they like company. " * 12
    + "\n\n## The heron 苍鹭\n\n"
    + "The grey heron 🐦 stands 98 centimetres tall. It feeds mostly on fish and frogs.\n\n"
    + "## Gulls\n\n"
    + "Gulls 🌊 are common at the coast, and they are not afraid of people at all. " * 12
)
DOCUMENTS = (
    {"id": "guides/birds.md", "title": "Birds 🦩", "text": BIRDS, "uri": "https://example.org/birds"},
    {"id": "zh/茶", "title": "龙井茶", "text": "龙井茶产于杭州。冲泡龙井茶的水温以八十度为宜。"},
)


@pytest.fixture(scope="session")
def model() -> Iterator[LanguageModel]:
    """The language model of the stack."""
    program()
    with running_language_model() as running:
        yield running


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, model: LanguageModel) -> Iterator[Stack]:
    """A stack that takes one question at a time."""
    environ = {
        "TRIVIUM_GATEWAY_MAX_QUESTIONS": "1",
        "TRIVIUM_GENERATE_BACKEND": "openai",
        "TRIVIUM_GENERATE_MODEL": "told",
        "TRIVIUM_GENERATE_API_URL": model.url,
        "TRIVIUM_GENERATE_API_KEY": "key",
    }
    with ready(Stack(tmp_path_factory.mktemp("page"), environ)) as stack:
        assert {result["status"] for result in stack.ingest(*DOCUMENTS)} == {"indexed"}
        yield stack


@pytest.fixture(scope="module")
def browser(stack: Stack) -> Iterator[Browser]:
    """One per module: while it runs, no other test of this process can run an event loop."""
    with running_browser() as browser:
        yield browser


@pytest.fixture
def pages(browser: Browser, stack: Stack) -> Iterator[Pages]:
    """Opens pages that must not complain, show a dialog, or reach for anything beyond the gateway."""
    wait_idle(stack)
    pages = Pages(browser, str(stack.http.base_url).rstrip("/"))
    yield pages
    pages.close()
