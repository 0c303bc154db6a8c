"""What passages cannot state: they say it of another thing, or do not count what is to be counted."""

from __future__ import annotations

import pytest
from trivium_evidence.signs import Read
from trivium_evidence.unstated import lacks_what_is_asked

_NEXT = "\n\f"
RATINGS = "| Model | Input voltage | Output current |\n|---|---|---|\n| Kestrel | | 5 A |\n| Merlin | 24 V | |\n"
ROLES = "| Name | Role | Office |\n|---|---|---|\n| Tom Okafor | Head of sales | Graz |\n| Ilse Bauer | CEO | Linz |\n"


@pytest.mark.parametrize(
    ("question", "text", "lacks"),
    [
        ("Who is the head of marketing?", ROLES, True),
        ("Who is the head of human resources?", ROLES, True),
        ("Who is the head of sales?", ROLES, False),
        ("Who is the head of marketing?", "Marketing is headed by Ann Lee. The head of sales is Tom Okafor.", False),
        ("Who works in the office in Linz?", ROLES + "\nThe office in Graz is closed.", False),
        ("When does the office in Linz close?", ROLES + _NEXT + "The office in Graz closes at 17:00.", True),
        ("What is the name of Gou's calendar?", "Gou made the calendar Shoushi. The name of China changed.", False),
        ("How many employees does Norda have?", "All employees have 25 days of holiday.\n\n3. Staff. Two start.", True),
        ("How many employees does Norda have?", "We are 140 people in three offices.", False),
        ("How many employees does Norda have?", "| Employees | Offices |\n|---|---|\n| 140 | 3 |\n", False),
        ("How many employees does Norda have?", "The number of our employees has doubled to 140.", False),
        ("How many people work in the warehouse?", "Work from home is possible on two days a week.", True),
        ("What is the input voltage of the Kestrel?", RATINGS, True),
        ("What is the output current of the Kestrel?", RATINGS, False),
        ("What is the input voltage of the Merlin?", RATINGS, False),
        ("What is the input voltage of the Kestrel?", RATINGS + "\nThe Kestrel has an input voltage of 12 V.", False),
        ("How many times has Ajax won the cup?", "Ajax won the cup again and again.", False),
    ],
)
def test_passages_are_said_to_lack_what_they_say_of_others_alone(question: str, text: str, lacks: bool) -> None:
    assert lacks_what_is_asked(question, [Read(one) for one in text.split(_NEXT)]) is lacks
