"""Makes the pictures in docs/images: `.venv/bin/python tests/page/screenshots.py`.

It wants chromium, and the fonts fonts-noto-core and fonts-noto-cjk.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from e2e.stack import Stack  # noqa: E402  # the tests' folder is no package
from page.browser import Pages, running_browser  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES = ROOT / "docs/images"
MOST_BYTES = 150_000
ENGLISH = "Which constant k do the authors of reciprocal rank fusion recommend?"
OF_A_PDF = "At most how much utilisation is planned for at the busiest hour?"
CHINESE = "中文分词对检索有什么影响？"
WIDE: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def main() -> None:
    """Runs a stack with the example documents, and photographs the page."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        patience = {f"TRIVIUM_GATEWAY_{stage}_TIMEOUT_SECONDS": "60" for stage in ("EMBED", "SEARCH", "RERANK")}
        stack = Stack(Path(folder) / "stack", patience)
        stack.start()
        try:
            stack.wait_ready()
            for path in sorted((ROOT / "examples/corpus").iterdir()):
                files = {"file": (path.name, path.read_bytes())}
                stack.http.post("/v1/documents", files=files, data={"id": path.name}).raise_for_status()
            for question in (ENGLISH, CHINESE, OF_A_PDF) * 2:
                stack.answer(question)  # the next answer is measured warm
            with running_browser() as browser:
                pages = Pages(browser, str(stack.http.base_url).rstrip("/"))
                _photograph(pages)
                pages.close()
        finally:
            stack.end()
            stack.http.close()


def _photograph(pages: Pages) -> None:
    light = pages.open(color_scheme="light", **WIDE)
    _ask(light, CHINESE)
    light.get_by_role("button", name="New conversation").click()
    _ask(light, ENGLISH)
    light.locator(".cite").first.click()
    light.locator("#reader mark").wait_for()
    light.mouse.move(540, 40)
    _save(light, "page-light.png")

    dark = pages.open(color_scheme="dark", **WIDE)
    _ask(dark, ENGLISH)
    dark.locator(".trace summary").click()
    dark.locator(".trace").evaluate("one => one.scrollIntoView({ block: 'start' })")
    _save(dark, "page-dark.png")

    phone = pages.open(color_scheme="light", locale="zh-CN", **PHONE)
    _ask(phone, CHINESE)
    _save(phone, "page-phone.png")

    paper = pages.open(color_scheme="light", **WIDE)
    _ask(paper, OF_A_PDF)
    paper.locator(".cite").first.click()
    paper.locator(".line-box.quote").first.wait_for()
    paper.mouse.move(540, 40)
    _save(paper, "page-pdf.png")

    documents = pages.open("/#documents", color_scheme="light", **WIDE)
    documents.locator("#document-list li").first.wait_for()
    _save(documents, "page-documents.png")


def _ask(page: Page, question: str) -> None:
    page.locator("#question").fill(question)
    page.locator("#send").click()
    page.locator(".trace").wait_for()
    assert page.locator(".notice").count() == 0, "the machine is too busy: a stage was left out; try again"


def _save(page: Page, name: str) -> None:
    page.wait_for_timeout(300)  # until fonts and transitions have settled
    path = IMAGES / name
    page.screenshot(path=path, animations="disabled")
    Image.open(path).convert("RGB").quantize(128).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)} {size // 1024} KB")
    assert size <= MOST_BYTES, f"{name} is over {MOST_BYTES} bytes"


if __name__ == "__main__":
    main()
