"""The list of documents: found, sorted, filtered, deleted many at once, and long; and a document as it is meant."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Locator, Page, Route

TABLE = (
    "# Prices\n\nAll prices hold from May.\n\n| Tool | Price |\n|---|---|\n| Hammer | 12 euros |\n| Saw | 19 euros |\n"
)
SHELF = (
    {"id": "shop/prices.md", "title": "Prices", "text": TABLE, "metadata": {"date": "2026-05-01"}},
    {"id": "shop/notes.txt", "title": "Notes", "text": "# no heading\n\nThe anvil costs 90 euros.", "metadata": {}},
    {"id": "shop/old/archive.md", "title": "Archive", "text": "Old prices. " * 60, "metadata": {"date": "2019-01-02"}},
    {"id": "shop/10.html", "title": "Ten", "text": "Ten nails.", "metadata": {"date": "2024-03-04"}},
)


@pytest.fixture
def shop(stack: Stack) -> Iterator[str]:
    """A collection of four documents."""
    stack.http.post("/v1/collections", json={"name": "shop"}).raise_for_status()
    stack.ingest(*SHELF, collection="shop")
    yield "shop"
    stack.http.delete("/v1/collections/shop")


def _open(pages: Pages, collection: str, expected: tuple[str, ...] = ()) -> Page:
    page = pages.open("/#documents", expected=expected)
    page.locator(".pick", has_text=collection).click()
    return page


def _kind(page: Page) -> Locator:
    return page.get_by_role("combobox", name="Type", exact=True)


def test_documents_are_found_sorted_and_filtered(pages: Pages, shop: str) -> None:
    page = _open(pages, shop)
    names = page.locator("#document-list .name")
    expect(names).to_have_text(["Archive", "Notes", "Prices", "Ten"])
    expect(page.locator("#document-count")).to_have_text("4 documents")
    expect(page.locator("#add")).not_to_have_attribute("open", "")

    page.get_by_label("Find by title, path or text").fill("OLD")
    expect(names).to_have_text(["Archive"])
    expect(page.locator("#document-count")).to_have_text("1 of 4 documents")
    page.get_by_label("Find by title, path or text").fill("")
    page.get_by_label("Sort by").select_option("date")
    expect(names).to_have_text(["Prices", "Ten", "Archive", "Notes"])
    page.get_by_label("From", exact=True).fill("2020-01-01")
    expect(names).to_have_text(["Prices", "Ten"])
    page.get_by_label("to", exact=True).fill("2025-12-31")
    expect(names).to_have_text(["Ten"])
    page.get_by_label("From", exact=True).fill("")
    page.get_by_label("to", exact=True).fill("")
    _kind(page).select_option("md")
    page.get_by_label("Sort by").select_option("size")
    expect(names).to_have_text(["Archive", "Prices"])


def test_documents_are_found_by_their_text_with_the_words_around(pages: Pages, shop: str) -> None:
    page = _open(pages, shop, expected=("429",))  # the stack takes one question at a time
    names = page.locator("#document-list .name")
    expect(names).to_have_count(4)
    page.get_by_label("Find by title, path or text").fill("anvil 90")
    expect(names).to_have_text(["Notes"])
    expect(page.locator(".in-text")).to_have_text("no heading The anvil costs 90 euros.")
    page.get_by_label("Find by title, path or text").fill("prices")
    expect(names).to_have_text(["Archive", "Prices"])  # one by its text alone, one by its title
    with page.expect_response("**/v1/retrieve"):
        page.get_by_label("Find by title, path or text").fill("anvil 91")
    expect(page.locator("#document-message")).to_have_text("No document fits.")
    expect(names).to_have_count(0)


def test_many_documents_are_selected_and_deleted_at_once(pages: Pages, shop: str, stack: Stack) -> None:
    page = _open(pages, shop)
    _kind(page).select_option("md")
    page.get_by_label("Select all that are listed").check()
    expect(page.locator("#document-count")).to_have_text("2 selected")
    _kind(page).select_option("")
    page.get_by_label("Select Ten").check()
    page.get_by_role("button", name="Delete the selected ones").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Delete 3 documents?")
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator("#document-list .name")).to_have_text(["Notes"])
    left = stack.http.get("/v1/documents", params={"collection": shop}).json()["documents"]
    assert [one["id"] for one in left] == ["shop/notes.txt"]


def test_five_thousand_documents_are_listed_found_and_scrolled_in_parts(pages: Pages) -> None:
    def listed(route: Route) -> None:
        query = {key: one for key, (one, *_) in parse_qs(urlsplit(route.request.url).query).items()}
        start = int(query.get("page_token") or 0)
        end = min(start + int(query["page_size"]), 5000)
        documents: list[dict[str, Any]] = [
            {"id": f"d/{number}.md", "title": f"Document {number}", "uri": "", "metadata": {}, "chunk_count": 1,
             "container": None, "content_hash": ""}
            for number in range(start, end)
        ]  # fmt: skip
        body = {"documents": documents, "next_page_token": str(end) if end < 5000 else ""}
        route.fulfill(body=json.dumps(body), content_type="application/json")

    # A worker of the page would make its calls by itself.
    page = pages.open(expected=("Service Worker",), service_workers="block")
    page.route("**/v1/documents?*", listed)
    page.get_by_role("link", name="Documents").click()
    page.reload()
    rows = page.locator("#document-list li")
    expect(page.locator("#document-count")).to_have_text("5,000 documents")
    assert rows.count() <= 300, "what is not in view is not made"
    page.locator(".documents").evaluate("one => one.scrollTo(0, one.scrollHeight)")
    expect(page.locator("#document-list")).to_contain_text("Document 199")
    page.get_by_label("Find by title, path or text").fill("document 4999")
    expect(rows).to_have_count(1)
    page.get_by_label("Find by title, path or text").fill("")
    expect(page.locator("#document-count")).to_have_text("5,000 documents")
    page.get_by_label("Select all that are listed").check()
    expect(page.locator("#document-count")).to_have_text("5,000 selected")


def test_document_is_shown_as_it_is_meant_with_the_cited_row_marked(
    pages: Pages, model: LanguageModel, shop: str
) -> None:
    model.says("A saw costs 19 euros. [1]")
    page = pages.open()
    page.locator("#collection").select_option(shop)
    page.get_by_label("Your question").fill("What does a saw cost?")
    page.keyboard.press("Enter")
    expect(page.locator(".trace")).to_be_visible()
    page.locator(".cite").first.click()
    reader = page.locator("#reader")
    expect(reader.locator("mark.place table td", has_text="19 euros")).to_be_in_viewport()
    expect(reader.get_by_role("heading", name="Prices", exact=True).last).to_be_visible()
    expect(reader.locator(".quote").first).to_contain_text("Saw")
    expect(reader.locator(".reader-body")).not_to_contain_text("|---|")

    page.get_by_role("button", name="Show the text as it is stored").click()
    expect(reader.locator(".reader-body")).to_contain_text("|---|")
    expect(reader.locator("mark .quote")).to_contain_text("19 euros")


def test_plain_text_is_shown_as_it_is_written(pages: Pages, shop: str) -> None:
    page = _open(pages, shop)
    page.locator(".open", has_text="Notes").click()
    expect(page.locator("#reader .text")).to_have_text("# no heading\n\nThe anvil costs 90 euros.")
    expect(page.get_by_role("button", name="Show the text as it is stored")).to_be_hidden()
