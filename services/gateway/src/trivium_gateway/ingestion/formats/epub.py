"""E-books (EPUB)."""

import posixpath
from urllib.parse import unquote

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken, encrypted
from trivium_gateway.ingestion.formats.packages import Package, local_name
from trivium_gateway.ingestion.html import html_text

__all__ = ["read_epub"]

_WHAT = "EPUB"


def read_epub(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a book: its chapters in reading order, each as the page of HTML that it is."""
    package = Package(data, _WHAT)
    if "META-INF/encryption.xml" in package.names and b"EncryptedKey" in package.read("META-INF/encryption.xml"):
        raise encrypted()
    container = package.xml("META-INF/container.xml")
    path = next((each.get("full-path", "") for each in container.iter() if local_name(each) == "rootfile"), "")
    if path not in package.names:
        raise broken(_WHAT)
    book = package.xml(path)
    items = {each.get("id"): each for each in book.iter() if local_name(each) == "item"}
    spine = [items.get(each.get("idref")) for each in book.iter() if local_name(each) == "itemref"]
    bounds.check_pages(len(spine), "chapters")
    blocks = Blocks(bounds)
    for item in spine:
        if item is None or item.get("properties") == "nav":
            continue
        name = posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(item.get("href", ""))))
        if name in package.names:
            blocks.paragraph(html_text(decode(package.read(name)))[1])
    title = next((each.text or "" for each in book.iter() if local_name(each) == "title"), "")
    return title, blocks.text()
