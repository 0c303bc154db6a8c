"""Tunes a collection: from questions to settings, and why these."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trivium_client._client import Trivium
from trivium_client._collections import SettingValues
from trivium_client._counting import counted
from trivium_client.evaluation.datasets import KnownQuestion
from trivium_client.evaluation.journal import Journal
from trivium_client.tuning.asking import Tried, memory
from trivium_client.tuning.confidence import FEWEST, Fitted, ask_all, enough, fit
from trivium_client.tuning.searching import SearchTuner, UnfitQuestions, Verdict, halves

FEWEST_QUESTIONS = 20
"""With fewer, nothing can be told from chance."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of the tuning of a collection.

    Attributes:
        questions: How many were asked.
        are_made: Whether they were made of the documents' own words.
        search: What came of looking for better ways to search.
        confidence: What came of fitting the confidence; None where there were too few labelled questions.
        settings: What is to be set, all together; empty for nothing.
        based_on: Number of the settings that it all was compared with.
    """

    questions: int
    are_made: bool
    search: Verdict
    confidence: Fitted | None
    settings: SettingValues
    based_on: int

    def note(self) -> str:
        """Why the settings are as they are, for those who look later."""
        kind = "questions made of its documents" if self.are_made else "labelled questions"
        parts = [f"tuned on {self.questions} {kind}"]
        if self.search.accepted and self.search.difference is not None:
            found = self.search.difference
            parts.append(f"nDCG@10 {found.before:.3f} to {found.after:.3f}, p {found.chance:.3f}")
        if self.confidence is not None and self.confidence.settings and self.confidence.decisions is not None:
            decided = self.confidence.decisions
            parts.append(f"refusals right {decided.before:.3f} to {decided.after:.3f}, p {decided.chance:.3f}")
        return "; ".join(parts)


def tune(
    trivium: Trivium,
    collection: str,
    questions: Sequence[KnownQuestion],
    *,
    are_made: bool,
    journal: Journal[Tried] | None = None,
    caller_count: int = 4,
    on_each: Callable[[], None] = lambda: None,
) -> Tuned:
    """Looks for better settings. Changes nothing.

    Args:
        trivium: The stack.
        collection: The collection's name.
        questions: Whose answers are known.
        are_made: Whether they were made of the documents' own words.
        journal: What an earlier run has asked under the same conditions; gets what is asked.
        caller_count: How many are asked at once.
        on_each: Called for each question that was asked.

    Raises:
        UnfitQuestions: They are too few, or are about other documents.
        NotFound: There is no such collection.
    """
    described = trivium.get_collection(collection)
    now = described.settings.values if described.settings else {}
    searched = [one for one in questions if one.relevant]
    if len(searched) < FEWEST_QUESTIONS:
        raise UnfitQuestions(_too_few(len(searched), collection, are_made=are_made), reason="TOO_FEW_QUESTIONS")
    journal = journal or memory()
    tuner = SearchTuner(trivium, collection, now, journal, caller_count=caller_count, on_each=on_each)
    search = tuner.tune(searched, are_made=are_made)
    chosen: SettingValues = search.settings if search.accepted else {}
    fitted = None
    if enough(questions):
        told = [
            ask_all(
                trivium,
                half,
                collection,
                search=chosen,
                in_force=now,
                journal=journal,
                caller_count=caller_count,
                on_each=on_each,
            )
            for half in halves(questions)
        ]
        if all(sum(one.answerable is kind for one in half) >= FEWEST for half in told for kind in (True, False)):
            fitted = fit(*told)
    settings = {**(search.changes if search.accepted else {}), **(fitted.settings if fitted else {})}
    return Tuned(
        len(questions), are_made, search, fitted, settings, described.settings.number if described.settings else 0
    )


def _too_few(count: int, collection: str, *, are_made: bool) -> str:
    if are_made:
        return (
            f"only {counted(count, 'question')} could be made of the documents of {collection!r}, one of each that has "
            f"a sentence of eight words; with fewer than {FEWEST_QUESTIONS} nothing can be told from chance. Leave the "
            "settings as they are until there are more documents, or write questions yourself and give them by "
            "--questions DIR"
        )
    return (
        f"only {counted(count, 'question')} of those asked can be judged, by a document in qrels.tsv that answers; "
        f"with fewer than {FEWEST_QUESTIONS} nothing can be told from chance. Label more, or ask more by --count"
    )
