"""Asks a running stack the questions of a data set."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from trivium_client._answers import AnswerMode
from trivium_client._client import Trivium
from trivium_client._documents import DocumentResult
from trivium_client._errors import AlreadyExists, GatewayUnreachable, TriviumError
from trivium_client.evaluation.datasets import Dataset, KnownQuestion
from trivium_client.evaluation.journal import Journal
from trivium_client.evaluation.observations import Observation

_PASSAGES = 100
_ANSWER_SECONDS = 120.0
_MOST_FAILURES_IN_A_ROW = 20
_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True)
class Asking:
    """How questions are asked.

    Attributes:
        collection: Of which collection.
        answers: Whether to have answers written, and not only passages found.
        mode: By which means.
        caller_count: How many are asked at once.
    """

    collection: str
    answers: bool = True
    mode: AnswerMode = "auto"
    caller_count: int = 4


@dataclass(slots=True)
class Outcome:
    """What became of the asking.

    Attributes:
        failed: Questions that ended in an error, and the error.
    """

    failed: dict[str, TriviumError] = field(default_factory=dict)


def add_documents(
    trivium: Trivium, dataset: Dataset, collection: str, on_each: Callable[[DocumentResult], None]
) -> list[DocumentResult]:
    """Puts a data set's documents into a collection, which is made if need be; those that are there cost little.

    Returns:
        Those that could not be added.
    """
    with contextlib.suppress(AlreadyExists):
        trivium.create_collection(collection)
    failed = []
    for result in trivium.ingest_stream(dataset.documents(), collection=collection):
        on_each(result)
        if result.status == "failed":
            failed.append(result)
    return failed


def ask_all(
    trivium: Trivium,
    questions: Sequence[KnownQuestion],
    asking: Asking,
    journal: Journal[Observation],
    on_each: Callable[[], None],
) -> Outcome:
    """Asks all questions that the journal lacks, several at once, and notes what is said.

    Raises:
        TriviumError: The gateway cannot be reached, or so many questions in a row fail that all would.
    """
    outcome = Outcome()
    failures_in_a_row = 0

    def ask(question: KnownQuestion) -> Observation:
        return observe(trivium, question, asking)

    open_questions = (one for one in questions if one.id not in journal.entries)
    with ThreadPoolExecutor(asking.caller_count) as pool:
        try:
            for question, done in as_done(pool, open_questions, ask, asking.caller_count):
                try:
                    journal.add(done.result())
                    failures_in_a_row = 0
                except TriviumError as error:
                    outcome.failed[question.id] = error
                    failures_in_a_row += 1
                    if isinstance(error, GatewayUnreachable) or failures_in_a_row >= _MOST_FAILURES_IN_A_ROW:
                        raise
                on_each()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return outcome


def as_done(
    pool: ThreadPoolExecutor,
    questions: Iterator[KnownQuestion],
    ask: Callable[[KnownQuestion], _ResultT],
    caller_count: int,
) -> Iterator[tuple[KnownQuestion, "Future[_ResultT]"]]:
    """Each question and what came of it, as they end; no more are begun than are asked at once."""
    running: dict[Future[_ResultT], KnownQuestion] = {}
    while True:
        for question in islice(questions, caller_count - len(running)):
            running[pool.submit(ask, question)] = question
        if not running:
            return
        for done in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(done), done


def observe(trivium: Trivium, question: KnownQuestion, asking: Asking) -> Observation:
    """Asks one question: for passages as deep as they can be had, and for an answer as anybody gets it."""
    found = trivium.retrieve(question.text, collection=asking.collection, top_n=_PASSAGES, collapse=False)
    answer = None
    if asking.answers:
        answer = trivium.ask(
            question.text, collection=asking.collection, mode=asking.mode, timeout_seconds=_ANSWER_SECONDS
        )
    return Observation.of(question, found, answer)
