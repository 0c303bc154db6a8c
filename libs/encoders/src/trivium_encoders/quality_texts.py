"""Texts that int8 is calibrated and judged with: this package's own, or a file of the user's."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from trivium_encoders.errors import QuantizationFailed

OWN_TEXTS = Path(__file__).with_name("quality_texts.jsonl")
"""Questions and passages in English, Chinese and some other languages: prose, code, tables, records."""

LEAST_QUERIES = 8
LEAST_PASSAGES = 40
MOST_BYTES = 16 << 20
"""Limits of a file; half of it calibrates and the other half judges, and fewer passages have no order to judge."""

_LONG = 5  # one passage in this many is joined with the three after it, so that long inputs are seen too


@dataclass(frozen=True, slots=True)
class QualityTexts:
    """Texts of one use; no text has both."""

    queries: tuple[str, ...]
    """Short: what people ask."""
    passages: tuple[str, ...]
    """What is to be found."""


def read_quality_texts(path: Path) -> tuple[QualityTexts, QualityTexts]:
    """Reads texts for the calibration, and others for the judgement: each line is of one of them, in turn.

    Args:
        path: One JSON object per line, `{"query": "..."}` or `{"passage": "..."}`, UTF-8.

    Raises:
        QuantizationFailed: The file cannot be read, is too large, has another form, or too few texts; says which.
    """
    found: dict[str, list[str]] = {"query": [], "passage": []}
    for number, line in enumerate(_content(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            ((kind, text),) = json.loads(line).items()
            if not text.strip():
                raise ValueError
            found[kind].append(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise QuantizationFailed(
                f'line {number} of {path} is neither {{"query": "..."}} nor {{"passage": "..."}} with a text in it'
            ) from error
    queries, passages = found["query"], found["passage"]
    if len(queries) < LEAST_QUERIES or len(passages) < LEAST_PASSAGES:
        raise QuantizationFailed(
            f"{path} has {len(queries)} queries and {len(passages)} passages; int8 needs at least {LEAST_QUERIES} and"
            f" {LEAST_PASSAGES} to be calibrated and judged"
        )
    return (
        QualityTexts(tuple(queries[::2]), _with_long_ones(passages[::2])),
        QualityTexts(tuple(queries[1::2]), _with_long_ones(passages[1::2])),
    )


def texts_digest(path: Path) -> str:
    """The SHA-256 of a file of texts.

    Raises:
        QuantizationFailed: It cannot be read.
    """
    return hashlib.sha256(_content(path).encode()).hexdigest()


def _content(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise QuantizationFailed(f"{path} is larger than {MOST_BYTES >> 20} MiB; some hundred lines are enough")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise QuantizationFailed(f"the texts for int8 cannot be read from {path} ({error})") from error


def _with_long_ones(passages: list[str]) -> tuple[str, ...]:
    """The passages, every fifth one continued by its neighbours."""
    return tuple(
        "\n".join(passages[at : at + 4]) if at % _LONG == 0 else passage for at, passage in enumerate(passages)
    )
