"""Jupyter notebooks."""

import json
import re

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken
from trivium_gateway.ingestion.html import html_text

__all__ = ["read_notebook"]

_MOST_OUTPUT_CHARACTERS = 4000
_OBJECT = re.compile(r"<[^<>]{1,200}>")
"""What stands for an output that is none of text."""
_ESCAPE = re.compile(r"\x1b\[[0-?]{0,20}[ -/]{0,4}[@-~]")
"""Of terminals: colours."""


def read_notebook(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read a notebook: its Markdown as it is, its code, and the beginning of what the code printed."""
    try:
        notebook = json.loads(decode(data))
        cells = notebook["cells"] if "cells" in notebook else notebook["worksheets"][0]["cells"]
        language = notebook.get("metadata", {}).get("kernelspec", {}).get("language") or "python"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise broken("notebook") from error
    blocks = Blocks(bounds)
    for cell in cells:
        source = _joined(cell.get("source", cell.get("input", "")))
        if cell.get("cell_type") == "code":
            blocks.code(source, language)
            for output in cell.get("outputs", ()):
                if said := _said(output)[:_MOST_OUTPUT_CHARACTERS].strip():
                    blocks.paragraph("Output:")
                    blocks.code(said)
        elif cell.get("cell_type") == "heading":
            blocks.heading(int(cell.get("level", 1)), source)
        else:
            blocks.paragraph(source)
    title = notebook.get("metadata", {}).get("title")
    return title if isinstance(title, str) else "", blocks.text()


def _said(output: dict[str, object]) -> str:
    if output.get("output_type") in ("error", "pyerr"):
        return f"{output.get('ename', 'Error')}: {output.get('evalue', '')}"
    data = output.get("data")
    said = _joined(output.get("text") or (_shown(data) if isinstance(data, dict) else ""))
    return _ESCAPE.sub("", said)


def _shown(data: dict[str, object]) -> str:
    """Give what an output shows in the plainest form that says something."""
    plain = _joined(data.get("text/plain"))
    if plain.strip() and not _OBJECT.fullmatch(plain.strip()):
        return plain
    if page := _joined(data.get("text/html")):
        return html_text(page)[1]
    return _joined(data.get("text/markdown") or data.get("text/latex")) or plain


def _joined(lines: object) -> str:
    return "".join(map(str, lines)) if isinstance(lines, list) else str(lines or "")
