"""The page of a gateway that asks for a key: it asks, too, and keeps the key for the tab."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from e2e.keyed_gateway import KeyedGateway, running_keyed_gateway
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, Page, Route


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
    expect(page.locator("#welcome")).to_contain_text("asks for a key")
    expect(page.locator("#collection")).to_have_value("default")
    assert Axe().run(page).violations_count == 0
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_label("Your question").fill("What is kept here?")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("#conversation")).to_contain_text("asks for a key")
    context.close()


def _made_key(gateway: KeyedGateway, name: str) -> dict[str, Any]:
    made = httpx.post(
        f"{gateway.url}v1/keys", headers={"Authorization": f"Bearer {gateway.first_key}"},
        json={"name": name, "tenant": "default", "scopes": ["read", "ingest"]},
    )  # fmt: skip
    made.raise_for_status()
    key: dict[str, Any] = made.json()
    return key


def _give(page: Page, key: str) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Key", exact=True).fill(key)
    dialog.get_by_role("button", name="Use this key").click()


def _opened(context: BrowserContext, gateway: KeyedGateway, key: str) -> Page:
    page = context.new_page()
    page.goto(gateway.url)
    _give(page, key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    return page


def _ask(page: Page, question: str) -> None:
    page.get_by_label("Your question").fill(question)
    page.keyboard.press("Enter")


def test_conversations_of_one_key_are_not_shown_to_another(browser: Browser, gateway: KeyedGateway) -> None:
    context = browser.new_context(locale="en-US")
    first = _opened(context, gateway, gateway.first_key)
    _ask(first, "What does the first one ask?")
    expect(first.locator("#conversation .notice")).to_be_visible()
    expect(first.locator(".talk")).to_have_text(["What does the first one ask?"])

    other = _opened(context, gateway, _made_key(gateway, "other")["key"])
    _ask(other, "What does the other one ask?")
    expect(other.locator(".talk")).to_have_text(["What does the other one ask?"])
    other.goto(first.url)
    expect(other.locator("#conversation")).to_contain_text("not kept in this browser")
    expect(other.locator("#conversation")).not_to_contain_text("first one")

    wrong = context.new_page()
    wrong.goto(gateway.url)
    _give(wrong, gateway.first_key[:-4] + "0000")
    expect(wrong.get_by_role("dialog")).to_contain_text("was not taken")
    expect(wrong.locator(".talk")).to_have_count(0)

    first.reload()
    expect(first.locator(".talk")).to_have_text(["What does the first one ask?"])
    expect(first.locator(".question")).to_have_text("What does the first one ask?")
    context.close()


def test_key_that_follows_a_revoked_one_on_the_page_sees_nothing_of_it(browser: Browser, gateway: KeyedGateway) -> None:
    revoked, next_one = _made_key(gateway, "revoked"), _made_key(gateway, "next")
    context = browser.new_context(locale="en-US")
    page = _opened(context, gateway, revoked["key"])
    _ask(page, "What does the revoked one ask?")
    expect(page.locator("#conversation .notice")).to_be_visible()
    expect(page.locator(".talk")).to_have_text(["What does the revoked one ask?"])

    authorization = {"Authorization": f"Bearer {gateway.first_key}"}
    httpx.delete(f"{gateway.url}v1/keys/{revoked['id']}", headers=authorization).raise_for_status()
    _ask(page, "And what now?")
    expect(page.get_by_role("dialog")).to_contain_text("was not taken")
    _give(page, next_one["key"])
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.locator(".talk")).to_have_count(0)
    expect(page.locator("#conversation")).to_contain_text("not kept in this browser")
    context.close()


def test_collection_that_one_key_chose_is_not_named_to_another(browser: Browser, gateway: KeyedGateway) -> None:
    key, other = _made_key(gateway, "lead"), _made_key(gateway, "other")

    def list_collections(route: Route) -> None:  # of two tenants; the gateway here has no Qdrant
        has_mergers = route.request.headers.get("authorization") == f"Bearer {key['key']}"
        if not has_mergers and route.request.headers.get("authorization") != f"Bearer {other['key']}":
            return route.continue_()
        return route.fulfill(json={"collections": [{"name": "mergers", "state": "unused"}] if has_mergers else []})

    context = browser.new_context(locale="en-US", service_workers="block")
    context.route("**/v1/collections", list_collections)
    page = _opened(context, gateway, key["key"])
    page.locator("#collection").select_option("mergers")
    page.reload()
    expect(page.locator("#collection")).to_have_value("mergers")

    new_tab = context.new_page()
    new_tab.goto(gateway.url)
    expect(new_tab.get_by_role("dialog")).to_contain_text("asks for a key")
    assert "mergers" not in new_tab.content()
    page.evaluate("sessionStorage.setItem('trivium.unsent', JSON.stringify({'': 3}))")  # files that the first one left
    authorization = {"Authorization": f"Bearer {gateway.first_key}"}
    httpx.delete(f"{gateway.url}v1/keys/{key['id']}", headers=authorization).raise_for_status()
    _ask(page, "What now?")
    for tab in (page, new_tab):
        _give(tab, other["key"])
        expect(tab.get_by_role("dialog")).to_have_count(0)
        expect(tab.locator("#collection")).to_have_value("default")
        expect(tab.locator("#job-list > *")).to_have_count(0)
        assert "mergers" not in tab.content()
    context.close()


def _token(user: str, ends: int) -> str:
    claims = json.dumps({"iss": "https://login.example.org", "sub": user, "exp": ends}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2lnbmVk"


def test_conversations_stay_with_whom_a_token_is_made_for_when_it_is_renewed(
    browser: Browser, gateway: KeyedGateway
) -> None:
    def answer(route: Route) -> None:
        if "authorization" in route.request.headers:
            route.fulfill(json={"collections": [], "documents": [], "jobs": []})
        else:
            route.fulfill(status=401, json={"error": {"code": 401, "reason": "UNAUTHENTICATED", "message": ""}})

    context = browser.new_context(locale="en-US", service_workers="block")
    context.route("**/v1/**", answer)
    _ask(_opened(context, gateway, _token("ann", 1)), "What does Ann ask?")
    expect(_opened(context, gateway, _token("ann", 2)).locator(".talk")).to_have_text(["What does Ann ask?"])
    bob = _opened(context, gateway, _token("bob", 1))
    expect(bob.locator(".talk-list")).to_contain_text("What you ask is kept here")
    context.close()
