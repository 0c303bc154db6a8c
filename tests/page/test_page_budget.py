"""What the page may cost: bytes, requests before it shows, movement while it is read, barriers in any state."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

if TYPE_CHECKING:
    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Page

MOST_BYTES = 150_000
MOST_SHIFT = 0.01  # of the window's height and width; 0.1 is called good
HERON = "How tall does the grey heron stand?"
LINE = "The grey heron stands 98 centimetres tall, and it feeds mostly on fish and frogs. [1]\n\n"


def _ask(page: Page, question: str = HERON) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_first_visit_takes_few_bytes(stack: Stack) -> None:
    page = stack.http.get("/")
    names = set(re.findall(r'(?:href|src)="(page/[^"]+)"', page.text))
    sizes = {name: stack.http.get(f"/{name}").num_bytes_downloaded for name in names}
    assert sum(sizes.values()) + page.num_bytes_downloaded < MOST_BYTES, sizes


def test_page_shows_itself_before_any_call_has_been_answered(pages: Pages) -> None:
    page = pages.open(expected=("ERR_FAILED", "Service Worker"), service_workers="block")
    page.route(re.compile("/v1/|/readyz"), lambda route: route.abort())
    page.reload()
    page.wait_for_selector("html[data-started]")
    expect(page.get_by_label("Your question")).to_be_visible()
    expect(page.locator(".greeting")).to_be_visible()
    expect(page.get_by_role("link", name="Documents")).to_be_visible()


def test_nothing_moves_while_an_answer_is_written(pages: Pages, model: LanguageModel) -> None:
    model.says(LINE * 2, LINE * 20)
    page = pages.open(viewport={"width": 1280, "height": 800})
    with model.held():
        _ask(page)
        expect(page.locator(".answer > p")).to_have_count(2)
        page.evaluate(
            """() => {
              window.shift = 0;
              new PerformanceObserver((list) => {
                for (const one of list.getEntries()) window.shift += one.value;
              }).observe({ type: "layout-shift" });
            }"""
        )
    expect(page.locator(".trace")).to_be_visible()
    expect(page.locator(".answer > p")).to_have_count(22)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.shift") < MOST_SHIFT


def _assert_no_barrier(page: Page, state: str) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, f"{state}: {found.generate_report()}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_state_of_asking_has_a_barrier(pages: Pages, model: LanguageModel, theme: str) -> None:
    page = pages.open(color_scheme=theme)
    expect(page.locator("#welcome-starters button").first).to_be_visible()
    _assert_no_barrier(page, "welcome")
    model.says(
        "It stands 98 cm [1].\n\n> said\n\n1. one\n   - two\n\n```sh\nmake\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        " [a](https://a.example/) $x_1$",
    )
    with model.held():
        _ask(page)
        expect(page.locator(".answer")).to_contain_text("98 cm")
        _assert_no_barrier(page, "an answer that is being written")
    expect(page.locator(".trace")).to_be_visible()
    page.get_by_role("button", name="The answer is wrong").click()
    page.get_by_text("Name a document, or say more").click()
    page.locator("#filter summary").click()
    expect(page.locator("#filter-message")).not_to_contain_text("Looking")
    _assert_no_barrier(page, "an answer with everything open")
    page.keyboard.press("Escape")
    page.locator(".asked").hover()
    page.get_by_role("button", name="Edit the question").click()
    _assert_no_barrier(page, "a question that is changed")
    page.keyboard.press("Escape")
    page.locator(".talk").hover()
    page.get_by_role("button", name=f"Delete {HERON}").click()
    _assert_no_barrier(page, "a dialog")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_state_of_documents_and_of_the_reference_has_a_barrier(pages: Pages, theme: str) -> None:
    page = pages.open("/#documents", color_scheme=theme)
    page.locator("#document-list input").first.check()
    page.locator("#add > summary").click()
    _assert_no_barrier(page, "documents that are selected")
    page.locator("#document-list .open").first.click()
    expect(page.locator("#reader .text")).to_be_visible()
    _assert_no_barrier(page, "an open document")
    page.goto(page.url.split("#")[0] + "docs")
    _assert_no_barrier(page, "the reference")
    assert page.evaluate("[...document.querySelectorAll('th code')].every((one) => one.getClientRects().length === 1)")


def test_no_state_on_a_phone_has_a_barrier(pages: Pages, model: LanguageModel) -> None:
    model.says("It stands 98 centimetres tall. [1]")
    page = pages.open(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    _ask(page)
    expect(page.locator(".trace")).to_be_visible()
    _assert_no_barrier(page, "an answer")
    page.get_by_role("button", name="Show or hide the conversations").tap()
    expect(page.locator(".talk")).to_be_visible()
    _assert_no_barrier(page, "the conversations")
