"""A real Chromium, and pages in it that note everything they should not do."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from e2e.stack import wait_until
from playwright.sync_api import expect, sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack
    from playwright.sync_api import Browser, BrowserContext, Page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT_MS = 30_000


def program() -> str:
    """Where Chromium is; the test is skipped if it is nowhere."""
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        pytest.skip("chromium is not installed; on Debian: apt-get install chromium fonts-noto-cjk")
    return path


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Runs one. Root may not use its sandbox, which in a container is the usual case."""
    path = program()
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        sandbox = [] if os.getuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=path, args=sandbox)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """What pages did that they should not."""

    origin: str
    complaints: list[str] = field(default_factory=list)

    def watch(self, page: Page, *, expected: tuple[str, ...]) -> None:
        """Notes dialogs, errors (violations of the content security policy among them), and foreign requests."""

        def dismiss(dialog: Any) -> None:
            self.complaints.append(f"dialog {dialog.message}")
            dialog.dismiss()

        page.on("dialog", dismiss)
        page.on("pageerror", lambda error: self.complaints.append(f"error {error}"))
        page.on("request", lambda request: self._request(request.url))

        def console(message: Any) -> None:
            wanted = any(text in message.text for text in expected)
            if message.type in ("error", "warning") and not wanted:
                self.complaints.append(f"{message.type} {message.text}")

        page.on("console", console)

    def _request(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(self.origin + "/"):
            self.complaints.append(f"request to {url}")


@dataclass
class Pages:
    """Opens pages, each in a context, and so with a storage, of its own.

    Attributes:
        browser: Where.
        url: The gateway's address.
    """

    browser: Browser
    url: str
    contexts: list[BrowserContext] = field(default_factory=list)
    watched: Watched = field(init=False)

    def __post_init__(self) -> None:
        self.watched = Watched(self.url)

    def open(self, path: str = "/", *, expected: tuple[str, ...] = (), **options: Any) -> Page:
        """Opens the page.

        Args:
            path: With a fragment for the view.
            expected: Parts of messages in the console that are no complaint, such as that of a refused request.
            options: Of the context: viewport, locale, color_scheme and so on.
        """
        context = self.browser.new_context(**({"locale": "en-US", "reduced_motion": "reduce"} | options))
        context.set_default_timeout(TIMEOUT_MS)
        self.contexts.append(context)
        page = context.new_page()
        self.watched.watch(page, expected=expected)
        page.goto(self.url + path)
        page.wait_for_selector("html[data-started]")
        return page

    def close(self) -> None:
        """Closes them, and fails if one did what it should not."""
        for context in self.contexts:
            context.close()
        assert not self.watched.complaints, self.watched.complaints


def wait_idle(stack: Stack) -> None:
    """Waits until the gateway has noticed that whoever asked has left."""
    wait_until(
        lambda: stack.http.post("/v1/retrieve", json={"query": "idle?", "rerank": False}).status_code == 200,
        "idle stack",
    )
