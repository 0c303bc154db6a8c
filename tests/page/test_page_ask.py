"""Asking in the browser: the answer, its sources, and everything that can come in between."""

from __future__ import annotations

import re
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


def _ask(page: Page, question: str = HERON) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def _marked(page: Page, place: str) -> str:
    """The words that are marked of a document, without what only a screen reader is told."""
    text: str = page.locator(f"{place} mark").evaluate(
        "mark => { const copy = mark.cloneNode(true); copy.querySelector('.unseen').remove(); return copy.textContent }"
    )
    return _words(text)


def _words(text: str) -> str:
    """A text without what Markdown shows otherwise than it is written."""
    return re.sub(r"[\s#]+", "", text)


def test_answer_streams_and_a_citation_shows_its_passage_in_the_document(
    pages: Pages, model: LanguageModel, stack: Stack
) -> None:
    model.says("The grey heron 🐦 stands 98 centimetres tall. [1]", " That is **much**. [1]\n\n- one\n- two")
    best = stack.http.post("/v1/retrieve", json={"query": HERON}).json()["passages"][0]
    assert best["span"]["start"] > 100, "the passage is to stand behind characters that UTF-16 counts twice"
    page = pages.open()
    with model.held():
        _ask(page)
        expect(page.locator(".answer")).to_contain_text("98 centimetres")
        assert page.locator(".turn").get_attribute("aria-busy") == "true"
        assert "98 centimetres" not in page.locator("#live").inner_text(), "not letter by letter to a screen reader"
        page.locator(".cite").first.hover()
        expect(page.locator("#peek")).to_be_visible()
    expect(page.locator(".trace")).to_be_visible()
    expect(page.locator("#live")).to_contain_text("98 centimetres")
    expect(page.locator(".answer strong")).to_have_text("much")
    expect(page.locator(".answer li")).to_have_count(2)
    expect(page.locator(".source.cited")).to_have_count(1)

    expect(page.locator("#peek mark")).to_be_visible()  # the citation is the same element while the answer grows
    expect(page.locator("#peek .text")).to_contain_text("Gulls")  # around the passage, its document
    assert _words(best["text"]) in _marked(page, "#peek"), "blocks are marked whole"
    page.locator(".cite").first.click()
    expect(page.locator("#reader mark")).to_be_in_viewport()
    assert _words(best["text"]) in _marked(page, "#reader")
    expect(page.locator("#reader .quote")).to_have_text("The grey heron 🐦 stands 98 centimetres tall.")
    expect(page.locator("#reader-facts a")).to_have_attribute("rel", "noopener noreferrer")

    page.set_viewport_size({"width": 1024, "height": 700})
    assert page.locator(".ask *").evaluate_all(
        "all => all.every(one => one.getBoundingClientRect().right <= document.querySelector('#reader').offsetLeft + 1)"
    ), "nothing of the answer lies below the document beside it"

    page.locator(".trace summary").click()
    times = page.locator(".trace table.waterfall")
    expect(times.get_by_role("row", name=re.compile("^(Embed|Search|Rerank|Write|Total)"))).to_have_count(5)
    assert page.locator(".bar").count() == 8


def test_keyboard_alone_asks_reads_a_source_and_returns(pages: Pages, model: LanguageModel) -> None:
    model.says("Ninety-eight centimetres [1].")
    page = pages.open()
    page.locator("body").press("Tab")
    page.evaluate("document.activeElement.blur()")
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("How tall does")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("the grey heron stand?")
    assert page.get_by_label("Your question").input_value() == "How tall does\nthe grey heron stand?"
    page.keyboard.press("Enter")
    expect(page.locator(".trace")).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.matches('.cite')"):
            break
    expect(page.locator("#peek")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#peek")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#reader mark")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#reader")).to_be_hidden()
    expect(page.locator(".cite")).to_be_focused()


def test_followup_sends_the_conversation_and_a_new_one_forgets_it(pages: Pages, model: LanguageModel) -> None:
    model.says("It stands 98 centimetres tall [1].")
    page = pages.open()
    _ask(page)
    expect(page.locator(".trace")).to_have_count(1)
    _ask(page, "And what does it eat?")
    expect(page.locator(".trace")).to_have_count(2)
    assert HERON in str(model.requests[-1]["messages"][:-1])
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)
    _ask(page, "What do gulls do?")
    expect(page.locator(".trace")).to_have_count(1)
    assert HERON not in str(model.requests[-1]["messages"])


def test_stopped_answer_says_so_and_can_be_asked_again(pages: Pages, model: LanguageModel, stack: Stack) -> None:
    model.says("It stands ", "98 centimetres tall [1].")
    page = pages.open()
    with model.held():
        _ask(page)
        expect(page.locator(".answer")).to_contain_text("It stands")
        expect(page.get_by_role("button", name="Stop")).to_be_enabled()
        page.keyboard.press("Escape")
        expect(page.get_by_role("heading", name="Stopped. What stands above is not the whole answer.")).to_be_visible()
        wait_idle(stack)  # though the model has not gone on: leaving cancels the work in all services
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".answer")).to_contain_text("98 centimetres")


def test_more_questions_than_the_gateway_takes_are_told_when_to_come_back(
    pages: Pages, model: LanguageModel, stack: Stack
) -> None:
    model.says("It stands ", "98 centimetres tall [1].")
    page = pages.open(expected=("429",))
    with (
        model.held(),
        stack.http.stream("POST", "/v1/answer", json={"question": HERON, "stream": True}) as other,
    ):
        lines = other.iter_lines()
        assert next(lines)
        _ask(page)
        expect(page.get_by_role("heading", name="Too many questions at once")).to_be_visible()
        expect(page.locator(".notice.bad")).to_contain_text(re.compile(r"Wait \d+ s"))


def test_failing_language_model_is_named_beside_the_answer(pages: Pages, model: LanguageModel) -> None:
    model.says("Never.")
    model.fails = True
    page = pages.open()
    _ask(page)

    expect(page.get_by_role("heading", name="Answered by the next best means")).to_be_visible()
    expect(page.locator(".notice.warn")).to_contain_text("these are the documents' own sentences")
    expect(page.locator(".answer")).to_contain_text("98 centimetres")


def test_question_without_evidence_is_refused_plainly(pages: Pages, stack: Stack) -> None:
    stack.http.post("/v1/collections", json={"name": "nothing"}).raise_for_status()
    page = pages.open()
    page.locator("#collection").select_option("nothing")
    _ask(page)

    expect(page.get_by_role("heading", name="Not in your documents")).to_be_visible()
    page.locator(".notice").get_by_role("button", name="Add documents").click()
    expect(page.get_by_role("heading", name="Documents", exact=True)).to_be_visible()


@pytest.mark.parametrize("mode", ["extractive", "model"])
def test_mode_decides_who_writes(pages: Pages, model: LanguageModel, mode: str) -> None:
    model.says("The model wrote this [1].")
    page = pages.open()
    page.get_by_label("How to answer").select_option(mode)
    _ask(page)

    expect(page.locator(".answer")).to_contain_text("model wrote" if mode == "model" else "98 centimetres")
    expect(page.locator(".trace summary")).to_contain_text("told" if mode == "model" else "extractive")


def test_lost_connection_is_told_from_an_answer(pages: Pages, model: LanguageModel, stack: Stack) -> None:
    model.says("It stands ", "98 centimetres tall [1].")
    page = pages.open(expected=("ERR_", "503"))
    try:
        with model.held():
            _ask(page)
            expect(page.locator(".answer")).to_contain_text("It stands")
            stack.end("gateway")
            expect(page.get_by_role("heading", name="The answer broke off")).to_be_visible()
        expect(page.locator(".turn")).to_contain_text("not the whole answer")
        page.get_by_role("button", name="Ask again").click()
        expect(page.get_by_role("heading", name="The gateway cannot be reached")).to_be_visible()
        expect(page.locator("#status")).to_contain_text("Unreachable")
    finally:
        stack.start("gateway")
        stack.wait_ready()
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".answer")).to_contain_text("98 centimetres")
