"""Data as text: JSON, lines of JSON, XML."""

import json
import re
from collections.abc import Iterator
from itertools import groupby
from xml.etree.ElementTree import Element, tostring

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken
from trivium_gateway.ingestion.formats.entities import parse_with_entities
from trivium_gateway.ingestion.formats.packages import local_name
from trivium_gateway.ingestion.html import html_text

__all__ = ["read_json", "read_json_lines", "read_xml"]

_TEXT = r'"(?:[^"\\\n]|\\.)*+"'
_COMMENT = re.compile(rf"(?P<text>{_TEXT})|//[^\n]*|/\*(?:[^*]++|\*(?!/))*+(?:\*/|\Z)")
_LAST_COMMA = re.compile(rf"(?P<text>{_TEXT})|,(?=\s*+[\]}}])")
_BLANKS = re.compile(r"\s*")
_XHTML = "{http://www.w3.org/1999/xhtml}"
_MARKUP = re.compile(
    r"</(?:p|a|b|i|em|strong|span|div|ul|ol|li|h[1-6]|table|td|pre|code|blockquote)>|<(?:br|hr|img|p)\b[^<>]*>", re.I
)
"""What the text of an element has if it is a part of a web page, as in feeds."""
_CUT = "(The last line of the file is cut off, and is left out.)"
_MOST_VALUES = 100_000
_MOST_COLUMNS = 40
_MOST_DEPTH = 100
_MOST_NESTED = 3
_LONG_VALUE_CHARACTERS = 200


def read_json(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read JSON: like records become a table, anything else a list of `name: value`."""
    blocks = Blocks(bounds)
    try:
        _add(_parsed(decode(data)), blocks)
    except (ValueError, RecursionError) as error:
        raise broken("JSON") from error
    return "", blocks.text()


def read_json_lines(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read lines of JSON: like records become a table, others lists of `name: value`."""
    blocks = Blocks(bounds)
    try:
        values, is_cut = _values_by_line([line for line in decode(data).splitlines() if line.strip()])
        _add(_without_nulls(values), blocks)
        if is_cut:
            blocks.paragraph(_CUT)
    except (ValueError, RecursionError) as error:
        raise broken("file of JSON lines") from error
    return "", blocks.text()


def _values_by_line(lines: list[str]) -> tuple[list[object], bool]:
    """Read the lines; and tell whether the last one was cut off, as in what was being written or was not whole sent."""
    values: list[object] = [json.loads(line) for line in lines[:-1]]
    try:
        values += map(json.loads, lines[-1:])
    except ValueError:
        if not values:
            raise
        return values, True
    return values, False


def _parsed(text: str) -> object:
    """Read JSON; also with comments and commas before ends, as people write settings, and several values in a row."""
    try:
        return json.loads(text)
    except ValueError as error:
        plain = _LAST_COMMA.sub(_text_alone, _COMMENT.sub(_text_alone, text))
        decoder, values, at = json.JSONDecoder(), [], 0
        while (at := _BLANKS.match(plain, at).end()) < len(plain):  # type: ignore[union-attr]  # it matches anything
            try:
                value, at = decoder.raw_decode(plain, at)
            except ValueError:
                raise error from None
            values.append(value)
            if len(values) > _MOST_VALUES:
                raise
        return values[0] if len(values) == 1 else values


def _text_alone(found: re.Match[str]) -> str:
    return found["text"] or ""


def _without_nulls(values: list[object]) -> list[object]:
    return [value for value in values if value is not None]


def read_xml(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read XML of any kind: text as paragraphs, and elements with nothing but text as `name: value`."""
    root = parse_with_entities(data)
    if root.tag.startswith(_XHTML):
        return html_text(decode(data))
    _read_pages_in(root)
    blocks = Blocks(bounds)
    _add_element(root, blocks, 0)
    title = next((each.text or "" for each in root.iter() if local_name(each) == "title"), "")
    return title, blocks.text()


def _read_pages_in(root: Element) -> None:
    """Read parts of web pages, as feeds have them, escaped or as elements."""
    for element in list(root.iter()):
        pages = [child for child in element if isinstance(child.tag, str) and child.tag.startswith(_XHTML)]
        if pages and len(pages) == len(element):
            for part in (part for page in pages for part in page.iter()):
                part.tag = local_name(part)
            written = (element.text or "") + "".join(tostring(page, "unicode", method="html") for page in pages)
            element[:], element.text = [], html_text(written)[1]
        elif not len(element) and element.text and _MARKUP.search(element.text):
            element.text = html_text(element.text)[1]


def _add(value: object, blocks: Blocks) -> None:
    if isinstance(value, list):
        value = _flat_records(value)
    if isinstance(value, list) and (columns := _columns(value)):
        blocks.table([columns, *([_scalar(record.get(name)) for name in columns] for record in value)])
        return
    if isinstance(value, list) and 1 < len(runs := _runs(value)) < len(value):
        for run in runs:
            _add(run, blocks)
        return
    records = value if isinstance(value, list) else [value]
    for record in records:
        if isinstance(record, dict):
            for name, inner in record.items():
                _add_named(name, inner, blocks, 0)
        else:
            for depth, line in _lines("", record, 0):
                blocks.item(depth, "-", line)
        if isinstance(record, dict):
            blocks.end_list()


def _runs(values: list[object]) -> list[list[object]]:
    """Part records from what stands between them."""
    return [list(run) for _, run in groupby(values, key=lambda value: isinstance(value, dict))]


def _add_named(name: str, value: object, blocks: Blocks, depth: int) -> None:
    if isinstance(value, dict) and (columns := _columns(list(value.values()))):
        blocks.table([[name, *columns], *_rows_by_name(value, columns)])
    elif isinstance(value, list) and _is_table(value):
        blocks.paragraph(f"{name}:")
        _add(value, blocks)
    elif isinstance(value, dict) and depth < _MOST_NESTED and _has_table(value, _MOST_NESTED - depth):
        for key, each in value.items():
            _add_named(f"{name}.{key}", each, blocks, depth + 1)
    else:
        for level, line in _lines(name, value, 0):
            blocks.item(level, "-", line)


def _has_table(value: dict[str, object], depth: int) -> bool:
    return any(
        _is_table(each) or (isinstance(each, dict) and depth > 1 and _has_table(each, depth - 1))
        for each in value.values()
    )


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(_columns(_flat_records(value)))


def _flat_records(values: list[object]) -> list[object]:
    """Records whose inner records and lists of short values are columns of their own, named `outer.inner`."""
    return [_flat(value, "", 0) if isinstance(value, dict) else value for value in values]


def _flat(record: dict[str, object], prefix: str, depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in record.items():
        if isinstance(value, dict) and value and depth < _MOST_NESTED:
            found |= _flat(value, f"{prefix}{name}.", depth + 1)
        elif isinstance(value, list) and all(not isinstance(each, (dict, list)) for each in value):
            found[f"{prefix}{name}"] = ", ".join(map(_scalar, value))
        else:
            found[f"{prefix}{name}"] = value
    return found


def _rows_by_name(records: dict[str, dict[str, object]], columns: list[str]) -> list[list[str]]:
    return [[key, *(_scalar(record.get(name)) for name in columns)] for key, record in records.items()]


def _columns(values: list[object]) -> list[str]:
    """Name the columns of records with single short values; empty if they are none."""
    names: dict[str, None] = {}
    for record in values:
        if not isinstance(record, dict) or any(not _is_short(value) for value in record.values()):
            return []
        names.update(dict.fromkeys(record))
        if len(names) > _MOST_COLUMNS:
            return []
    shared = set(names).intersection(*(record for record in values if isinstance(record, dict)))
    return list(names) if len(values) > 1 and shared and len(names) > 1 else []


def _is_short(value: object) -> bool:
    return not isinstance(value, (dict, list)) and len(_scalar(value)) <= _LONG_VALUE_CHARACTERS


def _lines(name: str, value: object, depth: int) -> Iterator[tuple[int, str]]:
    prefix = f"{name}: " if name else ""
    if not isinstance(value, (dict, list)):
        yield depth, prefix + _scalar(value)
    elif isinstance(value, list) and all(not isinstance(each, (dict, list)) for each in value):
        yield depth, prefix + ", ".join(map(_scalar, value))
    else:
        if name:
            yield depth, f"{name}:"
        inner = (
            value.items() if isinstance(value, dict) else ((str(index), each) for index, each in enumerate(value, 1))
        )
        for key, each in inner:
            yield from _lines(str(key), each, depth + bool(name))


def _scalar(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _add_element(element: Element, blocks: Blocks, depth: int) -> None:
    name = local_name(element)
    attributes = [f"{key.rpartition('}')[2]}: {value}" for key, value in element.attrib.items()]
    text = " ".join((element.text or "").split())
    mixed = any((child.tail or "").strip() for child in element)
    if not len(element) or mixed or depth >= _MOST_DEPTH:
        whole = " ".join("".join(element.itertext()).split())
        said = f"{name}: {whole}" if whole and not mixed else whole or (name if attributes else "")
        if "\n\n" in (element.text or ""):  # several blocks of a page
            blocks.paragraph(", ".join([name, *attributes]) if attributes else f"{name}:")
            blocks.paragraph(element.text or "")
            return
        blocks.item(0, "-", said + (f" ({', '.join(attributes)})" if attributes else ""))
        return
    blocks.paragraph(", ".join([f"{name}{': ' + text if text else ''}", *attributes]))
    tables = _tables(element)
    for child in element:
        records = tables.get(local_name(child))
        if records is None:
            _add_element(child, blocks, depth + 1)
        elif records:
            _add(list(records), blocks)
            records.clear()


def _tables(element: Element) -> dict[str, list[object]]:
    """Find children of one name that are like records, as such, by name."""
    found: dict[str, list[object]] = {}
    for child in element:
        found.setdefault(local_name(child), []).append(_record(child))
    return {name: records for name, records in found.items() if _columns(records)}


def _record(element: Element) -> dict[str, str] | None:
    """Read an element as a record of attributes and children with nothing but text; None if there is more in it."""
    record = {key.rpartition("}")[2]: value for key, value in element.attrib.items()}
    if (element.text or "").strip():
        return None
    for child in element:
        name = local_name(child)
        is_long = "\n\n" in (child.text or "")  # several blocks of a page
        if len(child) or child.attrib or (child.tail or "").strip() or name in record or is_long:
            return None
        record[name] = " ".join((child.text or "").split())
    return record
