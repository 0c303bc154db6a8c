"""What MkDocs calls: adds the pages that are not in docs/, and mends the links between these and docs/."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

from reference.openapi import http_reference
from reference.protos import grpc_reference

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

# Pages of the site that are files elsewhere in the repository.
_ELSEWHERE = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "bench.md": "bench/README.md",
    "corpus.md": "examples/README.md",
}
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    pages = {uri: (ROOT / source).read_text(encoding="utf-8") for uri, source in _ELSEWHERE.items()}
    pages["reference/grpc.md"] = grpc_reference(ROOT / "protos")
    pages["reference/http.md"] = http_reference()
    pages["reference/sdk.md"] = "# SDK reference\n\n[The SDK by example](../sdk.md).\n\n::: trivium_client\n"
    for uri, content in pages.items():
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links to where their files stand on the site; of links to files that it does not have, the text stays."""
    uri = page.file.src_uri
    source = _ELSEWHERE.get(uri, f"docs/{uri}")
    pages = {path: name for name, path in _ELSEWHERE.items()}

    def mended(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link["target"]))
        there = pages.get(path, path.removeprefix("docs/"))
        if files.get_file_from_path(there) is None:
            return link[0] if not (ROOT / path).exists() else link["text"]
        target = posixpath.relpath(there, posixpath.dirname(uri))
        return f"{link['image']}[{link['text']}]({target}{link['anchor'] or ''})"

    return _LINK.sub(mended, markdown)
