"""The dashboard of the runbook: docs/runbook.md, a panel for each alert. It opens wherever the dashboards do."""

from __future__ import annotations

import re
from pathlib import Path

from panels import Dashboard, Row, Text

_PAGE = Path(__file__).parents[3] / "docs/runbook.md"
_HEADING = re.compile(r"^(#{2,3}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)]*)\)")


def _parts() -> tuple[Text | Row, ...]:
    """The sections, in their order. Links between them lead to panels; what lies elsewhere is named."""
    _, *found = _HEADING.split(_PAGE.read_text(encoding="utf-8"))
    sections = list(zip(found[::3], found[1::3], found[2::3], strict=True))
    numbers = {f"#{title.lower()}": number for number, (_, title, _) in enumerate(sections, start=1)}

    def link(match: re.Match[str]) -> str:
        number = numbers.get(match[2])
        return f"[{match[1]}](?viewPanel=panel-{number})" if number else match[1]

    return tuple(
        Row(title) if level == "##" else Text(title, _LINK.sub(link, text).strip()) for level, title, text in sections
    )


RUNBOOK = Dashboard(
    "runbook",
    "runbook",
    "What each alert means, what users notice, where to look, what to do. Written from docs/runbook.md.",
    _parts(),
)
PANELS = {one.title: number for number, one in enumerate(RUNBOOK.panels, start=1)}
"""The number of each alert's panel."""
