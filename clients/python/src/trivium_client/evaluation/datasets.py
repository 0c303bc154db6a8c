"""Folders of questions whose answers are known, in the form that BEIR made common."""

import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trivium_client._documents import NewDocument

_CORPUS, _QUERIES, _JUDGEMENTS = "corpus.jsonl", "queries.jsonl", "qrels.tsv"
_SLUG_CHARACTERS = 40
_COLUMNS = 3


class BadDataset(Exception):
    """A folder is not what it should be; the message says where, and what to do."""


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question, and what is known of its answer.

    Attributes:
        id: Its id.
        text: What is asked.
        relevant: Grades, from 1, of the documents that answer it; empty if none does, or if nobody judged.
        answers: Texts any of which is right; may be empty.
        answerable: Whether the documents answer it.
    """

    id: str
    text: str
    relevant: Mapping[str, int]
    answers: tuple[str, ...] = ()
    answerable: bool = True


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder of documents and questions.

    Attributes:
        folder: Where it is.
        questions: Those that can be measured: with a judgement, an answer, or the word that they have none.
        digest: Of all its files: the same folder has the same.
        left_out_count: How many questions have no text, or nothing is known of them.
        unknown_document_ids: Documents that judgements name and the corpus lacks.
    """

    folder: Path
    questions: tuple[KnownQuestion, ...]
    digest: str
    left_out_count: int = 0
    unknown_document_ids: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The folder's name, as collections may be called."""
        slug = re.sub(r"[^A-Za-z0-9]+", "-", self.folder.resolve().name).strip("-").lower()[:_SLUG_CHARACTERS]
        return slug or "dataset"

    @property
    def collection(self) -> str:
        """The collection that its documents are put into."""
        return f"eval-{self.name}-{self.digest[:8]}"

    def sample(self, count: int | None) -> "Dataset":
        """The same with so many questions, drawn at random, the same ones each time; all if None or too many."""
        if count is None or count >= len(self.questions):
            return self
        drawn = set(random.Random(0).sample(range(len(self.questions)), count))
        return replace(self, questions=tuple(one for place, one in enumerate(self.questions) if place in drawn))

    def documents(self) -> Iterator[NewDocument]:
        """Its documents, but those without any text.

        Raises:
            BadDataset: A line is not a document.
        """
        for place, line in _lines(self.folder / _CORPUS):
            text = _text(line, "text", place)
            if text.strip():
                yield NewDocument(text, id=_id(line, place), title=_text(line, "title", place))


def read_dataset(folder: Path, *, split: str = "test", with_corpus: bool = True) -> Dataset:
    """Reads a folder with `corpus.jsonl`, `queries.jsonl`, and `qrels.tsv` or `qrels/<split>.tsv`.

    Args:
        folder: The folder.
        split: Which judgements, where there are several.
        with_corpus: Whether its documents are wanted, too.

    Raises:
        BadDataset: Something is missing or broken.
    """
    if not folder.is_dir():
        wanted = [_QUERIES, *([_CORPUS] if with_corpus else []), _JUDGEMENTS]
        raise BadDataset(f"{folder} is no folder; name one with {' and '.join([', '.join(wanted[:-1]), wanted[-1]])}")
    judgements_path = _judgements_path(folder, split)
    texts, extras = _questions(folder / _QUERIES)
    judgements = _judgements(judgements_path) if judgements_path else {}
    known = _document_ids(folder / _CORPUS) if with_corpus else None
    named = {document for grades in judgements.values() for document in grades}
    questions = []
    for question_id, text in texts.items():
        extra = extras[question_id]
        relevant = {
            document: grade
            for document, grade in judgements.get(question_id, {}).items()
            if grade > 0 and (known is None or document in known)
        }
        is_known = not extra.answerable or relevant or extra.answers
        if not is_known or not text.strip():
            continue
        # What cannot be answered may come with the document that looks as if it could.
        relevant = relevant if extra.answerable else {}
        questions.append(KnownQuestion(question_id, text, relevant, extra.answers, extra.answerable))
    if not questions:
        document = "a document of the corpus" if with_corpus else "a document with a grade above 0"
        raise BadDataset(
            f"nothing is known of any question in {folder / _QUERIES}: no line of {judgements_path or _JUDGEMENTS} "
            f"names one of them and {document}, and none has `answers` or `is_impossible`"
        )
    digest = _digest(folder, [_QUERIES, *([_CORPUS] if with_corpus else [])], judgements_path)
    unknown = frozenset() if known is None else frozenset(named - known)
    return Dataset(folder, tuple(questions), digest, len(texts) - len(questions), unknown)


@dataclass(frozen=True, slots=True)
class _Extra:
    answers: tuple[str, ...]
    answerable: bool


def _questions(path: Path) -> tuple[dict[str, str], dict[str, _Extra]]:
    texts: dict[str, str] = {}
    extras: dict[str, _Extra] = {}
    for place, line in _lines(path):
        question_id, text = _id(line, place), _text(line, "text", place)
        if question_id in texts:
            raise BadDataset(f"{place}: there is a question {question_id!r} already; give each its own id")
        answers = line.get("answers") or ()
        if isinstance(answers, str) or not all(isinstance(one, str) for one in answers):
            raise BadDataset(f"{place}: answers is no list of texts")
        impossible = line.get("is_impossible", False)
        if not isinstance(impossible, bool):
            raise BadDataset(f"{place}: is_impossible is neither true nor false")
        texts[question_id] = text
        extras[question_id] = _Extra(() if impossible else tuple(answers), not impossible)
    return texts, extras


def _document_ids(path: Path) -> frozenset[str]:
    found: set[str] = set()
    for place, line in _lines(path):
        document_id = _id(line, place)
        if document_id in found:
            raise BadDataset(f"{place}: there is a document {document_id!r} already; give each its own id")
        for field in ("text", "title"):
            _text(line, field, place)
        found.add(document_id)
    return frozenset(found)


def _judgements_path(folder: Path, split: str) -> Path | None:
    """Where the judgements are; None if there are none, as where all questions have answers."""
    single, several = folder / _JUDGEMENTS, folder / "qrels"
    if single.is_file():
        return single
    if not several.is_dir():
        return None
    chosen = several / f"{split}.tsv"
    if not chosen.is_file():
        there = ", ".join(sorted(path.stem for path in several.glob("*.tsv"))) or "none"
        raise BadDataset(f"{several} has no {split}.tsv; choose one that it has by --split: {there}")
    return chosen


def _judgements(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for number, row in enumerate(_read(path).splitlines(), 1):
        if not row.strip():
            continue
        cells = row.split("\t")
        try:
            question, document, grade = cells
            found.setdefault(question, {})[document] = int(float(grade))
        except (ValueError, OverflowError):
            if number == 1 and len(cells) == _COLUMNS:
                continue  # names of the columns
            raise BadDataset(f"{path}:{number}: not a query, a document and a grade with tabs between") from None
    return found


def _lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each line's place, for errors, and its object."""
    for number, row in enumerate(_read(path).split("\n"), 1):
        if not row.strip():
            continue
        place = f"{path}:{number}"
        try:
            line = json.loads(row)
        except ValueError as error:
            raise BadDataset(f"{place}: not JSON: {error}") from None
        if not isinstance(line, dict):
            raise BadDataset(f"{place}: not a JSON object")
        yield place, line


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise BadDataset(f"{path.parent} has no {path.name}") from None
    except UnicodeDecodeError as error:
        raise BadDataset(f"{path} is not UTF-8: {error}") from None


def _id(line: Mapping[str, Any], place: str) -> str:
    found = line.get("_id", line.get("id"))
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    if not isinstance(found, str) or not found:
        raise BadDataset(f"{place}: no `id` (or `_id`)")
    return found


def _text(line: Mapping[str, Any], field: str, place: str) -> str:
    found = line.get(field)
    if found is None and field == "title":
        return ""
    if not isinstance(found, str):
        raise BadDataset(f"{place}: {field} is no text")
    return found


def _digest(folder: Path, names: Sequence[str], judgements: Path | None) -> str:
    digest = hashlib.sha256()
    for path in [*(folder / name for name in names), *([judgements] if judgements else [])]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
