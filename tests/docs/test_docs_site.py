"""The documentation builds as a site, with the pages that are made of the code, and every page is in its navigation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_ASSET = re.compile(r"""<(?:script|img|link rel="(?:stylesheet|icon|preload)")[^>]*?(?:src|href)="(https?://[^"]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site. The build is strict: a link or an anchor that leads nowhere fails it."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "scripts", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_site_has_the_reference_of_both_interfaces_and_the_sdk(site: Path) -> None:
    grpc, http, sdk = ((site / "reference" / f"{name}.html").read_text() for name in ("grpc", "http", "sdk"))

    assert "trivium.gateway.v1.GatewayService" in grpc
    assert "Most passages" in http  # a field's description
    assert "POST /v1/answer" in http
    assert 'id="trivium_client.Trivium.ask"' in sdk


def test_site_needs_nothing_from_elsewhere(site: Path) -> None:
    assets = {asset for page in site.rglob("*.html") for asset in _ASSET.findall(page.read_text())}

    assert not assets


def test_every_page_is_in_the_navigation(site: Path) -> None:
    index = (site / "index.html").read_text()
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in (ROOT / "docs").glob("*.md")}

    assert not {page for page in pages if f'href="{page}"' not in index}
