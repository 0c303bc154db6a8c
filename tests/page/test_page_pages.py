"""PDFs on the page: as their pages, with the lines of a passage boxed; and files that are saved as they came."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from documents.known.prints import Page as Print
from documents.known.prints import pdf
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Page

THINGS = ("lid", "spout", "handle", "base", "cable", "switch", "filter", "gauge", "lamp")
TALES = [
    f"The {thing} is made of steel and goes well with the {other}. Clean the {thing} with water after each {other}."
    for thing, other in zip(THINGS, (*THINGS[1:], "pot"), strict=True)
]
KETTLE = pdf(
    *(Print().lines(f"Part {at}", size=20).lines(*[TALES[at]] * 3, y=650) for at in range(4)),
    Print().lines("Limits", size=20).lines(TALES[4], "The kettle holds 17 decilitres of water.", TALES[5], y=650),
    *(Print().lines(f"Part {at}", size=20).lines(*[TALES[at]] * 3, y=650) for at in range(5, 9)),
)
QUESTION = "How many decilitres of water does the kettle hold?"


@pytest.fixture(scope="module")
def manuals(stack: Stack) -> Iterator[str]:
    """A collection with a PDF of nine pages."""
    stack.http.post("/v1/collections", json={"name": "manuals"}).raise_for_status()
    for name, data in (("kettle.pdf", KETTLE), ("kettle.txt", b"A kettle boils.")):
        where = {"collection": "manuals", "id": f"manuals/{name}"}
        stack.http.post("/v1/documents", files={"file": (name, data)}, data=where).raise_for_status()
    yield "manuals"
    stack.http.delete("/v1/collections/manuals")


def _asked(pages: Pages, model: LanguageModel, collection: str, **options: Any) -> Page:
    model.says("It holds 17 decilitres of water. [1]")
    page = pages.open(**options)
    page.locator("#collection").select_option(collection)
    page.get_by_label("Your question").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".trace")).to_be_visible()
    page.locator(".cite").first.click()
    return page


def _assert_quote_on_page_five(page: Page) -> None:
    sheet = page.locator(".sheet[data-page='5']")
    quote = sheet.locator(".line-box.quote")
    expect(quote).to_be_in_viewport()
    expect(sheet.locator("img")).to_have_attribute("alt", "page 5")
    sizes = sheet.evaluate("one => [one.clientWidth / one.clientHeight, one.querySelector('img').naturalWidth]")
    assert sizes[0] == pytest.approx(612 / 792, rel=0.02)
    assert sizes[1] >= sheet.evaluate("one => one.clientWidth"), "as sharp as the screen"


def test_citation_opens_the_page_of_the_pdf_with_its_line_boxed(
    pages: Pages, model: LanguageModel, manuals: str
) -> None:
    page = _asked(pages, model, manuals, expected=("Canvas2D",))
    _assert_quote_on_page_five(page)
    expect(page.locator("#reader-facts")).to_contain_text("page 5")
    expect(page.locator(".source.cited .place").first).to_contain_text("page 5")
    found = page.locator(".line-box.quote").evaluate(
        """one => {
          const sheet = one.parentElement.getBoundingClientRect(), box = one.getBoundingClientRect();
          const picture = one.parentElement.querySelector("img");
          const canvas = document.createElement("canvas");
          [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
          const context = canvas.getContext("2d");
          context.drawImage(picture, 0, 0);
          const scale = picture.naturalWidth / sheet.width;
          const dark = (x, y, width, height) => {
            const { data } = context.getImageData(...[x, y, width, height].map((one) => Math.max(1, one * scale)));
            let count = 0;
            for (let at = 0; at < data.length; at += 4) if (data[at] < 128) count += 1;
            return count;
          };
          const [left, top] = [box.left - sheet.left, box.top - sheet.top];
          const right = dark(left + box.width + 3, top, 40, box.height);
          return { inside: dark(left, top, box.width, box.height), right };
        }"""
    )
    assert found["inside"] > 50, "there are letters in the box"
    assert found["right"] == 0, "and it ends where the line ends"
    assert page.locator(".sheet img").count() < 9, "pages that are far from the view are not drawn"
    assert page.locator("#reader .line-box").count() > 1, "the rest of the passage is marked, too"
    assert Axe().run(page).violations_count == 0

    page.get_by_role("button", name="Show the pages of the file").click()
    expect(page.locator("#reader .quote")).to_have_text("The kettle holds 17 decilitres of water.")
    said = page.locator("#reader :is(.page-end, .quote)").all_inner_texts()
    assert said[said.index("The kettle holds 17 decilitres of water.") - 1] == "page 5"
    page.get_by_role("button", name="Show the pages of the file").click()
    _assert_quote_on_page_five(page)


def test_link_to_a_place_in_a_pdf_leads_to_its_page(pages: Pages, model: LanguageModel, manuals: str) -> None:
    page = _asked(pages, model, manuals)
    _assert_quote_on_page_five(page)
    page.reload()
    expect(page.locator(".sheet[data-page='5'] .line-box").first).to_be_in_viewport()


def test_pdf_is_read_on_a_phone_and_file_is_saved_as_it_came(pages: Pages, model: LanguageModel, manuals: str) -> None:
    page = _asked(pages, model, manuals, viewport={"width": 390, "height": 844}, color_scheme="dark")
    _assert_quote_on_page_five(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Save the file as it came").click()
    assert downloading.value.suggested_filename == "kettle.pdf"
    assert Path(downloading.value.path()).read_bytes() == KETTLE


def test_page_that_cannot_be_drawn_says_so_and_is_asked_for_again(
    pages: Pages, model: LanguageModel, manuals: str
) -> None:
    page = pages.open(
        "/#documents?in=manuals&doc=manuals/kettle.pdf", expected=("503", "Service Worker"), service_workers="block"
    )
    expect(page.locator(".sheet[data-page='1'] img")).to_be_visible()
    busy = {"error": {"code": 503, "reason": "UPSTREAM_UNAVAILABLE", "message": "Busy."}}
    page.route("**/v1/files/**", lambda route: route.fulfill(status=503, json=busy))
    page.locator("#reader-body").evaluate("one => one.scrollTo(0, one.scrollHeight)")
    problem = page.locator(".sheet[data-page='9'] .sheet-problem")
    expect(problem).to_contain_text("Busy.")
    page.unroute("**/v1/files/**")
    problem.get_by_role("button").click()
    expect(page.locator(".sheet[data-page='9'] img")).to_be_visible()
    expect(problem).to_have_count(0)
