"""Facts in text, and in markup that is text."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from documents.known.recipe import Recipe

if TYPE_CHECKING:
    from documents.known.recipe import Subject

_STEP = "Which vent is opened to stop the {name} pump?"
_CYCLES = "How many cycles does the {name} pump stand?"


def _paragraphs(subject: Subject, count: int = 12) -> str:
    prose = subject.prose(count)
    return "\n\n".join([*prose[: count // 2], subject.sentence, *prose[count // 2 :]]) + "\n"


def _wrapped(subject: Subject) -> str:
    return _paragraphs(subject).replace("pump is ", "pump\nis ")


def _pipes(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---|---|---|", *lines[1:]])


def _steps(subject: Subject) -> str:
    steps = ["Close the outlet", "Switch off the drive", f"Open the vent {subject.name}-V", "Drain the casing"]
    return f"To stop the {subject.name} pump:\n\n" + "\n".join(f"{at}. {step}." for at, step in enumerate(steps, 1))


def _picture(subject: Subject) -> str:
    data = base64.b64encode(bytes(range(256)) * 180).decode()
    return f"# Pumps\n\n![drawing](data:image/png;base64,{data})\n\n{_paragraphs(subject)}"


def _grid(rows: list[list[str]]) -> str:
    rule = "+" + "+".join("-" * 22 for _ in rows[0]) + "+"
    lines = ["|" + "|".join(f" {cell:<21}" for cell in row) + "|" for row in rows]
    return "\n".join([rule, lines[0], rule.replace("-", "="), *(f"{line}\n{rule}" for line in lines[1:])])


def _simple(rows: list[list[str]]) -> str:
    rule = " ".join("=" * 20 for _ in rows[0])
    lines = [" ".join(f"{cell:<20}" for cell in row).rstrip() for row in rows]
    lines[1:] = [line if line.strip() else "\\" for line in lines[1:]]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule])


def _list_table(rows: list[list[str]]) -> str:
    lines = [".. list-table:: Pumps", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'* -' if at == 0 else '  -'} {cell}".rstrip() for at, cell in enumerate(row)]
    return "\n".join(lines)


def _rst(body: str) -> str:
    return f"Pumps\n=====\n\nLimits\n------\n\n{body}\n\nStorage\n-------\n\nKeep them dry.\n"


def _org(body: str) -> str:
    return f"#+TITLE: Pumps\n\n* Limits\n{body}\n* Storage\nKeep them dry.\n"


def _tex(body: str) -> str:
    return (
        "\\documentclass{article}\n\\title{Pumps}\n\\begin{document}\n\\maketitle\n\\section{Limits}\n"
        f"{body}\n\\section{{Storage}}\nKeep them dry.\n\\end{{document}}\n"
    )


def _tabular(rows: list[list[str]]) -> str:
    lines = [" & ".join(row) + r" \\" for row in rows]
    return "\n".join(
        [
            r"\begin{table}[h]",
            r"\begin{tabular}{l|r|r}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\caption{All pumps.}",
            r"\end{table}",
        ]
    )


def _notebook(*cells: dict[str, object]) -> bytes:
    return json.dumps({"cells": [{"metadata": {}, **cell} for cell in cells], "metadata": {}, "nbformat": 4}).encode()


def _python(subject: Subject) -> str:
    return f'"""Pumps."""\n\n\ndef flow(pump: str) -> float:\n    """{subject.sentence}"""\n    return TABLE[pump]\n'


def _subtitles(subject: Subject, comma: str) -> str:
    said = [*subject.prose(3), subject.sentence, *subject.prose(3)]
    return "\n\n".join(
        f"{at}\n00:0{at}:00{comma}000 --> 00:0{at}:04{comma}000\n{text}" for at, text in enumerate(said, 1)
    )


RECIPES = [
    Recipe(".txt", "paragraph", lambda s: _paragraphs(s).encode()),
    Recipe(".txt", "UTF-16", lambda s: _paragraphs(s).encode("utf-16")),
    Recipe(".txt", "Windows-1252", lambda s: f"Prüfung für Größen über 5 §.\n\n{_paragraphs(s)}".encode("cp1252")),
    Recipe(".txt", "wrapped lines", lambda s: _wrapped(s).encode()),
    Recipe(".txt", "the end of a long text", lambda s: ("\n\n".join(s.prose(90)) + "\n\n" + s.sentence).encode()),
    Recipe(
        ".md",
        "table cell",
        lambda s: f"# Pumps\n\n## Limits\n\n{_pipes(s.rows())}\n".encode(),
        said="Flow: {flow}",
        heading="Limits",
    ),
    Recipe(
        ".md",
        "front matter",
        lambda s: f"---\ntitle: Pumps\nowner: Jo\n---\n\n# Limits\n\n{_paragraphs(s)}".encode(),
        heading="Limits",
    ),
    Recipe(".md", "after a picture", lambda s: _picture(s).encode()),
    Recipe(
        ".md",
        "numbered step",
        lambda s: f"# Stops\n\n{_steps(s)}\n".encode(),
        _STEP,
        "Open the vent {name}-V",
        "3. Open the vent",
    ),
    Recipe(
        ".md",
        "footnote",
        lambda s: f"# Pumps\n\nThe pumps are tested.[^1]\n\n{s.prose(1)[0]}\n\n[^1]: {s.sentence}\n".encode(),
    ),
    Recipe(".rst", "grid table", lambda s: _rst(_grid(s.rows())).encode(), said="Flow: {flow}", heading="Limits"),
    Recipe(".rst", "simple table", lambda s: _rst(_simple(s.rows())).encode(), said="Flow: {flow}", heading="Limits"),
    Recipe(".rst", "list table", lambda s: _rst(_list_table(s.rows())).encode(), said="Flow: {flow}", heading="Limits"),
    Recipe(".rst", "footnote", lambda s: _rst(f"They are tested [#a]_.\n\n.. [#a] {s.sentence}").encode()),
    Recipe(
        ".org",
        "table cell",
        lambda s: _org(_pipes(s.rows()).replace("|---|---|---|", "|---+---+---|")).encode(),
        said="Flow: {flow}",
        heading="Limits",
    ),
    Recipe(".org", "paragraph", lambda s: _org(_paragraphs(s)).encode(), heading="Limits"),
    Recipe(".org", "footnote", lambda s: _org(f"They are tested.[fn:1]\n\n[fn:1] {s.sentence}\n").encode()),
    Recipe(".tex", "table cell", lambda s: _tex(_tabular(s.rows())).encode(), said="Flow: {flow}", heading="Limits"),
    Recipe(
        ".tex", "footnote", lambda s: _tex(f"They are tested.\\footnote{{{s.sentence}}}").encode(), heading="Limits"
    ),
    Recipe(
        ".tex",
        "exponent",
        lambda s: _tex(f"The {s.name} pump stands $10^{{{s.power}}}$ cycles.").encode(),
        _CYCLES,
        "10^{power}",
        heading="Limits",
    ),
    Recipe(
        ".tex",
        "list",
        lambda s: _tex(
            "\\begin{itemize}\n"
            + "\n".join(f"\\item {each}" for each in [*s.prose(2), s.sentence])
            + "\n\\end{itemize}"
        ).encode(),
        heading="Limits",
    ),
    Recipe(
        ".ipynb",
        "Markdown cell",
        lambda s: _notebook({"cell_type": "markdown", "source": ["## Limits\n", "\n", s.sentence]}),
        heading="Limits",
    ),
    Recipe(
        ".ipynb",
        "output",
        lambda s: _notebook(
            {"cell_type": "markdown", "source": "# Measured"},
            {
                "cell_type": "code",
                "source": "print(flow)",
                "execution_count": 1,
                "outputs": [{"output_type": "stream", "name": "stdout", "text": [s.sentence]}],
            },
        ),
        heading="Measured",
    ),
    Recipe(
        ".ipynb",
        "table in Markdown",
        lambda s: _notebook({"cell_type": "markdown", "source": f"## Limits\n\n{_pipes(s.rows())}"}),
        said="Flow: {flow}",
        heading="Limits",
    ),
    Recipe(".py", "docstring", lambda s: _python(s).encode()),
    Recipe(".sql", "comment", lambda s: f"-- {s.sentence}\nselect flow from pumps where name = 'x';\n".encode()),
    Recipe(
        ".yaml",
        "value",
        lambda s: f"pumps:\n  - name: {s.name}\n    flow: {s.flow}\n  - name: Quill\n".encode(),
    ),
    Recipe(".js", "comment", lambda s: f"// {s.sentence}\nexport const flow = (pump) => table[pump];\n".encode()),
    Recipe(".srt", "what is said", lambda s: _subtitles(s, ",").encode()),
    Recipe(".vtt", "what is said", lambda s: f"WEBVTT\n\n{_subtitles(s, '.')}\n".encode()),
    Recipe(
        ".vtt",
        "a voice",
        lambda s: f"WEBVTT\n\n{_subtitles(s, '.')}\n".replace(s.sentence, f"<v Jo>{s.sentence}</v>").encode(),
    ),
]
