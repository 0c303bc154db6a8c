"""Facts in data: delimited, records, XML."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from documents.known.recipe import Recipe

if TYPE_CHECKING:
    from documents.known.recipe import Subject

_FLOW = "Flow: {flow}"


def _delimited(rows: list[list[str]], delimiter: str = ",") -> bytes:
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode()


def _with_line_end(subject: Subject) -> list[list[str]]:
    return [[*row[:2], row[2], "first line\nsecond line"] for row in subject.rows()]


def _records(subject: Subject, count: int = 6) -> list[dict[str, str]]:
    return [dict(zip(("Pump", "Head", "Flow"), row, strict=True)) for row in subject.rows(count)[1:]]


def _nested(subject: Subject) -> dict[str, object]:
    return {
        "plant": "Graz",
        "pumps": {subject.name: {"flow": subject.flow, "head": subject.head}, "Quill": {"flow": 3}},
    }


def _xml(subject: Subject, *, attributes: bool) -> bytes:
    pumps = "".join(
        f'<pump name="{name}" flow="{flow}"/>' if attributes else f"<pump><name>{name}</name><flow>{flow}</flow></pump>"
        for name, _, flow in subject.rows()[1:]
    )
    return f'<?xml version="1.0"?><plant>{pumps}</plant>'.encode()


def _feed(subject: Subject) -> bytes:
    items = "".join(
        f"<item><title>News {at}</title><description>{text}</description></item>"
        for at, text in enumerate([*subject.prose(2), subject.sentence])
    )
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Pumps</title>{items}</channel></rss>'.encode()


RECIPES = [
    Recipe(".csv", "beside an empty cell", lambda s: _delimited(s.rows()), said=_FLOW),
    Recipe(".csv", "semicolons", lambda s: _delimited(s.rows(), ";"), said=_FLOW),
    Recipe(".csv", "beside a line end", lambda s: _delimited(_with_line_end(s)), said=_FLOW),
    Recipe(".csv", "row 150", lambda s: _delimited(s.rows(200, at=150)), said=_FLOW),
    Recipe(".tsv", "beside an empty cell", lambda s: _delimited(s.rows(), "\t"), said=_FLOW),
    Recipe(".json", "records", lambda s: json.dumps(_records(s)).encode(), said=_FLOW),
    Recipe(".json", "nested", lambda s: json.dumps(_nested(s)).encode(), said="flow: {flow}"),
    Recipe(
        ".json", "records within",
        lambda s: json.dumps({"site": "Graz", "pumps": _records(s, 40)}, indent=1).encode(), said=_FLOW,
    ),
    Recipe(".jsonl", "records", lambda s: "\n".join(map(json.dumps, _records(s))).encode(), said=_FLOW),
    Recipe(
        ".jsonl", "texts",
        lambda s: "\n".join(json.dumps({"text": each * 3 if each != s.sentence else each, "n": [1]})
                            for each in [*s.prose(3), s.sentence]).encode(),
    ),
    Recipe(".xml", "elements", lambda s: _xml(s, attributes=False), said="flow: {flow}"),
    Recipe(".xml", "attributes", lambda s: _xml(s, attributes=True), said="flow: {flow}"),
    Recipe(".rss", "description", _feed),
]  # fmt: skip
