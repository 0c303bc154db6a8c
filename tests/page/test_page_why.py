"""Why an answer is as it is, and whether it is right, in the browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Page

HERON = "How tall does the grey heron stand?"


def _answered(pages: Pages, model: LanguageModel) -> Page:
    model.says("The grey heron stands 98 centimetres tall. [1]")
    page = pages.open()
    page.get_by_label("Your question").fill(HERON)
    page.keyboard.press("Enter")
    expect(page.locator(".trace")).to_be_visible()
    return page


def _request_id(page: Page) -> str:
    shown = page.locator(".trace .request").text_content()
    assert shown is not None
    return shown.removeprefix("Request ")


def test_answer_opens_to_its_trace_and_says_where_a_document_was_lost(pages: Pages, model: LanguageModel) -> None:
    page = _answered(pages, model)
    page.get_by_text("Why this answer?").click()
    expect(page.locator(".noted tbody")).to_contain_text("candidates")
    expect(page.locator(".candidates tbody tr").first).to_contain_text("guides/birds.md")
    expect(page.locator(".candidates .shown")).not_to_have_count(0)

    for document_id, fate in (("guides/birds.md", "the answer cites it"), ("nowhere.md", "not in the collection")):
        page.get_by_label("A document's id").fill(document_id)
        page.get_by_role("button", name="Where was it lost?").click()
        expect(page.locator(".fate")).to_contain_text(fate)


def test_answer_is_asked_again_with_other_candidates_and_says_what_changes(
    pages: Pages, model: LanguageModel, stack: Stack
) -> None:
    page = _answered(pages, model)
    page.get_by_text("Why this answer?").click()
    again = page.get_by_role("button", name="Ask again with so many")
    page.get_by_label("Candidates", exact=True).fill("200")

    again.click()
    expect(page.locator(".replayed")).to_contain_text("The sources stay as they are")

    later = {
        "id": "guides/heights.md",
        "title": "Heights",
        "text": f"{HERON} The grey heron stands 98 centimetres tall.",
    }
    assert stack.ingest(later)[0]["status"] == "indexed"
    try:
        again.click()
        expect(page.locator(".replayed")).to_contain_text("The sources change")
        expect(page.locator(".replayed tr").filter(has_text="guides/heights.md")).to_contain_text("–1")
    finally:
        stack.http.delete("/v1/documents/guides/heights.md").raise_for_status()


def test_thumbs_and_what_is_right_are_kept(pages: Pages, model: LanguageModel, stack: Stack) -> None:
    page = _answered(pages, model)
    up = page.get_by_role("button", name="The answer is right")
    up.click()
    expect(page.locator(".feedback")).to_contain_text("Kept, thank you.")
    expect(up).to_have_attribute("aria-pressed", "true")

    down = page.get_by_role("button", name="The answer is wrong")
    down.click()
    page.get_by_label("What is right?").fill("98 cm")
    page.get_by_text("Incomplete", exact=True).click()
    page.get_by_text("Name a document, or say more").click()
    page.get_by_label(re.compile("Which document says so")).fill("guides/birds.md")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(down).to_have_attribute("aria-pressed", "true")
    expect(up).to_have_attribute("aria-pressed", "false")

    (said,) = (
        one for one in stack.http.get("/v1/feedback").json()["feedback"] if one["request_id"] == _request_id(page)
    )
    assert (said["rating"], said["answer"], said["document_ids"]) == (-1, "98 cm", ["guides/birds.md"])
    assert said["comment"] == "incomplete"
    assert (said["question"], said["given_answer"]) == (HERON, "The grey heron stands 98 centimetres tall. [1]")
