"""What a known file is: a question, what its answer says, and where that stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_BEGINNINGS = ("Al", "Bren", "Cor", "Dal", "El", "Fen", "Gar", "Hol", "Is", "Jun", "Kal", "Lor", "Mar", "Nor", "Os")
_ENDINGS = ("mont", "wick", "dale", "ford", "stead", "haven", "ley", "thorpe")
_OTHERS = ("Quill", "Tarn", "Ember", "Sable", "Wren", "Birch", "Heath", "Cliff", "Vale", "Moor", "Fern", "Ridge")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a file is about.

    Attributes:
        name: Of the pump; no other file has it.
        flow: What is asked for mostly, with its unit.
        head: Something else about it.
        power: An exponent.
    """

    name: str
    flow: str
    head: str
    power: int

    def others(self, count: int) -> list[tuple[str, str, str]]:
        """Other pumps of the same file: name, head and flow."""
        return [
            (f"{_OTHERS[at % len(_OTHERS)]} {100 + at}{self.name[0]}", f"{3 + at} m", f"{at + 200}.5 l/s")
            for at in range(count)
        ]

    def rows(self, count: int = 6, *, at: int = 3) -> list[list[str]]:
        """A table about pumps with this one in row `at`, whose head is not known."""
        rows = [list(row) for row in self.others(count)]
        rows[at:at] = [[self.name, "", self.flow]]
        return [["Pump", "Head", "Flow"], *rows]

    @property
    def sentence(self) -> str:
        """The fact as prose."""
        return f"The flow of the {self.name} pump is {self.flow}."

    def prose(self, count: int = 4) -> list[str]:
        """Sentences about other pumps."""
        return [
            f"The flow of the {name} pump is {flow}, at a head of {head}." for name, head, flow in self.others(count)
        ]


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file and what is known about it.

    Attributes:
        name: Of the file.
        data: Its content.
        place: Where the fact stands.
        question: Asks for it.
        said: What the answer must contain.
        cited: What the cited span must contain.
        heading: What the citation's headings must contain; may be empty.
        page: The citation's page; 0 if the format has none.
        part: What the id of the cited document must end with: the name of an attachment or of an archive's member.
    """

    name: str
    data: bytes
    place: str
    question: str
    said: str
    cited: str
    heading: str = ""
    page: int = 0
    part: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to make a known file; `{name}`, `{flow}`, `{head}` and `{power}` in texts stand for the subject's."""

    ending: str
    place: str
    make: Callable[[Subject], bytes]
    question: str = "What is the flow of the {name} pump?"
    said: str = "{flow}"
    cited: str = ""
    heading: str = ""
    page: int = 0
    part: str = ""

    def file(self, number: int) -> KnownFile:
        """Make the file with the subject of that number."""
        beginning, ending = number % len(_BEGINNINGS), number // len(_BEGINNINGS)
        name = _BEGINNINGS[beginning] + _ENDINGS[ending]
        subject = Subject(name, f"{number % 90 + 10}.{number % 9 + 1} l/s", f"{number + 20} m", number % 7 + 4)
        values = {"name": name, "flow": subject.flow, "head": subject.head, "power": str(subject.power)}
        question, said, cited, heading, part = (
            text.format(**values) for text in (self.question, self.said, self.cited, self.heading, self.part)
        )
        file_name = f"{number:03d}-{self.place.replace(' ', '-')}{self.ending}"
        return KnownFile(
            file_name,
            self.make(subject),
            self.place,
            question,
            said,
            cited or said.rpartition(": ")[2],
            heading,
            self.page,
            part,
        )
