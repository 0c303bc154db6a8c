"""Markdown as language models write it, on the page: what it means is shown, and nothing in it acts by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Browser, Page

DRAW = """async ([base, text]) => {
  const { blocks, element } = await import(base + "markdown.js");
  const root = document.createElement("div");
  root.append(...blocks(text).map((block) => element(block, (at) => `{${at}}`)));
  for (const one of root.querySelectorAll(".code-head")) one.remove();
  for (const one of root.querySelectorAll("*")) {
    for (const name of one.getAttributeNames()) {
      if (!["href", "start", "value", "class"].includes(name)) one.removeAttribute(name);
    }
  }
  return { html: root.innerHTML, text: root.textContent };
}"""


def _drawn(page: Page, text: str) -> dict[str, str]:
    source = page.locator("script[type=module]").get_attribute("src") or ""
    drawn: dict[str, str] = page.evaluate(DRAW, ["/" + source.replace("app.js", ""), text])
    return drawn


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Stack) -> Iterator[Page]:
    """One page for all: nothing here changes it."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(str(stack.http.base_url))
    page.wait_for_selector("html[data-started]")
    yield page
    context.close()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "1. one\n2. two\n   - sub\n     1. deep\n\n   more\n3. three\n5. five",
            "<ol><li>one</li><li>two<ul><li>sub<ol><li>deep</li></ol></li></ul><p>more</p></li><li>three</li>"
            '<li value="5">five</li></ol>',
        ),
        ("3. three\n\n4. four", '<ol start="3"><li>three</li><li>four</li></ol>'),
        ("- a\n  - b\n- c\n\ntext", "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul><p>text</p>"),
        ("> said\n> - this", "<blockquote><p>said</p><ul><li>this</li></ul></blockquote>"),
        ("# A\n## B\ntext", "<h3>A</h3><h4>B</h4><p>text</p>"),
        (
            "| a | b |\n|---|--:|\n| 1 \\| 2 | **3** |\nafter",
            '<div class="scroll"><table><thead><tr><th>a</th><th class="end">b</th></tr></thead>'
            '<tbody><tr><td>1 | 2</td><td class="end"><strong>3</strong></td></tr></tbody></table></div><p>after</p>',
        ),
        (
            "| a | b |\n|---|---|\n| 1 | 2 |\ue0000\ue001\n| 3 | 4 | \ue0001\ue001\ue0002\ue001",
            '<div class="scroll"><table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>'
            '<tr><td>1</td><td><span class="joined">2&nbsp;{0}</span></td></tr>'
            '<tr><td>3</td><td><span class="joined">4&nbsp;{1}{2}</span></td></tr></tbody></table></div>',
        ),
        (
            "It is **60** \ue0000\ue001\ue0001\ue001. 水温以八十度为宜。\ue0002\ue001![x]",
            '<p>It is <strong>60</strong><span class="joined">&nbsp;{0}{1}.</span> 水温以八十度为'
            '<span class="joined">宜。{2}</span>![x]</p>',
        ),
        (
            "- x\n  ```py\n  a = 1\n\n  b\n  ```",
            '<ul><li>x<div class="code"><pre><code>a = 1\n\nb</code></pre></div></li></ul>',
        ),
        (
            "$x_1 * y_2$ and \\(a*b*c\\)",
            '<p><span class="math">x_1 * y_2</span> and <span class="math">a*b*c</span></p>',
        ),
        ("$$\n\\frac{a}{b}\n$$", '<p class="math block">\\frac{a}{b}</p>'),
        ("It costs $5 or $6 for snake_case_names.", "<p>It costs $5 or $6 for snake_case_names.</p>"),
        ("**b *i*** ~~gone~~ `a*b*`", "<p><strong>b <em>i</em></strong> <s>gone</s> <code>a*b*</code></p>"),
        ("one [{0}]\n\n---\n\ntwo", "<p>one [{0}]</p><hr><p>two</p>"),
        (
            "[a](https://a.example/b_(c)) https://d.example/e. <https://f.example/>",
            '<p><a href="https://a.example/b_(c)">a</a> <a href="https://d.example/e">https://d.example/e</a>. '
            '<a href="https://f.example/">https://f.example/</a></p>',
        ),
    ],
)
def test_markdown_is_shown_as_it_is_meant(page: Page, text: str, wanted: str) -> None:
    assert _drawn(page, text)["html"] == wanted


@pytest.mark.parametrize(
    "text",
    [
        "[x](javascript:alert(1))",
        "[x](data:text/html,<b>)",
        "[x](//evil.example)",
        "<javascript:alert(1)>",
        "<img src=x onerror=alert(1)>",
        "[x](vbscript:x) [y](file:///etc/passwd)",
    ],
)
def test_markup_and_other_addresses_stay_text(page: Page, text: str) -> None:
    drawn = _drawn(page, text)
    assert "<a" not in drawn["html"]
    assert "<img" not in drawn["html"]
    assert drawn["text"] == text


def test_very_deep_and_very_long_markdown_is_drawn(page: Page) -> None:
    for text in (
        "> " * 5_000 + "x",
        "\n".join(" " * 2 * at + "- x" for at in range(400)),
        "[" * 50_000,
        "**a" * 20_000,
    ):
        assert "x" in _drawn(page, text + " x")["text"]


def test_document_without_a_line_end_is_drawn_in_parts(page: Page) -> None:
    source = page.locator("script[type=module]").get_attribute("src") or ""
    drawn = page.evaluate(
        """async path => {
          const { part } = await import(path);
          const text = "🦩w".repeat(200_000);
          return part(text, 300_001, 300_999, { start: 300_300, end: 300_600 }, null, false).textContent;
        }""",
        "/" + source.replace("app.js", "prose.js"),
    )
    assert 1_000 <= len(drawn) < 10_000
    assert not any("\ud800" <= one <= "\udfff" for one in drawn), "no character is cut in two"


def test_formula_is_set_once_its_library_is_there_and_stays_readable_where_it_cannot_be(
    pages: Pages, model: LanguageModel
) -> None:
    model.says(
        "The rank is $\\frac{1}{k + r}$ [1], and costs $5 or $6.\n\n$$\n\\sum_{i=1}^{n} x_i^2\n$$\n\n",
        "And $\\nosuchcommand{x}$, \\(\\href{javascript:alert(1)}{y}\\).",
    )
    page = pages.open()
    loaded = "performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/temml.js')).length"
    assert page.evaluate(loaded) == 0, "not before there is a formula"
    page.get_by_label("Your question").fill("How tall does the grey heron stand?")
    page.keyboard.press("Enter")
    expect(page.locator(".trace")).to_be_visible()
    expect(page.locator(".answer p .math.set mfrac")).to_have_count(1)
    expect(page.locator(".answer .math.block.set munderover")).to_have_count(1)
    expect(page.locator(".answer p").first).to_contain_text("costs $5 or $6.")
    expect(page.locator(".answer p").last).to_contain_text("\\nosuchcommand{x}")
    assert page.locator(".answer math a, .answer math [href]").count() == 0
    assert page.locator(".answer mfrac").bounding_box()["height"] > 15, "it is set, one above the other"  # type: ignore[index]
    expect(page.locator(".cite")).to_have_count(1)


def test_code_is_copied_and_a_picture_is_never_loaded(pages: Pages, model: LanguageModel) -> None:
    model.says("Run this [1]:\n\n```sh\nmake test\n```\n\n![heron](https://evil.example/heron.png)")
    page = pages.open(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_label("Your question").fill("How tall does the grey heron stand?")
    page.keyboard.press("Enter")
    expect(page.locator(".trace")).to_be_visible()
    expect(page.locator(".code-head span")).to_have_text("sh")
    page.get_by_role("button", name="Copy this code").click()
    expect(page.locator("#live")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "make test"
    expect(page.locator(".answer img")).to_have_count(0)
