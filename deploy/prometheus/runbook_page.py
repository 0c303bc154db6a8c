#!/usr/bin/env python3
"""Writes docs/runbook.md as a page that the Prometheus of docker compose serves; run it after a change of the runbook.

Alerts there link to it (`runbook_url`). It needs nothing from elsewhere, and what it says of other pages is text.
"""

from __future__ import annotations

import re
from pathlib import Path

import markdown
from markdown.extensions.toc import TocExtension

FOLDER = Path(__file__).parent
RUNBOOK = FOLDER.parents[1] / "docs/runbook.md"
FILE = FOLDER / "consoles/runbook.html"
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!#)[^)]*\)")
_HEAD = """\
<!doctype html>
<!-- Written by deploy/prometheus/runbook_page.py from docs/runbook.md: change that. -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trivium: runbook</title>
<style>
:root { color-scheme: light dark; }
body { max-width: 50rem; margin: 2rem auto; padding: 0 1.25rem 60vh; font: 1rem/1.55 system-ui, sans-serif; }
h2 { margin-top: 3rem; }
h3 { margin-top: 2rem; padding: 0.2rem 0.5rem; border-radius: 6px; }
h3:target { background: light-dark(#fdf4d0, #3a331c); }
code { font: 0.88em/1.4 ui-monospace, monospace; background: light-dark(#f1efe9, #2a2928); overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: 0.6rem 0.9rem; background: light-dark(#f1efe9, #2a2928); }
pre code { background: none; overflow-wrap: normal; }
table { border-collapse: collapse; }
:is(th, td) { text-align: start; vertical-align: top; padding: 0.3rem 1rem 0.3rem 0; }
</style>
</head>
<body>
"""


def render(text: str) -> str:
    """The page, as a template of Prometheus's that has nothing to fill in.

    Args:
        text: The runbook, in Markdown.
    """
    # Nested lists have two spaces there, as GitHub reads them; the library wants four.
    text = re.sub(r"^( +)(?=\S)", lambda match: match[1] * 2, _LINK.sub(r"\1", text), flags=re.MULTILINE)
    anchors = TocExtension(slugify=lambda value, _: value.lower().replace(" ", "-"))
    body = markdown.markdown(text, extensions=["tables", "fenced_code", "sane_lists", anchors])
    body = body.replace("{{", '{{"{{"}}')  # what would be the beginning of an action
    return f"{_HEAD}{body}\n</body>\n</html>\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(render(RUNBOOK.read_text(encoding="utf-8")), encoding="utf-8")
