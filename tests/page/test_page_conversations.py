"""Conversations are kept by the browser: found again, renamed, deleted, written out, linked to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from page.browser import wait_idle
from playwright.sync_api import expect

if TYPE_CHECKING:
    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Page

HERON = "How tall does the grey heron stand?"
GULLS = "Are gulls afraid of people?"
KEEPS_NOTHING = {
    "without a database": "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); }",
    "full": "IDBObjectStore.prototype.put = () => { throw new DOMException('full', 'QuotaExceededError'); }",
}


def _ask(page: Page, question: str) -> None:
    count = page.locator(".trace").count()
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".trace")).to_have_count(count + 1)


def _two_conversations(pages: Pages, model: LanguageModel) -> Page:
    model.says("It stands 98 centimetres tall. [1]")
    page = pages.open()
    _ask(page, HERON)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)
    model.says("They are not. [1]")
    _ask(page, GULLS)
    expect(page.locator(".talk")).to_have_count(2)
    return page


def _reload(page: Page) -> None:
    page.reload()
    page.wait_for_selector("html[data-started]")


def test_reload_loses_nothing_and_the_conversation_goes_on(pages: Pages, model: LanguageModel) -> None:
    model.says("It stands 98 centimetres tall. [1]")
    page = pages.open()
    _ask(page, HERON)
    before = page.locator(".turn").inner_text()
    _reload(page)
    expect(page.locator(".trace")).to_have_count(1)
    assert page.locator(".turn").inner_text() == before
    page.locator(".cite").click()
    expect(page.locator("#reader mark")).to_be_visible()
    _ask(page, "And what does it eat?")
    assert HERON in str(model.requests[-1]["messages"][:-1])


def test_reload_in_the_middle_of_an_answer_says_so_and_asks_again(
    pages: Pages, model: LanguageModel, stack: Stack
) -> None:
    model.says("It stands ", "98 centimetres tall. [1]")
    page = pages.open()
    with model.held():
        page.get_by_label("Your question").fill(HERON)
        page.keyboard.press("Enter")
        expect(page.locator(".answer")).to_contain_text("It stands")
        expect(page.locator(".talk")).to_have_count(1)
        _reload(page)
        expect(page.get_by_role("heading", name="The answer broke off")).to_be_visible()
        wait_idle(stack)  # until then the gateway, which takes one question at a time here, is at the one that was left
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".answer")).to_contain_text("98 centimetres")


@pytest.mark.parametrize("browser_is", KEEPS_NOTHING)
def test_browser_that_keeps_nothing_holds_conversations_until_the_page_is_left(
    pages: Pages, model: LanguageModel, browser_is: str
) -> None:
    model.says("It stands 98 centimetres tall. [1]")
    page = pages.open()
    page.add_init_script(KEEPS_NOTHING[browser_is])
    _reload(page)
    _ask(page, HERON)
    _ask(page, "And what does it eat?")
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator(".talk")).to_have_text([HERON])
    page.locator(".talk").click()
    expect(page.locator(".question")).to_have_text([HERON, "And what does it eat?"])


def test_conversations_are_found_renamed_and_deleted(pages: Pages, model: LanguageModel) -> None:
    page = _two_conversations(pages, model)
    expect(page.locator(".talk").first).to_have_text(GULLS)
    page.get_by_label("Search conversations").fill("98 centimetres")
    expect(page.locator(".talk")).to_have_text([HERON])
    page.get_by_label("Search conversations").fill("nowhere said")
    expect(page.locator(".talk-list")).to_contain_text("No conversation has these words")
    page.get_by_label("Search conversations").fill("")

    page.locator(".talk", has_text=HERON).hover()
    page.get_by_role("button", name=f"Rename {HERON}").click()
    page.get_by_label("Title of the conversation").fill("The heron's size")
    page.keyboard.press("Enter")
    expect(page.locator(".talk")).to_have_text([GULLS, "The heron's size"])
    page.locator(".talk", has_text="The heron's size").click()
    expect(page.locator(".question")).to_have_text(HERON)

    page.get_by_role("button", name="Delete The heron's size").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".talk")).to_have_text([GULLS])
    expect(page.locator(".turn")).to_have_count(0)
    _reload(page)
    expect(page.locator(".talk")).to_have_text([GULLS])
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".talk")).to_have_count(0)


def test_conversation_is_written_out_as_markdown(pages: Pages, model: LanguageModel) -> None:
    page = _two_conversations(pages, model)
    page.locator(".talk", has_text=HERON).hover()
    with page.expect_download() as downloading:
        page.get_by_role("button", name=f"Save {HERON} as Markdown").click()
    assert downloading.value.suggested_filename.endswith(".md")
    text = Path(downloading.value.path()).read_text()
    assert text.startswith(f"# {HERON}\n\n## {HERON}\n\nIt stands 98 centimetres tall. [1]\n\n[1] Birds")


def test_links_lead_to_a_conversation_an_answer_and_an_open_document(pages: Pages, model: LanguageModel) -> None:
    model.says("It stands 98 centimetres tall. [1]")
    page = pages.open(permissions=["clipboard-read", "clipboard-write"])
    _ask(page, HERON)
    for question in ("And what does it eat?", "And its voice?", "And its nest?"):
        _ask(page, question)
    page.get_by_role("button", name="Copy a link to this answer").nth(1).click()
    expect(page.locator("#live")).to_have_text("Copied.")
    answer_link = page.evaluate("navigator.clipboard.readText()")
    page.locator(".cite").first.click()
    expect(page.locator("#reader mark")).to_be_visible()
    marked = page.locator("#reader mark").inner_text()
    page.get_by_role("button", name="Copy a link to this place in the document").click()
    expect(page.locator("#live")).to_have_text("Copied.")
    place_link = page.evaluate("navigator.clipboard.readText()")

    page.goto("about:blank")
    page.goto(answer_link)
    expect(page.locator(".question").nth(1)).to_be_in_viewport()
    expect(page.locator(".question")).to_have_count(4)
    expect(page.locator("#reader")).to_be_hidden()
    elsewhere = pages.open("/#" + place_link.split("#", 1)[1], expected=("404",))
    expect(elsewhere.locator("#reader mark")).to_be_visible()
    assert elsewhere.locator("#reader mark").inner_text() == marked
    expect(elsewhere.locator("#conversation")).to_contain_text("not kept in this browser")


def test_back_and_forward_go_between_conversations_documents_and_views(pages: Pages, model: LanguageModel) -> None:
    page = _two_conversations(pages, model)
    page.locator(".cite").click()
    expect(page.locator("#reader mark")).to_be_visible()
    page.go_back()
    expect(page.locator("#reader")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#reader mark")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#reader")).to_be_hidden()
    page.get_by_role("link", name="Documents").click()
    expect(page.get_by_role("heading", name="Documents", exact=True)).to_be_visible()
    page.go_back()
    expect(page.locator(".question")).to_have_text(GULLS)
    page.locator(".talk", has_text=HERON).click()
    expect(page.locator(".question")).to_have_text(HERON)
    page.go_back()
    expect(page.locator(".question")).to_have_text(GULLS)


@pytest.mark.timeout(600)
def test_page_and_its_conversations_open_without_the_gateway(pages: Pages, model: LanguageModel, stack: Stack) -> None:
    model.says("It stands 98 centimetres tall. [1]")
    page = pages.open(expected=("ERR_",))
    _ask(page, HERON)
    page.evaluate("async () => { await navigator.serviceWorker.ready; }")
    stack.end("gateway")
    try:
        _reload(page)
        expect(page.locator(".question")).to_have_text(HERON)
        expect(page.locator(".answer")).to_contain_text("98 centimetres")
        expect(page.locator("#status")).to_contain_text("Unreachable")
    finally:
        stack.start("gateway")
        stack.wait_ready()


def test_only_so_many_conversations_are_kept_the_latest(pages: Pages) -> None:
    page = pages.open()
    source = page.locator("script[type=module]").get_attribute("src") or ""
    titles = page.evaluate(
        """async path => {
          const { newConversation, save, found } = await import(path);
          const turns = [{ question: "?", collection: "default", text: "", citations: [], passages: [] }];
          for (let at = 0; at < 203; at += 1) await save({ ...newConversation(), title: `${at}`, turns });
          const many = (await found()).map(({ title }) => title);
          const large = [{ ...turns[0], text: "x".repeat(16_000_000) }];
          for (const title of ["large 1", "large 2"]) await save({ ...newConversation(), title, turns: large });
          return { many, large: (await found()).map(({ title }) => title) };
        }""",
        "/" + source.replace("app.js", "conversations.js"),
    )
    assert len(titles["many"]) == 200
    assert {"0", "1", "2"}.isdisjoint(titles["many"])
    assert titles["large"] == ["large 2"]


def test_conversations_lie_over_the_page_on_a_phone(pages: Pages, model: LanguageModel) -> None:
    model.says("It stands 98 centimetres tall. [1]")
    page = pages.open(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    _ask(page, HERON)
    expect(page.locator(".talk")).to_be_hidden()
    page.get_by_role("button", name="Show or hide the conversations").tap()
    expect(page.locator(".talk")).to_have_text(re.compile("heron"))
    page.keyboard.press("Escape")
    expect(page.locator(".talk")).to_be_hidden()
    page.get_by_role("button", name="Show or hide the conversations").tap()
    page.locator(".talk").tap()
    expect(page.locator(".talk")).to_be_hidden()
    expect(page.locator(".answer")).to_be_in_viewport()
