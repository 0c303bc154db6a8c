"""Documents in the browser: adding, browsing, deleting; and one that means harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Page, Route

DROP = """files => {
  const transfer = new DataTransfer();
  for (const [name, text, repeat] of files) transfer.items.add(new File([text.repeat(repeat)], name));
  for (const type of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(new DragEvent(type, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  }
}"""
HARM = "window.harmed = 1"
HOSTILE = (
    f"<script>{HARM}</script><img src=x onerror='{HARM}'><svg onload='{HARM}'>"
    f"<a href='javascript:{HARM}'>heron</a> [heron](javascript:{HARM}) ![heron](https://evil.example/heron.png)"
)


def _new_collection(page: Page, name: str) -> None:
    page.get_by_label("Name of the new collection").fill(name)
    page.get_by_role("button", name="Create").click()
    expect(page.locator(".collections .chosen")).to_contain_text(name)


def test_dropped_files_are_added_each_with_its_outcome_and_can_be_read_and_deleted(pages: Pages) -> None:
    page = pages.open("/#documents")
    _new_collection(page, "dropped")
    page.evaluate(
        DROP, [["kite.md", "# The kite\n\nA red kite soars.", 1], ["empty.txt", " ", 1], ["big.txt", "x", 11 << 20]]
    )

    uploads = page.locator("#upload-list")
    expect(uploads.locator("li", has_text="kite.md")).to_contain_text("Added: 1 piece")
    expect(uploads.locator("li", has_text="empty.txt")).to_contain_text("Failed: The document has no text")
    expect(uploads.locator("li", has_text="big.txt")).to_contain_text("at most 10 MiB")
    expect(page.locator("#document-list li")).to_have_count(1)

    page.locator("#document-list .open").click()
    expect(page.locator("#reader")).to_contain_text("A red kite soars.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete The kite").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("#document-list li")).to_have_count(1)
    page.get_by_role("button", name="Delete The kite").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#document-list li")).to_have_count(0)


@pytest.mark.timeout(600)
def test_many_files_go_through_a_job_that_survives_a_reload_and_lists_retries_and_forgets_what_failed(
    pages: Pages, stack: Stack
) -> None:
    page = pages.open("/#documents")
    files = [[f"bird-{number}.md", f"# Bird {number}\n\nBird {number} soars. ", 3] for number in range(28)]
    page.evaluate(DROP, [*files, ["void.txt", " ", 1], ['odd "name".txt', "An odd name.", 1]])
    line = page.locator("#job-list > li")
    expect(line).to_contain_text("30 documents for “default”")
    expect(line).not_to_contain_text("keep this page open", timeout=120_000)

    page.reload()
    expect(line).to_contain_text("29 of 30 added, 1 failed", timeout=120_000)
    expect(line.locator(".failures")).to_contain_text("void.txt")
    expect(line.locator(".failures")).to_contain_text("The document has no text")
    stored = stack.http.get("/v1/documents", params={"page_size": 200}).json()["documents"]
    assert {one["id"] for one in stored} >= {name for name, _, _ in files} | {'odd "name".txt'}

    line.get_by_role("button", name="Try again").click()
    expect(line.locator(".failures")).to_contain_text("void.txt")
    line.get_by_role("button", name="Clear this line").click()
    expect(line).to_have_count(0)
    page.reload()
    expect(page.locator("#document-list")).not_to_be_empty()
    expect(line).to_have_count(0)
    assert stack.http.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize("batches_sent", [0, 3])
def test_page_that_is_left_while_hundreds_of_files_go_up_says_how_many_are_missing_and_takes_them_again(
    pages: Pages, stack: Stack, batches_sent: int
) -> None:
    name = f"fleet-{batches_sent}"
    stack.http.post("/v1/collections", json={"name": name}).raise_for_status()
    page = pages.open("/#documents")
    page.evaluate("name => localStorage.setItem('trivium.collection', name)", name)
    page.add_init_script("addEventListener('beforeunload', (event) => event.stopImmediatePropagation(), true)")
    page.reload()  # from now on nobody asks whether to leave the page
    expect(page.locator(".collections .chosen")).to_contain_text(name)
    files = [[f"ship-{number}.txt", f"Ship {number} is {number} metres long.", 1] for number in range(250)]
    posted = 0

    def hold_later_batches(route: Route) -> None:
        nonlocal posted
        posted += route.request.method == "POST"
        if posted <= batches_sent or route.request.method != "POST":
            route.continue_()

    page.route("**/v1/documents", hold_later_batches)
    page.evaluate(DROP, files)
    line = page.locator("#job-list > li")
    expect(line).to_contain_text(f"{40 * batches_sent} of 250 sent")
    page.wait_for_function("() => sessionStorage.getItem('trivium.unsent')")
    page.reload()
    page.unroute("**/v1/documents")
    expect(line).to_contain_text(f"Up to {250 - 40 * batches_sent} files were not sent")
    if batches_sent:
        expect(line).to_contain_text(f"All {40 * batches_sent} added", timeout=120_000)
    line.get_by_role("button", name="Clear this line").click()
    expect(line).to_have_count(0)

    page.evaluate(DROP, files)
    expect(line).to_contain_text("All 250 added", timeout=120_000)
    line.get_by_role("button", name="Clear this line").click()
    page.reload()
    expect(page.locator("#document-list")).not_to_be_empty()
    expect(line).to_have_count(0)
    stored = stack.http.get("/v1/documents", params={"collection": name, "page_size": 1000}).json()["documents"]
    assert {one["id"] for one in stored} == {path for path, _, _ in files}


@pytest.mark.timeout(600)
def test_job_is_cancelled_on_the_page_and_taken_up_again(pages: Pages, stack: Stack) -> None:
    page = pages.open("/#documents", expected=("503",))
    stack.end("embed")
    try:
        page.evaluate(DROP, [[f"{number}.txt", f"Note {number}.", 1] for number in range(30)])
        line = page.locator("#job-list > li", has_text="30 documents")
        expect(line).to_contain_text("It goes on by itself", timeout=120_000)
        line.get_by_role("button", name="Cancel these documents").click()
        expect(line).to_contain_text("Cancelled: 0 of 30 added")
    finally:
        stack.start("embed")
    stack.wait_ready()
    line.get_by_role("button", name="Try again").click()
    expect(line).to_contain_text("All 30 added", timeout=120_000)


def test_chosen_file_that_changed_replaces_its_earlier_version(pages: Pages) -> None:
    page = pages.open("/#documents")
    _new_collection(page, "chosen")
    for text, outcome in (("One.", "Added"), ("One.", "Already there"), ("Two.", "Replaced")):
        page.set_input_files("#files", {"name": "note.txt", "mimeType": "text/plain", "buffer": text.encode()})
        expect(page.locator("#upload-list li").last).to_contain_text(outcome)
    expect(page.locator("#document-list li")).to_have_count(1)


def test_pasted_text_is_a_document_and_its_collection_can_be_deleted(pages: Pages, stack: Stack) -> None:
    page = pages.open("/#documents", expected=("409",))
    _new_collection(page, "pasted")
    page.get_by_label("Name of the new collection").fill("pasted")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#collection-problem")).to_contain_text("pasted")
    page.get_by_text("Paste text").click()
    page.get_by_label("Title", exact=True).fill("A note")
    page.get_by_label("Text", exact=True).fill("The kettle is in the attic.")
    page.get_by_role("button", name="Add as a document").click()
    expect(page.locator("#document-list")).to_contain_text("A note")

    page.get_by_role("button", name="Delete pasted").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator(".collections .chosen")).to_contain_text("default")
    assert stack.http.get("/v1/collections/pasted").status_code == 404


def test_hostile_document_and_answer_stay_text(pages: Pages, stack: Stack, model: LanguageModel) -> None:
    stack.http.post("/v1/collections", json={"name": "hostile"}).raise_for_status()
    [result] = stack.ingest(
        {
            "id": "\u202e<img src=x onerror=alert(1)>",
            "title": HOSTILE[:400],
            "uri": f"javascript:{HARM}",
            "text": f"The heron. {HOSTILE} \u202e drawkcab " + "w" * 300_000,
        },
        collection="hostile",
    )
    assert result["status"] == "indexed"
    model.says(f"{HOSTILE} [1] ", "`<b>` \u202e |" + "y" * 5000)
    page = pages.open()
    page.locator("#collection").select_option("hostile")
    page.get_by_label("Your question").fill("The heron?")
    page.keyboard.press("Enter")
    expect(page.locator(".trace")).to_be_visible()
    expect(page.locator(".answer")).to_contain_text("<script>")
    page.locator(".cite").first.hover()
    expect(page.locator("#peek mark")).to_be_visible()
    page.locator(".cite").first.click()
    expect(page.locator("#reader mark")).to_be_visible()
    expect(page.locator("#reader-title")).to_contain_text("<script>")

    assert page.locator(".answer img, #reader img, .answer script, #reader script, #reader-facts a").count() == 0
    links = page.locator("#reader-body a, .answer a").evaluate_all(
        "all => all.map(one => [new URL(one.href).protocol, one.rel, one.target])"
    )
    assert {tuple(one) for one in links} == {("https:", "noopener noreferrer nofollow", "_blank")}
    assert page.evaluate("window.harmed") is None
    assert len(page.locator("#reader-body").inner_text()) < 60_000, "a huge document is shown in parts"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("link", name="Documents").click()
    expect(page.locator("#document-list")).to_contain_text("<script>")
    assert page.evaluate("window.harmed") is None
