"""Other markup whose text reads well as it is: headings and tables become those of Markdown, the rest stays."""

import re

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.markup_tables import latex_tables, org_table, restructured_table
from trivium_gateway.ingestion.formats.quantities import written_quantities

__all__ = ["read_latex", "read_org", "read_restructured_text"]

_UNDERLINE = re.compile(r"([=\-~^\"'`#*+.:_])\1{2,}\s*")
_RST_CODE = re.compile(r"\.\. (?:code-block|code|sourcecode)::[ \t]*(\S*)")
_ROLE = re.compile(r":[a-z]{1,20}:`([^`<\n]{1,200})(?:<[^`>\n]{0,200}>)?`")
_RST_NOTE = re.compile(r"^\.\. \[#?([\w-]{1,40})\] ")
_RST_MARK = re.compile(r"(?<=\S) ?\[#?([\w-]{1,40})\]_(?!\w)")
_ORG_NOTE = re.compile(r"^\[fn:([\w-]{1,40})\] ?")
_ORG_MARK = re.compile(r"\[fn:([\w-]{1,40})\]")
_ORG_HEADING = re.compile(r"(\*{1,6})[ \t]++(?:(?:TODO|DONE)[ \t]++)?(\S.*)")
_ORG_BLOCK = re.compile(r"#\+(begin|end)_(src|example)[ \t]*(\S*)", re.I)
_ORG_TITLE = re.compile(r"#\+title:(.*)", re.I)
_TEX_COMMENT = re.compile(r"(?<!\\)%.*")
_TEX_HEADING = re.compile(r"\\(part|chapter|section|subsection|subsubsection|paragraph)\*?(?:\[[^\]]*\])?\{([^{}]*)\}")
_TEX_LEVELS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4, "paragraph": 5}
_TEX_TITLE = re.compile(r"\\title\{([^{}]*)\}")
_TEX_WRAPPED = re.compile(r"\\(?:textbf|textit|emph|texttt|underline|textsc|mbox|text|url)\{([^{}]*)\}")
_TEX_FOOTNOTE = re.compile(r"\\(?:footnote|caption)\{([^{}]*)\}")
_TEX_DROPPED = re.compile(
    r"\\(?:label|vspace|hspace|centering|small|noindent|hline|toprule|midrule|bottomrule|maketitle|tableofcontents)\*?(?:\{[^{}]*\})?"
)
_TEX_ITEM_WITHIN = re.compile(r"(?<=[^\s])[ \t]*+(?=\\item\b)")
_TEX_LIST = re.compile(
    r"(?:^[ \t]*+)?\\(?:(begin|end)\{(?:itemize|(enumerate)|description)\*?\}(\[[^\]\n]{0,200}\])?"
    r"|item\b(?:[ \t]*+\[([^\]\n]{0,200})\])?[ \t]*+)",
    re.MULTILINE,
)
_TEX_START = re.compile(r"\bstart[ \t]*+=[ \t]*+(\d{1,6})")
_TEX_FORMULA = re.compile(r"(?<![\\$])\$([^$\n]{1,200})\$(?!\$)")
_TEX_RAISED = re.compile(r"([\^_])\{([\w+.\u2212-]{1,20})\}")
_TEX_SIGNS = {
    r"^\circ": "°", r"^{\circ}": "°", r"\times": "×", r"\cdot": "·", r"\pm": "±", r"\leq": "≤", r"\geq": "≥",
    r"\le": "≤", r"\ge": "≥", r"\approx": "≈", r"\mu": "µ", r"\Omega": "Ω", r"\pi": "π", r"\%": "%", r"\,": " ",
}  # fmt: skip
_TEX_ESCAPED = re.compile(r"\\([%&_#{}])")
_TEX_MACRO = re.compile(r"\\(?:re)?newcommand\*?\{?\\([a-zA-Z]{1,40})\}?\{([^{}\\#]{0,200})\}")
_TEX_ENVIRONMENT = re.compile(r"\\(?:begin|end)\{(?:document|center|table|figure|abstract)\*?\}(?:\[[^\]]*\])?")


def read_restructured_text(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read reStructuredText: headings by their underlines, in the order in which these appear, tables and code."""
    lines = decode(data).replace("\r\n", "\n").split("\n")
    levels: dict[str, int] = {}
    title = ""
    out: list[str] = []
    index = 0
    while index < len(lines):
        if table := restructured_table(lines, index):
            out += ["", table[0], ""]
            index = table[1]
            continue
        line = lines[index]
        below = lines[index + 1] if index + 1 < len(lines) else ""
        over = _UNDERLINE.fullmatch(line)
        if over and index + 2 < len(lines) and lines[index + 2].rstrip() == line.rstrip() and below.strip():
            key, heading, index = over[1] * 2, below.strip(), index + 3
        elif (under := _UNDERLINE.fullmatch(below)) and line.strip() and not _UNDERLINE.fullmatch(line):
            if len(below.rstrip()) < len(line.rstrip()) or line[0].isspace():
                out.append(line)
                index += 1
                continue
            key, heading, index = under[1], line.strip(), index + 2
        elif code := _RST_CODE.fullmatch(line.strip()):
            index = _take_code(lines, index + 1, code[1], out)
            continue
        else:
            line = _RST_MARK.sub(r"[^\1]", _RST_NOTE.sub(r"[^\1]: ", line))
            out.append(_ROLE.sub(lambda match: match[1].strip(), line))
            index += 1
            continue
        level = levels.setdefault(key, len(levels) + 1)
        title = title or heading
        out += [f"{'#' * min(level, 6)} {heading}", ""]
    return title, "\n".join(out)


def _take_code(lines: list[str], index: int, language: str, out: list[str]) -> int:
    """Add the indented lines that follow as code; give the index of the first line after them."""
    block: list[str] = []
    while index < len(lines) and (not lines[index].strip() or lines[index][0].isspace()):
        block.append(lines[index])
        index += 1
    while block and (not block[0].strip() or block[0].lstrip().startswith(":")):
        block.pop(0)
    indent = min((len(line) - len(line.lstrip()) for line in block if line.strip()), default=0)
    out += [f"```{language}", *("\n".join(line[indent:] for line in block).rstrip().split("\n")), "```", ""]
    return index


def read_org(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read an Org file: headings, tables and code."""
    title = ""
    out: list[str] = []
    in_code = False
    lines = decode(data).splitlines()
    index = -1
    while (index := index + 1) < len(lines):
        line = lines[index]
        block = _ORG_BLOCK.match(line.strip())
        if block:
            in_code = block[1].lower() == "begin"
            out.append(f"```{block[3]}" if in_code else "```")
        elif in_code:
            out.append(line)
        elif table := org_table(lines, index):
            out += ["", table[0], ""]
            index = table[1] - 1
        elif heading := _ORG_HEADING.fullmatch(line):
            said, _, tags = heading[2].rstrip().rpartition(" ")
            said = said.rstrip() if said and tags.startswith(":") and tags.endswith(":") else heading[2].rstrip()
            out.append(f"{'#' * len(heading[1])} {said}")
            title = title or said
        elif named := _ORG_TITLE.match(line):
            title = named[1].strip()
            out.append(f"# {title}")
        elif not line.startswith("#+"):
            out.append(_ORG_MARK.sub(r"[^\1]", _ORG_NOTE.sub(r"[^\1]: ", line)))
    return title, "\n".join(out)


def read_latex(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read LaTeX: headings, lists with their numbers, tables, footnotes, simple formulas; others stay as they are."""
    text = written_quantities(_with_macros(_TEX_COMMENT.sub("", decode(data))))
    title = _TEX_TITLE.search(text)
    _, begin, body = text.partition(r"\begin{document}")
    text = body.partition(r"\end{document}")[0] if begin else text
    for _ in range(3):
        text = _TEX_WRAPPED.sub(r"\1", text)
    text = latex_tables(_TEX_FORMULA.sub(_formula, text))
    text = _TEX_FOOTNOTE.sub(r" (\1)", text)
    text = _TEX_HEADING.sub(lambda match: f"\n\n{'#' * _TEX_LEVELS[match[1]]} {match[2]}\n\n", text)
    text = _TEX_ITEM_WITHIN.sub("\n", text)
    text = _listed(text)
    text = _TEX_ENVIRONMENT.sub("", _TEX_DROPPED.sub("", text))
    text = _TEX_ESCAPED.sub(r"\1", text.replace("~", " ").replace(r"\,", " "))
    return (title[1] if title else ""), re.sub(r"\n{3,}", "\n\n", text).strip()


def _listed(text: str) -> str:
    """Write lists as Markdown's: items with their numbers, those of lists within others indented."""
    counts: list[int | None] = []  # of each list that is open: the number of its last item, None if it has no numbers

    def written(match: re.Match[str]) -> str:
        move, is_numbered, options, label = match.groups()
        if move == "begin":
            start = _TEX_START.search(options or "")
            counts.append((int(start[1]) - 1 if start else 0) if is_numbered else None)
            return ""
        if move == "end":
            del counts[-1:]
            return ""
        number = counts[-1] if counts else None
        if number is not None and label is None:
            number = counts[-1] = number + 1
        indent = "   " * (len(counts) - 1)
        if label is not None:
            return f"{indent}- {label}: " if label else f"{indent}- "
        return f"{indent}- " if number is None else f"{indent}{number}. "

    return _TEX_LIST.sub(written, text)


def _with_macros(text: str) -> str:
    """Puts the author's own names for plain words in their places."""
    macros = dict(_TEX_MACRO.findall(text))
    if not macros:
        return text
    names = "|".join(sorted(macros, key=len, reverse=True))
    return re.sub(rf"\\({names})(?![a-zA-Z])(?:\{{\}})?", lambda match: macros[match[1]], _TEX_MACRO.sub("", text))


def _formula(match: re.Match[str]) -> str:
    """Write a formula of a few signs as people do, for example 10^6; one of others stays as it is."""
    text = match[1]
    for written, sign in _TEX_SIGNS.items():
        text = text.replace(written, sign)
    text = _TEX_RAISED.sub(r"\1\2", text)
    return match[0] if "\\" in text or "{" in text else text
