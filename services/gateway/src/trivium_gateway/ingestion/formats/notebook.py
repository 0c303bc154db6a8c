"""Jupyter notebooks."""

import json

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken

__all__ = ["read_notebook"]

_MOST_OUTPUT_CHARACTERS = 4000


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
    return _joined(output.get("text") or (data.get("text/plain") if isinstance(data, dict) else ""))


def _joined(lines: object) -> str:
    return "".join(map(str, lines)) if isinstance(lines, list) else str(lines or "")
