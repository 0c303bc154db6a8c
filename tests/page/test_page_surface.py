"""What the page is served with, its languages, its looks, and whether everybody can use it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

if TYPE_CHECKING:
    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel

STATIC = Path(__file__).resolve().parents[2] / "services/gateway/src/trivium_gateway/surfaces/http/page/static"
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


def test_page_comes_with_a_strict_policy_and_is_kept_until_it_changes(stack: Stack) -> None:
    page = stack.http.get("/")

    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"https?://|<style|\sstyle=|\son\w+=|<script>", page.text), (
        "nothing inline, nothing from elsewhere"
    )
    assert stack.http.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
    head = stack.http.head("/")
    assert (head.status_code, head.content) == (200, b"")
    assert stack.http.post("/").status_code == 405
    names = set(re.findall(r'(?:href|src)="(page/[^"]+)"', page.text))
    others = {"index.html", "reference.css", "worker.js", "temml.js"}
    assert {path.rpartition("/")[2] for path in names} == {path.name for path in STATIC.iterdir()} - others
    for name in names:
        asset = stack.http.get(f"/{name}")
        assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert asset.headers["x-content-type-options"] == "nosniff"
    other = stack.http.get("/page/0123456789abcdef/app.js")  # as a page asks that another version of the gateway made
    assert other.headers["cache-control"] == "no-cache"
    for wrong in ("/page/x/no.js", "/page/x/index.html", "/page/x/..%2f..%2froutes.py"):
        assert stack.http.get(wrong).status_code == 404


def test_form_of_a_foreign_page_changes_nothing(stack: Stack) -> None:
    foreign = {"Origin": "https://evil.example"}
    calls = (
        stack.http.post("/v1/documents", files={"file": ("a.txt", b"planted")}, headers=foreign),
        stack.http.delete("/v1/documents/guides/birds.md", headers=foreign),
        stack.http.get("/v1/documents", headers={"Host": f"evil.example:{stack.http_port}"}),
    )

    assert [call.status_code for call in calls] == [403] * 3
    assert calls[0].json()["error"]["reason"] == "ORIGIN_NOT_ALLOWED"
    assert stack.http.get("/v1/documents/guides/birds.md").status_code == 200


def test_every_text_is_there_in_every_language(pages: Pages) -> None:
    page = pages.open()
    source = page.locator("script[type=module]").get_attribute("src") or ""
    tables = page.evaluate("async path => (await import(path)).TABLES", "/" + source.replace("app.js", "strings.js"))

    assert {"en", "zh", "ar"} == tables.keys()
    fields = {
        language: {key: set(re.findall(r"{\w+}", text)) for key, text in table.items()}
        for language, table in tables.items()
    }
    for language, table in tables.items():
        forms = {key for key in table if key.endswith((".two", ".few", ".other")) and key not in tables["en"]}
        assert table.keys() - forms == tables["en"].keys(), language
        assert {key.rpartition(".")[0] for key in forms} <= tables["en"].keys(), language
        counted = {key: names for key, names in fields[language].items() if key not in forms and key[-4:] != ".one"}
        assert counted == {key: fields["en"][key] for key in counted}, language
    texts = ("strings", "reasons", "temml")
    code = "".join(path.read_text() for path in STATIC.glob("*.js") if not path.name.startswith(texts))
    used = set(re.findall(r'\bt: \[?"([^"]+)"|\bt\("([^"]+)"|label: \[?"([^"]+)"', code))
    used_keys = {key for groups in used for key in groups if key}
    used_keys |= set(re.findall(r'data-t(?:-\w+)?="([^"]+)"', (STATIC / "index.html").read_text()))
    assert len(used_keys) > 50
    assert used_keys <= tables["en"].keys(), used_keys - tables["en"].keys()


def test_modules_count_characters_split_events_and_keep_markup_as_text(pages: Pages) -> None:
    page = pages.open()
    source = page.locator("script[type=module]").get_attribute("src") or ""
    found = page.evaluate(
        """async base => {
          const { utf16Offsets, whole } = await import(base + "spans.js");
          const { events } = await import(base + "sse.js");
          const { blocks, element } = await import(base + "markdown.js");
          const { marked } = await import(base + "inline.js");
          const { webAddress } = await import(base + "library.js");
          const text = "a🦩茶🐦z";
          const sent = ['event: delta\\r\\ndata: {"t":"🦩"}\\r\\n\\r\\n',
                        ": note\\n\\nevent: x\\ndata: 1\\ndata: 2\\n\\nevent: cut"];
          const bytes = new TextEncoder().encode(sent.join(""));
          const seen = [];
          const body = new ReadableStream({ start(stream) {
            for (const byte of bytes) stream.enqueue(new Uint8Array([byte]));
            stream.close();
          } });
          for await (const event of events(body)) seen.push([event.name, event.data]);
          const answer = "🦩 **bold [1]** and [2]\\n\\n| a | b |\\n|---|---|\\n| 1 | 2 |\\n\\n```\\n<b>\\n```";
          const spans = [[9, 12], [19, 22]].map(([start, end], at) => ({ index: at + 1, answer_span: { start, end } }));
          const drawn = blocks(marked(answer, spans)).map((block) => element(block, (at) => `<${at}>`));
          return {
            offsets: utf16Offsets(text, 1, 2, 3, 4, 99), whole: whole("🦩", 1), seen,
            unmarked: marked("One. Two", [{ answer_span: { start: 4, end: 4 } }]),
            texts: drawn.map((one) => one.textContent), cells: drawn[1].querySelectorAll("td").length,
            links: ["https://a.example/", "javascript:1", "data:,1", " JaVaScRiPt:1", "file:///x", "x"].map(webAddress),
          };
        }""",
        "/" + source.replace("app.js", ""),
    )

    assert found["offsets"] == [1, 3, 4, 6, 7]
    assert found["whole"] == 0
    assert found["seen"] == [["delta", '{"t":"🦩"}'], ["x", "1\n2"]]
    assert found["unmarked"] == "One.\ue0000\ue001 Two", "a citation without a mark takes no character away"
    assert found["texts"] == ["🦩 bold\u00a0<0> and\u00a0<1>", "ab12", "<b>"]
    assert found["cells"] == 2
    assert found["links"] == ["https://a.example/", None, None, None, None, None]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_phone_in_chinese_fits_in_either_colours(pages: Pages, model: LanguageModel, theme: str) -> None:
    model.says("水温以八十度为宜。[1]\n\n| 茶 | 水温 |\n|---|---|\n| 龙井 | 八十度 |")
    page = pages.open(locale="zh-CN", color_scheme=theme, **PHONE)
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.get_by_label("您的问题").fill("冲泡龙井茶用多少度的水？")
    page.get_by_role("button", name="提问").tap()
    expect(page.locator(".trace")).to_be_visible()
    page.locator(".trace summary").tap()
    fits = "document.documentElement.scrollWidth <= innerWidth && document.body.scrollWidth <= innerWidth"
    assert page.evaluate(fits)
    page.locator(".cite").first.tap()
    expect(page.locator("#reader .quote, #reader mark").first).to_contain_text("水温以八十度为宜")
    assert page.evaluate(fits)
    assert page.evaluate("document.querySelector('main').inert"), "what the document covers cannot be reached"
    page.get_by_label("关闭文档").tap()
    page.get_by_role("link", name="文档", exact=True).tap()
    expect(page.get_by_role("heading", name="文档", exact=True)).to_be_visible()
    assert page.evaluate(fits)
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(250, 249, 246)"
    assert light is (theme == "light")


def test_language_and_colours_switch_in_place_and_are_kept(pages: Pages, model: LanguageModel) -> None:
    model.says("Ninety-eight centimetres [1].")
    page = pages.open()
    page.get_by_label("Your question").fill("How tall is the heron?")
    page.keyboard.press("Enter")
    expect(page.locator(".sources h3")).to_have_text("Sources")
    page.get_by_label("Language", exact=True).select_option("zh")
    expect(page.locator(".sources h3")).to_have_text("来源")
    page.get_by_role("button", name="深色").click()
    page.reload()
    page.wait_for_selector("html[data-started]")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_error_is_said_in_the_language_of_the_page_and_else_as_the_gateway_says_it(pages: Pages) -> None:
    page = pages.open(locale="zh-CN", expected=("503",))

    def refuse(reason: str) -> None:
        error = {"code": 503, "status": "UNAVAILABLE", "reason": reason, "message": "The disk has no room. Free some."}
        page.unroute("**/v1/answer")
        page.route("**/v1/answer", lambda route: route.fulfill(status=503, json={"error": error}))
        page.get_by_label("您的问题").fill("水温多少？")
        page.keyboard.press("Enter")

    refuse("STORAGE_FULL")
    said = page.locator(".notice .said")
    expect(said).to_have_text("存储空间已满，无法写入。请联系网关的管理员。")
    expect(said).to_have_attribute("lang", "zh-CN")
    page.reload()
    expect(said).to_contain_text("存储空间已满")
    page.locator("#language").select_option("en")
    expect(said).to_have_text("The disk has no room. Free some.")
    expect(said).to_have_attribute("lang", "en")
    page.locator("#language").select_option("zh")
    refuse("A_REASON_OF_TOMORROW")
    expect(said.last).to_have_text("The disk has no room. Free some.")
    expect(said.last).to_have_attribute("lang", "en")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_view_has_a_barrier_that_axe_finds(pages: Pages, model: LanguageModel, theme: str) -> None:
    model.fails = True
    page = pages.open(color_scheme=theme)
    axe = Axe()
    page.get_by_label("Your question").fill("How tall does the grey heron stand?")
    page.keyboard.press("Enter")
    expect(page.locator(".notice.warn")).to_be_visible()
    page.locator(".trace summary").click()
    page.locator("#status summary").click()
    page.locator(".cite").first.press("Enter")  # the stages lie over it
    expect(page.locator("#reader mark")).to_be_visible()
    barriers = axe.run(page)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Documents").click()
    expect(page.locator("#document-list li").first).to_be_visible()
    page.locator("#add > summary").click()
    page.get_by_text("Paste text").click()
    more = axe.run(page)

    assert barriers.violations_count == 0, barriers.generate_report()
    assert more.violations_count == 0, more.generate_report()


def test_page_reads_well_to_a_screen_reader(pages: Pages, stack: Stack) -> None:
    assert stack.http.get("/docs").status_code == 200  # where the page's link leads
    page = pages.open()
    expect(page.locator("body")).to_match_aria_snapshot(
        """
        - link "Skip to the question"
        - banner:
          - link "Trivium"
          - navigation "Sections":
            - link "Ask"
            - link "Documents"
        - main:
          - region "Conversation":
            - heading "Ask your documents" [level=1]
            - textbox "Your question"
        """
    )
