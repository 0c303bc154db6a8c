"""Asks a running stack what a new user asks of a small company's papers (`company/`), and prints what is not right.

    make up    # in another window, with the default models and without a language model
    .venv/bin/python tests/quality/new_user.py [--gateway HOST:PORT]

An answer to a line of `new_user.jsonl` is right if it `begins` so, or `says` so, and is not marked; what a line without
either asks, the papers do not state, and it is right to mark or refuse it. What takes vectors, or more, is not
`by_words`; the others are a test, too (`test_quality_new_user.py`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium_client import NewDocument, Trivium

if TYPE_CHECKING:
    from collections.abc import Mapping

_HERE = Path(__file__).parent
COLLECTION = "new-user"


def is_right(wanted: Mapping[str, Any], answer: str, *, answerable: bool) -> bool:
    """Whether an answer is as a line of `new_user.jsonl` wants it."""
    if not _wanted(wanted):
        return not answerable
    return answerable and answer.startswith(wanted.get("begins", "")) and wanted.get("says", "") in answer


def _wanted(one: Mapping[str, Any]) -> str:
    return str(one.get("begins") or one.get("says") or "")


def questions() -> list[dict[str, Any]]:
    """The lines of `new_user.jsonl`."""
    return [json.loads(line) for line in (_HERE / "new_user.jsonl").read_text("utf-8").splitlines()]


def main() -> None:
    """Prints each question that is not answered right, and how many there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gateway", default=None, metavar="HOST:PORT")
    options = parser.parse_args()
    papers = sorted((_HERE / "company").iterdir())
    asked = questions()
    wrong = {"stated": 0, "not stated": 0}
    with Trivium(options.gateway, timeout_seconds=120, retries=30) as trivium:
        if COLLECTION not in {one.name for one in trivium.list_collections()}:
            trivium.create_collection(COLLECTION)
        documents = [NewDocument(data=path.read_bytes(), id=path.name, filename=path.name) for path in papers]
        failed = [one for one in trivium.ingest(documents, collection=COLLECTION) if one.status == "failed"]
        if failed:
            raise SystemExit(f"not ingested: {failed}")
        for wanted in asked:
            said = trivium.ask(wanted["question"], collection=COLLECTION, mode="extractive", refusal="mark")
            if not is_right(wanted, said.answer, answerable=said.answerable):
                wants = _wanted(wanted)
                wrong["stated" if wants else "not stated"] += 1
                print(f"{wanted['question']} {wants or '(not stated)'}")
                print(f"    {said.confidence:.3f} {said.reason or 'answered'}: {said.answer[:200]}")
    stated = sum(bool(_wanted(one)) for one in asked)
    others = len(asked) - stated
    print(f"not right: {wrong['stated']} of {stated} that the papers answer, {wrong['not stated']} of {others} others")


if __name__ == "__main__":
    main()
