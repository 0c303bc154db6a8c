"""Nothing leaves a narrow window, in either direction of writing; several collections are asked at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Page

QUESTION = "How tall does the grey heron stand, and how tall the crane of the harbour?"
ANSWER = "The heron stands 98 centimetres tall. [1] | of | metres |\n|---|---|\n| the crane | 61 |"
WORD = "Donaudampfschifffahrtsgesellschaftskapitän"
TITLE = "Cranes of the harbour, and the herons that have their nests beside them"
CRANES = (
    f"# Cranes\n\n| Crane | Height in metres | {WORD} |\n|:--|---|--:|\n| of the harbour | 61 | Ann |\n\n"
    "The crane of the harbour stands 61 metres tall, and the grey heron has its nest beside it."
)
WIDTHS = (360, 390, 641, 993)


@pytest.fixture(scope="module")
def cranes(stack: Stack) -> Iterator[str]:
    """A collection beside the default one, with a table that is wider than a phone."""
    stack.http.post("/v1/collections", json={"name": "cranes"}).raise_for_status()
    document = {"id": "harbour/cranes.md", "title": TITLE, "text": CRANES, "uri": "/srv/files/harbour/cranes.md"}
    assert stack.ingest(document, collection="cranes")[0]["status"] == "indexed"
    yield "cranes"
    stack.http.delete("/v1/collections/cranes")


def _open(pages: Pages, width: int, **options: Any) -> Page:
    touch: dict[str, Any] = {"is_mobile": True, "has_touch": True} if width < 640 else {}
    return pages.open(viewport={"width": width, "height": 844}, **touch, **options)


def _ask(page: Page, model: LanguageModel) -> None:
    model.says(ANSWER)
    page.locator("#question").fill(QUESTION)
    page.locator("#send").click()
    expect(page.locator(".trace")).to_be_visible()


def _outside(page: Page) -> list[str]:
    """What is to be seen, and is not within the window from side to side; what scrolls by itself may hold more."""
    found: list[str] = page.evaluate(
        """() => {
          const seen = [...document.querySelectorAll("body *")].filter((one) => {
            const box = one.getBoundingClientRect();
            return box.width > 1 && box.height > 1 && one.checkVisibility()
              && !one.closest(".scroll *, pre *, .skip, .track *, svg *, .source-title *")
              && getComputedStyle(one).position !== "fixed" && (box.left < -1 || box.right > innerWidth + 1);
          }).map((one) => `${one.tagName} ${one.id} ${one.className} leaves the window`);
          const moved = [...document.querySelectorAll(".scroller, .documents, .reader-body, .peek-body")]
            .filter((one) => one.checkVisibility() && (one.scrollLeft || one.scrollWidth > one.clientWidth + 1))
            .map((one) => `${one.className} is ${one.scrollWidth} wide, and shows ${one.clientWidth}`);
          return [...seen, ...moved];
        }"""
    )
    return found


@pytest.mark.parametrize("locale", ["en-US", "ar-EG"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_state_leaves_a_narrow_window(
    pages: Pages, model: LanguageModel, cranes: str, width: int, locale: str
) -> None:
    page = _open(pages, width, locale=locale)
    page.locator("#collection").select_option(cranes)
    _ask(page, model)
    assert _outside(page) == []
    page.locator(".trace summary").click()
    expect(page.locator(".trace .candidates tbody tr").first).to_be_visible()
    page.locator(".request").scroll_into_view_if_needed()
    assert _outside(page) == [], "why"
    for box, content in (("#also", "#also-list li"), ("#filter", "#filter-message"), ("#status", "#status-stages li")):
        page.locator(f"{box} summary").click()
        expect(page.locator(content).first).to_be_visible()
        assert _outside(page) == [], box
        page.locator(f"{box} summary").click()
    page.locator(".cite").first.click()
    expect(page.locator("#reader mark")).to_be_visible()
    assert _outside(page) == [], "a document"
    if width > 992:  # the document lies beside the question, and not over it
        for box in ("#also", "#filter"):
            page.locator(f"{box} summary").click()
            open_, pane = (page.locator(name).bounding_box() for name in (f"{box} .filter-box", "#reader"))
            assert open_, box
            assert pane, box
            assert open_["x"] + open_["width"] <= pane["x"] or pane["x"] + pane["width"] <= open_["x"], box
            page.locator(f"{box} summary").click()
    page.locator("#reader-close").click()
    page.locator("[data-to=documents]").click()
    page.locator(".pick", has_text=cranes).click()
    page.locator("#document-list .open").first.click()
    expect(page.locator("#reader table")).to_be_visible()
    assert _outside(page) == [], "a document with a table"
    lines = """one => {
      const range = document.createRange();
      range.selectNodeContents(one);
      return range.getClientRects().length;
    }"""
    assert page.locator("#reader th", has_text=WORD).evaluate(lines) == 1, "words of a table stay whole"
    page.goto(f"{pages.url}/docs")
    expect(page.locator(".manual h1")).to_be_visible()
    assert _outside(page) == [], "the reference"
    tall = "cells => cells.filter((one) => one.getClientRects().length > 1).map((one) => one.textContent)"
    assert page.locator(".manual td:first-child code").evaluate_all(tall) == [], "names of fields stay whole"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_further_collections_are_asked_along_and_their_sources_say_so(
    pages: Pages, stack: Stack, model: LanguageModel, cranes: str, theme: str
) -> None:
    page = pages.open(color_scheme=theme)
    expect(page.locator("#also")).to_be_visible()
    page.locator("#also summary").click()
    box = page.get_by_role("checkbox", name=cranes)
    barriers = Axe().run(page)
    assert barriers.violations_count == 0, barriers.generate_report()
    box.check()
    expect(page.locator("#also-count")).to_contain_text("1")
    barriers = Axe().run(page)
    assert barriers.violations_count == 0, barriers.generate_report()

    _ask(page, model)

    expect(page.locator(".source-title", has_text="Birds")).to_contain_text("default")
    expect(page.locator(".source-title", has_text="Cranes")).to_contain_text(cranes)
    snippet = page.locator(".source-document", has_text="Cranes").locator(".snippet")
    expect(snippet).to_contain_text(f"Crane · Height in metres · {WORD}")
    expect(snippet).not_to_contain_text("--")
    page.locator(".source-document", has_text="Cranes").locator(".source").click()
    expect(page.locator("#reader")).to_contain_text("61")
    expect(page.locator("#reader-facts")).to_contain_text("harbour/cranes.md")
    expect(page.locator("#reader-facts")).not_to_contain_text("/srv")
    barriers = Axe().run(page)
    assert barriers.violations_count == 0, barriers.generate_report()
    page.locator("#reader-close").click()
    page.locator("#also summary").click()
    box.uncheck()
    page.locator("#question").fill("How tall does the grey heron stand?")
    page.locator("#send").click()
    expect(page.locator(".trace")).to_have_count(2)
    expect(page.locator(".turn").last.locator(".source-title", has_text="Cranes")).to_have_count(0)


def test_arabic_page_runs_from_right_to_left_and_english_in_it_from_left_to_right(
    pages: Pages, model: LanguageModel
) -> None:
    page = pages.open(locale="ar-EG", viewport={"width": 1280, "height": 800})
    _ask(page, model)
    expect(page.locator("html")).to_have_attribute("dir", "rtl")
    barriers = Axe().run(page)
    assert barriers.violations_count == 0, barriers.generate_report()
    place = "one => { const box = one.getBoundingClientRect(); return (box.left + box.right) / 2; }"
    middle = {
        name: page.locator(name).first.evaluate(place) for name in (".brand", ".tools", ".talks", "#conversation")
    }
    assert middle[".brand"] > middle[".tools"]
    assert middle[".talks"] > middle["#conversation"]

    page.locator(".cite").first.click()
    expect(page.locator("#reader mark")).to_be_visible()

    assert page.locator("#reader").evaluate(place) < page.locator("#conversation").evaluate(place)
    direction = "one => getComputedStyle(one).direction"
    for name in (".answer", "#reader .prose", ".snippet"):
        assert page.locator(name).first.evaluate(direction) == "ltr", name
    for name in (".trace", ".sources h3", "#reader-facts", ".waterfall"):
        assert page.locator(name).first.evaluate(direction) == "rtl", name
    barriers = Axe().run(page)
    assert barriers.violations_count == 0, barriers.generate_report()
