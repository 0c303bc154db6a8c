"""Charts and diagrams (SmartArt) of Office documents, which are kept in parts of their own."""

from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element

from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.packages import Package, local_name

__all__ = ["add_drawings"]

_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MOST_POINTS = 1000


def add_drawings(
    elements: Iterable[Element], package: Package, parts: Mapping[str, tuple[str, str]], blocks: Blocks
) -> None:
    """Add the charts and diagrams that some elements show: their title and a table of values, or what they say.

    Args:
        elements: All elements of a slide or a paragraph.
        package: The document.
        parts: What its part refers to, by id: see `Package.related`.
        blocks: Where to add them.
    """
    for element in elements:
        name = local_name(element)
        if name not in ("chart", "relIds"):
            continue
        _, part = parts.get(element.get(f"{_RELATION}{'id' if name == 'chart' else 'dm'}", ""), ("", ""))
        if part in package.names:
            (_add_chart if name == "chart" else _add_diagram)(package.xml(part), blocks)


def _add_diagram(diagram: Element, blocks: Blocks) -> None:
    for point in (each for each in diagram.iter() if local_name(each) == "pt"):
        blocks.item(0, "-", _said(point))


def _add_chart(chart: Element, blocks: Blocks) -> None:
    # Of the chart, and not of its axes.
    title = next((each for each in chart.iter() if local_name(each) == "title"), None)
    axes = [each for each in chart.iter() if local_name(each).endswith("Ax")]
    if title is not None and not any(title in axis for axis in axes):
        blocks.paragraph(_said(title))
    columns: list[tuple[str, dict[int, str]]] = []
    categories: dict[int, str] = {}
    for series in (each for each in chart.iter() if local_name(each) == "ser"):
        own = {local_name(child): child for child in series}
        name = " ".join(_points(own["tx"]).values()) if "tx" in own else ""
        values = own.get("val", own.get("yVal"))
        if values is not None:
            columns.append((name, _points(values)))
        named = own.get("cat", own.get("xVal"))
        if named is not None:
            categories = categories or _points(named)
    places = sorted({place for _, values in columns for place in values} | categories.keys())[:_MOST_POINTS]
    rows = [[categories.get(place, ""), *(values.get(place, "") for _, values in columns)] for place in places]
    if rows:
        blocks.table([["", *(name for name, _ in columns)], *rows])


def _points(parent: Element) -> dict[int, str]:
    """The values that were saved, by their place; a value that stands alone has place 0."""
    found: dict[int, str] = {}
    for element in parent.iter():
        if local_name(element) == "pt":
            place = element.get("idx", "")
            found[int(place) if place.isdigit() else len(found)] = next(
                (each.text or "" for each in element if local_name(each) == "v"), ""
            )
    alone = next((each.text or "" for each in parent if local_name(each) == "v"), "")
    return found or ({0: alone} if alone else {})


def _said(element: Element) -> str:
    paragraphs = [each for each in element.iter() if local_name(each) == "p"]
    lines = ("".join(run.text or "" for run in each.iter() if local_name(run) == "t") for each in paragraphs)
    return " ".join(" ".join(lines).split())
