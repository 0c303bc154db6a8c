"""Names that a question has and no passage."""

from __future__ import annotations

import pytest
from trivium_evidence.absent_names import ANOTHER, share_of_absent_names, without_names

TEXTS = ["The warranty of the KX-200 lasts 36 months in Normandy.", "Trivium keeps vectors in Qdrant. KX 300: 38 kg."]


@pytest.mark.parametrize(
    ("question", "absent"),
    [
        ("What is the warranty of the KX-900?", ANOTHER),
        ("What is the warranty of the KX-200?", 0),
        ("What is the weight of the KX300?", 0),  # written apart there
        ("KX-900的保修期是多久？", ANOTHER),
        ("KX-200的保修期是多久？", 0),
        ("What is the warranty of the LM-5?", 1),
        ("ThinkPad warranty", 1),
        ("How do I reset my Salesforce password?", 1),
        ("Does Trivium support Milvus?", 0.5),
        ("What did the Normans keep?", 0),  # a form of what is named
        ("How long is the warranty?", 0),
        ("Is the VPN covered?", 0),  # it may be written out
        ("What Covers The Warranty Of Pumps?", 0),  # a title has capitals everywhere
        ("Wie lange ist die Garantie auf Filter?", 0),  # and German nouns have them
        ("", 0),
    ],
)
def test_share_of_absent_names_counts_what_is_a_name_for_sure(question: str, absent: float) -> None:
    share = share_of_absent_names(question, TEXTS)

    assert share == (pytest.approx(0.5) if absent == 0.5 else absent)


def test_chance_without_names_falls_and_stays_a_chance() -> None:
    assert without_names(0.5, 0.0) == 0.5
    assert without_names(0.5, 0.5) == pytest.approx(0.27, abs=0.01)
    assert without_names(0.5, 1.0) == pytest.approx(0.05, abs=0.01)
    assert without_names(0.9, ANOTHER) < 0.01
    assert without_names(0.0, 1.0) == 0.0
    assert without_names(1.0, 1.0) == 1.0
