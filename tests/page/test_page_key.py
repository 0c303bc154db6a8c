"""The page of a gateway that asks for a key: it asks, too, and keeps the key for the tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from e2e.keyed_gateway import KeyedGateway, running_keyed_gateway
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedGateway]:
    """A gateway that asks for keys."""
    with running_keyed_gateway(tmp_path_factory.mktemp("data")) as running:
        yield running


def test_page_asks_for_a_key_until_it_has_one_and_keeps_it_for_the_tab(browser: Browser, gateway: KeyedGateway) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(gateway.url)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("asks for a key")
    dialog.get_by_label("Key", exact=True).fill("tv_0000000000_wrong")
    dialog.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("dialog")).to_contain_text("was not taken")

    dialog.get_by_label("Key", exact=True).fill(gateway.first_key)
    with page.expect_response(lambda response: "/v1/collections" in response.url and response.status != 401):
        dialog.get_by_role("button", name="Use this key").click()
    expect(dialog).to_have_count(0)
    with page.expect_response(lambda response: "/v1/collections" in response.url and response.status != 401):
        page.reload()
    expect(dialog).to_have_count(0)
    assert gateway.first_key not in page.evaluate("JSON.stringify({...localStorage})")
    context.close()


def test_page_says_what_to_do_where_no_key_is_given(browser: Browser, gateway: KeyedGateway) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(gateway.url)
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_label("Your question").fill("What is kept here?")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("#conversation")).to_contain_text("asks for a key")
    context.close()


def test_conversations_of_one_key_are_not_shown_to_another(browser: Browser, gateway: KeyedGateway) -> None:
    made = httpx.post(
        f"{gateway.url}v1/keys", headers={"Authorization": f"Bearer {gateway.first_key}"},
        json={"name": "other", "tenant": "default", "scopes": ["read", "ingest"]},
    )  # fmt: skip
    made.raise_for_status()
    context = browser.new_context(locale="en-US")

    def opened(key: str) -> Page:
        page = context.new_page()
        page.goto(gateway.url)
        page.get_by_role("dialog").get_by_label("Key", exact=True).fill(key)
        page.get_by_role("dialog").get_by_role("button", name="Use this key").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        return page

    first = opened(gateway.first_key)
    first.get_by_label("Your question").fill("What does the first one ask?")
    first.keyboard.press("Enter")
    expect(first.locator("#conversation .notice")).to_be_visible()
    expect(first.locator(".talk")).to_have_text(["What does the first one ask?"])

    other = opened(made.json()["key"])
    other.get_by_label("Your question").fill("What does the other one ask?")
    other.keyboard.press("Enter")
    expect(other.locator(".talk")).to_have_text(["What does the other one ask?"])
    other.goto(first.url)
    expect(other.locator("#conversation")).to_contain_text("not kept in this browser")
    expect(other.locator("#conversation")).not_to_contain_text("first one")

    wrong = context.new_page()
    wrong.goto(gateway.url)
    wrong.get_by_role("dialog").get_by_label("Key", exact=True).fill(gateway.first_key[:-4] + "0000")
    wrong.get_by_role("dialog").get_by_role("button", name="Use this key").click()
    expect(wrong.get_by_role("dialog")).to_contain_text("was not taken")
    expect(wrong.locator(".talk")).to_have_count(0)

    first.reload()
    expect(first.locator(".talk")).to_have_text(["What does the first one ask?"])
    expect(first.locator(".question")).to_have_text("What does the first one ask?")
    context.close()
