"""Tables as other markup writes them: reStructuredText, Org, LaTeX."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

from trivium_gateway.ingestion.markdown_tables import markdown_table

__all__ = ["latex_tables", "org_table", "restructured_table"]

_GRID_RULE = re.compile(r"\+(?:[-=]++\+)++\s*+")
_SIMPLE_RULE = re.compile(r"=++(?: ++=++)++\s*+")
_DIRECTIVE = re.compile(r"\.\. (list-table|csv-table)::")
_OPTION = re.compile(r":(header-rows|header):[ \t]*+(.*)")
_ORG_RULE = re.compile(r"\|[-+|: ]++")
_TABULAR = re.compile(
    r"\\begin\{(tabular[xy]?\*?|tabulary|longtable)\}(?:\[[^\]]{0,40}\])?"
    r"(?:\{[^{}]{0,200}\})?(?:\{(?:[^{}]|\{[^{}]*\}){0,1000}\})((?:(?!\\begin\{).)*?)\\end\{\1\}",
    re.S,
)
_TEX_RULE = re.compile(
    r"\\(?:hline|toprule|midrule|bottomrule|endhead|endfirsthead|endfoot|endlastfoot|(?:cline|cmidrule)(?:\([a-z]*\))?\{[^{}]*\})"
)
_TEX_ROW_END = re.compile(r"\\\\\*?(?:\[[^\]\n]{0,40}\])?|\\tabularnewline\b")
_TEX_CELL_END = re.compile(r"(?<!\\)&")
_TEX_SPAN = re.compile(r"\\multicolumn\{(\d{1,3})\}\{[^{}]*\}\{(.*)\}\s*\Z", re.S)
_TEX_ROWS = re.compile(r"\\multirow(?:\[[^\]]*\])?\{(\d{1,4})\}\{[^{}]*\}\{(.*)\}\s*\Z", re.S)
_MOST_COLUMNS = 1000


def restructured_table(lines: Sequence[str], index: int) -> tuple[str, int] | None:
    """Read the table that begins at a line: a grid, a simple one, or one of a directive.

    Returns:
        The table as Markdown, and the index of the line after it; None if none begins there.
    """
    line = lines[index].strip()
    if _GRID_RULE.fullmatch(line):
        end = _while(lines, index, lambda each: each[:1] in ("+", "|"))
        return _grid([each.strip() for each in lines[index:end]]), end
    if _SIMPLE_RULE.fullmatch(line):
        return _simple(lines, index)
    directive = _DIRECTIVE.match(line)
    if directive is None:
        return None
    margin = len(lines[index]) - len(lines[index].lstrip())
    end = index + 1
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > margin):
        end += 1
    body = [each.strip() for each in lines[index + 1 : end]]
    options = {match[1]: match[2] for each in body if (match := _OPTION.match(each))}
    content = [each for each in body if each and not re.match(r":[a-z-]+:", each)]
    if directive[1] == "csv-table":
        rows = [row for row in csv.reader(io.StringIO("\n".join(content)), skipinitialspace=True) if row]
        names = next(csv.reader([options["header"]], skipinitialspace=True)) if "header" in options else []
        return markdown_table([names, *rows] if names else rows, header_rows=1), end
    header_rows = options.get("header-rows", "0")
    return markdown_table(_list_rows(content), header_rows=int(header_rows) if header_rows.isdigit() else 0), end


def org_table(lines: Sequence[str], index: int) -> tuple[str, int] | None:
    """Read the table that begins at a line; None if none does."""
    end = _while(lines, index, lambda line: line.startswith("|"))
    table = [line.strip() for line in lines[index:end]]
    rules = [at for at, line in enumerate(table) if _ORG_RULE.fullmatch(line)]
    rows = [line.strip("|").split("|") for at, line in enumerate(table) if at not in rules]
    if not rows:
        return None
    header_rows = next((at - sum(one < at for one in rules) for at in rules if at), 0)
    return markdown_table(rows, header_rows=header_rows), end


def latex_tables(text: str) -> str:
    """Write the tables of a text as Markdown."""
    return _TABULAR.sub(lambda match: f"\n\n{_tabular(match[2])}\n\n", text)


def _while(lines: Sequence[str], index: int, holds: Callable[[str], bool]) -> int:
    while index < len(lines) and holds(lines[index].strip()):
        index += 1
    return index


def _grid(lines: Sequence[str]) -> str:
    """Read a grid; what is merged stands in each cell that it covers."""
    edges = sorted({at for line in lines if line[:1] == "+" for at, sign in enumerate(line) if sign == "+"})
    columns = list(pairwise(edges))
    rows: list[list[str]] = [[""] * len(columns)]
    header_rows = 0
    for line in lines[1:]:
        if line.startswith("+") or "+-" in line:
            if "=" in line:
                header_rows = len(rows)
            goes_on = [not set(line[left + 1 : right]) <= set("-=") for left, right in columns]
            rows.append([rows[-1][at] if on else "" for at, on in enumerate(goes_on)])
            continue
        at = 0
        while at < len(columns):
            last = at
            while last + 1 < len(columns) and line[columns[last][1] : columns[last][1] + 1] != "|":
                last += 1
            text = line[columns[at][0] + 1 : columns[last][1]].strip()
            for column in range(at, last + 1):
                rows[-1][column] = f"{rows[-1][column]} {text}".strip()
            at = last + 1
    return markdown_table([row for row in rows if any(row)], header_rows=header_rows)


def _simple(lines: Sequence[str], index: int) -> tuple[str, int] | None:
    rule = lines[index]
    rules = [index]
    end = index + 1
    while end < len(lines) and len(rules) < 3:
        if _SIMPLE_RULE.fullmatch(lines[end].strip()):
            rules.append(end)
            if end + 1 >= len(lines) or not lines[end + 1].strip():
                break
        end += 1
    if len(rules) < 2:
        return None
    starts = [match.start() for match in re.finditer(r"=+", rule)]
    rows: list[list[str]] = []
    header_rows = 0
    for at in range(index + 1, rules[-1]):
        line = lines[at]
        if at in rules:
            header_rows = len(rows)
        elif line.strip() and not re.fullmatch(r"[ -]+", line):
            cells = [line[left:right].strip() for left, right in zip(starts, [*starts[1:], len(line)], strict=True)]
            if not cells[0] and rows:  # it goes on with the row above
                rows[-1] = [f"{above} {cell}".strip() for above, cell in zip(rows[-1], cells, strict=True)]
            else:
                rows.append(["" if cell == "\\" else cell for cell in cells])
    return markdown_table(rows, header_rows=header_rows), rules[-1] + 1


def _list_rows(content: Sequence[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for line in content:
        if re.match(r"\* -(?: |\Z)", line):
            rows.append([line[3:].strip()])
        elif re.match(r"-(?: |\Z)", line) and rows:
            rows[-1].append(line[1:].strip())
        elif rows:
            rows[-1][-1] = f"{rows[-1][-1]} {line}".strip()
    return rows


def _tabular(body: str) -> str:
    rows: list[list[str]] = []
    below: dict[int, tuple[int, str]] = {}
    for line in _TEX_ROW_END.split(_TEX_RULE.sub("", body)):
        if not line.strip():
            continue
        cells: list[str] = []
        for written in _TEX_CELL_END.split(line):
            text, width = written.strip(), 1
            if spanning := _TEX_SPAN.match(text):
                text, width = spanning[2], min(int(spanning[1]), _MOST_COLUMNS)
            if merged := _TEX_ROWS.match(text):
                text = merged[2]
                below[len(cells)] = (int(merged[1]), text)
            left, above = below.get(len(cells), (0, ""))
            if left:
                text = text or above
                below[len(cells)] = (left - 1, above)
            cells += [text] * width
        rows.append(cells)
    return markdown_table(rows)
