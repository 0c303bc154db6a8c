"""An answer on the page: it comes first, then what it rests on, and what can be done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Page

QUESTION = "How tall does the crane stand?"
CRANES = (
    {
        "id": "cranes/common.md",
        "title": "The common crane",
        "text": "# The common crane\n\n## Size\n\nThe common crane stands 115 centimetres tall.\n\n## Voice\n\n"
        + "The common crane trumpets over the moor in spring. " * 20,
    },
    *(
        {"id": f"cranes/{name}.md", "title": f"The {name} crane", "text": f"The {name} crane stands {size} cm tall."}
        for name, size in (("sandhill", 120), ("hooded", 100), ("whooping", 150))
    ),
)


@pytest.fixture(scope="module")
def cranes(stack: Stack) -> Iterator[str]:
    """A collection of four documents."""
    stack.http.post("/v1/collections", json={"name": "cranes"}).raise_for_status()
    stack.ingest(*CRANES, collection="cranes")
    yield "cranes"
    stack.http.delete("/v1/collections/cranes")


def _ask(page: Page, collection: str, question: str = QUESTION) -> None:
    page.locator("#collection").select_option(collection)
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".trace").last).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0)


def test_sources_are_grouped_by_document_two_at_once_and_the_rest_on_request(
    pages: Pages, model: LanguageModel, cranes: str
) -> None:
    model.says("It stands 115 centimetres tall. [1]")
    page = pages.open()
    _ask(page, cranes)
    titles = page.locator(".source-title")
    expect(titles.filter(visible=True)).to_have_count(2)
    expect(page.locator(".source.cited")).to_have_count(1)
    expect(page.locator(".source-document").first.locator(".source.cited")).to_have_count(1)
    trust = page.locator(".source.cited .trust")
    expect(trust).to_contain_text("%")
    title = page.locator(".source-document", has=page.locator(".source.cited")).locator(".source-title").inner_text()
    assert page.locator(".source.cited").get_attribute("aria-label") == f"Source 1: {title}", "and no more"

    page.locator(".more-sources").click()
    expect(titles.filter(visible=True)).to_have_count(4)
    assert len(set(titles.all_inner_texts())) == 4, "each document once"
    expect(page.locator(".source:focus")).to_have_count(1)
    expect(page.locator(".more-sources")).to_have_count(0)


def test_answer_is_the_loudest_thing_of_its_turn(pages: Pages, model: LanguageModel, cranes: str) -> None:
    model.says("It stands 115 centimetres tall. [1]")
    page = pages.open()
    _ask(page, cranes)
    found = page.evaluate(
        """() => {
          const size = (one) => parseFloat(getComputedStyle(one).fontSize);
          const [turn, answer] = [document.querySelector(".turn"), document.querySelector(".answer")];
          const words = [...turn.querySelectorAll("*")].filter((one) => !answer.contains(one) && one.innerText?.trim());
          const top = (selector) => turn.querySelector(selector).getBoundingClientRect().top;
          return {
            answer: size(answer), others: Math.max(...words.map(size)),
            order: [".question", ".answer", ".actions", ".sources", ".trace"].map(top),
          };
        }"""
    )
    assert found["answer"] > found["others"]
    assert found["order"] == sorted(found["order"])
    expect(page.locator(".actions .trust")).to_contain_text("supported")
    expect(page.locator(".meter")).to_have_count(0)


def test_refused_question_shows_why_and_the_nearest_passages(pages: Pages, stack: Stack, cranes: str) -> None:
    stack.http.patch(f"/v1/collections/{cranes}", json={"settings": {"refusal": "refuse"}}).raise_for_status()
    page = pages.open()
    _ask(page, cranes, "Which tax does a bakery in Lisbon pay on exported bread?")
    expect(page.get_by_role("heading", name="Not in your documents")).to_be_visible()
    expect(page.locator(".notice")).to_contain_text("hardly about what you asked")
    expect(page.get_by_role("heading", name="Nearest passages")).to_be_visible()
    expect(page.locator(".source").first).to_be_visible()
    expect(page.locator(".source.cited")).to_have_count(0)
    stack.http.patch(f"/v1/collections/{cranes}", json={"settings": {"refusal": None}}).raise_for_status()


def test_answer_is_copied_with_the_sources_that_it_cites(pages: Pages, model: LanguageModel, cranes: str) -> None:
    model.says("It stands **115 centimetres** tall. [1]")
    page = pages.open(permissions=["clipboard-read", "clipboard-write"])
    _ask(page, cranes)
    page.get_by_role("button", name="Copy the answer with its sources").click()
    expect(page.locator("#live")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    title = page.locator(".source-document", has=page.locator(".source.cited")).locator(".source-title").inner_text()
    assert copied.startswith(f"It stands **115 centimetres** tall. [1]\n\n[1] {title}")
    assert "[2]" not in copied


def test_question_is_changed_and_asked_again_in_its_place(pages: Pages, model: LanguageModel, cranes: str) -> None:
    model.says("It stands 115 centimetres tall. [1]")
    page = pages.open()
    _ask(page, cranes)
    _ask(page, cranes, "And what of its voice?")
    expect(page.locator(".turn")).to_have_count(2)
    page.locator(".asked").first.hover()
    page.get_by_role("button", name="Edit the question").first.click()
    field = page.locator(".edit-form textarea")
    expect(field).to_have_value(QUESTION)
    field.press("Escape")
    expect(page.locator(".question")).to_have_count(2)

    page.get_by_role("button", name="Edit the question").first.click()
    field.fill("How tall does the hooded crane stand?")
    model.says("It stands 100 centimetres tall. [1]")
    field.press("Enter")
    expect(page.locator(".answer")).to_contain_text("100 centimetres")
    expect(page.locator(".question")).to_have_text(["How tall does the hooded crane stand?"])
    assert QUESTION not in str(model.requests[-1]["messages"])


def test_answer_is_written_again_where_it_stands(pages: Pages, model: LanguageModel, cranes: str) -> None:
    model.says("It stands 115 centimetres tall. [1]")
    page = pages.open()
    _ask(page, cranes)
    model.says("One metre fifteen. [1]")
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator(".answer")).to_contain_text("One metre fifteen")
    expect(page.locator(".turn")).to_have_count(1)


def test_related_question_comes_from_the_documents_and_is_asked(
    pages: Pages, model: LanguageModel, cranes: str
) -> None:
    model.says("It stands 115 centimetres tall. [1]")
    page = pages.open()
    _ask(page, cranes)
    chip = page.locator(".related .chip").first
    expect(chip).to_be_visible()
    question = chip.inner_text()
    assert any(one["title"] in question for one in CRANES)
    chip.click()
    expect(page.locator(".question").last).to_have_text(question)
    expect(page.locator(".trace")).to_have_count(2)


def test_question_to_begin_with_comes_from_the_documents_and_is_asked(pages: Pages, model: LanguageModel) -> None:
    model.says("It stands 98 centimetres tall. [1]")
    page = pages.open()
    starter = page.locator("#welcome-starters button").first
    expect(starter).to_be_visible()
    question = starter.inner_text()
    assert "“" in question
    starter.click()
    expect(page.locator(".question")).to_have_text(question)
    expect(page.locator(".trace")).to_be_visible()
    expect(page.locator("#welcome")).to_be_hidden()


def test_collection_without_documents_has_no_question_to_begin_with(pages: Pages, stack: Stack) -> None:
    stack.http.post("/v1/collections", json={"name": "bare"})
    page = pages.open()
    expect(page.locator("#welcome-starters")).to_be_visible()
    page.locator("#collection").select_option("bare")
    expect(page.locator("#welcome-empty")).to_be_visible()
    expect(page.locator("#welcome-starters")).to_be_hidden()
    page.locator("#collection").select_option("default")
    expect(page.locator("#welcome-starters")).to_be_visible()
