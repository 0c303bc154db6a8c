"""Writes a data set of made-up tables with questions about single rows, in the form that `extractive_quality.py` reads.

    python bench/generate/table_facts.py FOLDER

Forty documents with a table each, and a sentence above it: prices, people, data sheets, timetables. Rows of a table
differ little in their names (KX-100, KX-110), so that neighbours are near misses. The same in each run.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

_SERIES = ("KX", "PR", "MT", "ZD", "HV", "QL", "BN", "TS", "FW", "LG")
_TOWNS = ("Ulm", "Graz", "Basel", "Turin", "Lyon", "Gent", "Delft", "Malmo", "Gdansk", "Brno", "Porto", "Cork")
_FIRST = ("Anna", "Tomasz", "Priya", "Jonas", "Lucia", "Marek", "Sofia", "Ole", "Nadia", "Ivo", "Greta", "Paul")
_LAST = (
    "Keller",
    "Nowak",
    "Raman",
    "Weber",
    "Ferrari",
    "Dvorak",
    "Lindgren",
    "Hansen",
    "Amari",
    "Horvat",
    "Vogel",
    "Roux",
)
_ROLES = ("sales", "finance", "purchasing", "service", "logistics", "training", "quality", "security")
Fact = tuple[str, str]


def prices(dice: random.Random, number: int) -> tuple[str, str, list[Fact]]:
    """A price list: title, text, and questions with their answers."""
    series = _SERIES[number]
    rows = [
        (f"{series}-{100 + 10 * step}", f"{dice.randrange(20, 400)}", *map(_money, sorted(_some(dice, 2, 300, 9000))))
        for step in range(6)
    ]
    text = f"All prices of the series {series} are in EUR without tax.\n\n" + _table(
        ("Model", "Flow (l/min)", "Dealer price", "List price"), rows
    )
    model, _, dealer, listed = dice.choice(rows)
    other = dice.choice([row for row in rows if row[0] != model])
    return (
        f"Price list {series}",
        text,
        [
            (f"How much does the {model} cost for dealers?", dealer),
            (f"What is the list price of the {model}?", listed),
            (f"What is the flow of the {other[0]}?", other[1]),
        ],
    )


def people(dice: random.Random, number: int) -> tuple[str, str, list[Fact]]:
    """A list of contacts of a branch."""
    town = _TOWNS[number]
    names = [f"{first} {last}" for first, last in zip(dice.sample(_FIRST, 6), dice.sample(_LAST, 6), strict=True)]
    roles = dice.sample(_ROLES, 6)
    rows = [
        (name, f"Head of {role}", str(dice.randrange(1000, 9999)), str(dice.randrange(2001, 2025)))
        for name, role in zip(names, roles, strict=True)
    ]
    text = f"Whom to call in our branch in {town}.\n\n" + _table(("Name", "Role", "Extension", "Since"), rows)
    one, two = dice.sample(rows, 2)
    return (
        f"Contacts {town}",
        text,
        [
            (f"What is the extension of {one[0]}?", one[2]),
            (f"Who is the {two[1].lower()} in {town}?", two[0]),
            (f"Since when has {two[0]} been there?", two[3]),
        ],
    )


def data_sheet(dice: random.Random, number: int) -> tuple[str, str, list[Fact]]:
    """A data sheet: one property a row."""
    model = f"{_SERIES[number]}-{900 + number}"
    rows = [
        ("Pressure", f"{dice.randrange(20, 99) / 10} bar"),
        ("Power", f"{dice.randrange(10, 80) / 10} kW"),
        ("Voltage", f"{dice.choice((230, 400, 690))} V"),
        ("Weight", f"{dice.randrange(12, 160)} kg"),
        ("Protection class", f"IP{dice.choice((44, 54, 65, 67))}"),
        ("Noise at one metre", f"{dice.randrange(48, 85)} dB"),
    ]
    text = f"The {model} is a pump for clean and slightly dirty water.\n\n" + _table(("Property", "Value"), rows)
    values = dict(rows)
    return (
        f"Data sheet {model}",
        text,
        [
            (f"What is the weight of the {model}?", values["Weight"]),
            (f"Which protection class does the {model} have?", values["Protection class"]),
            (f"What pressure does the {model} reach?", values["Pressure"]),
        ],
    )


def timetable(dice: random.Random, number: int) -> tuple[str, str, list[Fact]]:
    """A timetable of courses."""
    town, topics = _TOWNS[number], dice.sample(("welding", "first aid", "driving", "accounting", "Excel", "safety"), 5)
    rows = [
        (
            f"Course {100 * (number + 1) + at}",
            topic,
            f"2026-{dice.randrange(1, 13):02}-{dice.randrange(1, 29):02}",
            room,
        )
        for at, (topic, room) in enumerate(zip(topics, dice.sample(range(10, 99), 5), strict=True))
        for room in (f"room {room}",)
    ]
    text = f"Courses in {town} in 2026.\n\n" + _table(("Course", "Topic", "Date", "Where"), rows)
    one, two = dice.sample(rows, 2)
    return (
        f"Courses {town}",
        text,
        [
            (f"When is the course about {one[1]} in {town}?", one[2]),
            (f"Where does {two[0].lower()} take place?", two[3]),
        ],
    )


def _some(dice: random.Random, count: int, low: int, high: int) -> list[int]:
    return dice.sample(range(low, high), count)


def _money(value: int) -> str:
    return f"{value:,}"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)) + "\n"


def main() -> None:
    """Writes corpus, queries and judgements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(4)
    documents, queries, judged = [], [], []
    for make in (prices, people, data_sheet, timetable):
        for number in range(10):
            title, text, facts = make(dice, number)
            documents.append({"id": title.lower().replace(" ", "-"), "title": title, "text": text})
            for question, answer in facts:
                query = {"id": f"q{len(queries)}", "text": question, "answers": [answer]}
                queries.append(query)
                judged.append(f"{query['id']}\t{documents[-1]['id']}\t1\n")
    for name, lines in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    (folder / "qrels.tsv").write_text("".join(judged), encoding="utf-8")


if __name__ == "__main__":
    main()
