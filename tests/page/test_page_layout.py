"""The page's frame stays where it is, however long the conversation; an answer is followed while it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from page.browser import Pages
    from page.language_model import LanguageModel
    from playwright.sync_api import Page

SIZES = [(1280, 800), (1920, 1080), (390, 844)]
LINE = "The grey heron stands 98 centimetres tall, and it feeds mostly on fish and frogs. [1]\n\n"
QUESTIONS = (
    "How tall is the heron?",
    "What does it eat?",
    "Are gulls common?",
    "What are parrots?",
    "Who likes nuts?",
    "龙井茶产于哪里？",
)


def _ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def _assert_frame(page: Page) -> None:
    """The header is at the top, the composer at the bottom, and nothing around the conversation has moved."""
    found = page.evaluate(
        """() => {
          const box = (selector) => document.querySelector(selector).getBoundingClientRect();
          const roots = [document.scrollingElement, document.body, document.querySelector("main")];
          window.scrollTo(0, 500);
          document.body.scrollTop = 500;
          return {
            top: box(".top").top, end: window.innerHeight - box("#composer").bottom,
            moved: roots.map((root) => root.scrollTop),
            below: document.scrollingElement.scrollHeight - window.innerHeight,
          };
        }"""
    )
    assert found == {"top": 0, "end": 0, "moved": [0, 0, 0], "below": 0}


def _is_end_in_view(page: Page) -> bool:
    in_view: bool = page.evaluate(
        """() => {
          const frame = document.querySelector(".scroller").getBoundingClientRect();
          const end = [...document.querySelectorAll(".answer")].at(-1).getBoundingClientRect().bottom;
          return end > frame.top && end <= frame.bottom;
        }"""
    )
    return in_view


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_conversation_of_six_questions_leaves_the_frame_in_its_place(
    pages: Pages, model: LanguageModel, size: tuple[int, int]
) -> None:
    model.says(LINE * 2)
    page = pages.open(viewport={"width": size[0], "height": size[1]})
    for count, question in enumerate(QUESTIONS, start=1):
        _ask(page, question)
        expect(page.locator(".trace")).to_have_count(count)
        expect(page.locator(".answer").last).to_be_in_viewport()
        expect(page.locator(".question").last).to_be_in_viewport()
        assert _is_end_in_view(page)
        _assert_frame(page)
    page.locator(".cite").first.focus()  # far above: only the conversation moves
    expect(page.locator(".cite").first).to_be_in_viewport()
    _assert_frame(page)


def test_long_answer_is_followed_until_the_reader_scrolls_up(pages: Pages, model: LanguageModel) -> None:
    model.says(LINE * 30, LINE * 30)
    page = pages.open(viewport={"width": 1280, "height": 800})
    with model.held():
        _ask(page, "How tall is the heron?")
        expect(page.locator(".answer > p")).to_have_count(30)
        assert _is_end_in_view(page)
    expect(page.locator(".trace")).to_have_count(1)
    expect(page.locator(".answer > p")).to_have_count(60)
    assert _is_end_in_view(page)

    with model.held():
        _ask(page, "And what does it eat?")
        expect(page.locator(".answer").last.locator("> p")).to_have_count(30)
        assert _is_end_in_view(page)
        page.locator(".scroller").hover()
        page.mouse.wheel(0, -600)
        expect(page.locator(".answer").last.locator("> p").last).not_to_be_in_viewport()
    expect(page.locator(".trace")).to_have_count(2)
    expect(page.locator(".answer").last.locator("> p")).to_have_count(60)
    assert not _is_end_in_view(page)
    _assert_frame(page)
