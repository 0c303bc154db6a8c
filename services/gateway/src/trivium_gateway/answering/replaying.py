"""Asks again what was asked, with other settings, to see what they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField

from trivium_gateway.answering.question import Question
from trivium_gateway.domain.answerability import Refusal
from trivium_gateway.domain.conversation import AnswerMode
from trivium_gateway.domain.settings import CollectionSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from trivium_gateway.answering.plan import Search
    from trivium_gateway.answering.traces import Trace
    from trivium_gateway.domain.metadata import JsonValue
    from trivium_gateway.request.principal import Principal

_STAGE_NAMES = {"search.collection": "collection", "search.filter": "filter", "rerank.candidates": "candidates"}
"""Names with the stage that they are about, for those who think in stages."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "collection": ("a text", lambda value: isinstance(value, str)),
    "filter": ("a filter", lambda value: isinstance(value, Mapping)),
    "top_n": ("a whole number", _is_number),
    "candidates": ("a whole number", _is_number),
    "rerank": ("true or false", lambda value: isinstance(value, bool)),
    "collapse": ("true or false", lambda value: isinstance(value, bool)),
}
# How the collection is searched and judged, for this once.
_SETTINGS = {
    one.name: ("a number", _is_real) for one in fields(CollectionSettings) if one.name not in ("candidates", "refusal")
}
_OF_QUESTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "mode": (f"one of {', '.join(AnswerMode)}", lambda value: value in list(AnswerMode)),
    "refusal": (f"one of {', '.join(Refusal)}", lambda value: value in list(Refusal)),
    "strict": ("true or false", lambda value: isinstance(value, bool)),
}


@dataclass(frozen=True, slots=True)
class Replay:
    """What was asked twice.

    Attributes:
        before: As it was.
        after: With the changes.
    """

    before: Trace
    after: Trace


def changed(asked: Question | Search, changes: Mapping[str, JsonValue], principal: Principal) -> Question | Search:
    """The same question or query with other settings.

    Args:
        asked: What was asked.
        changes: `collection`, `filter`, `top_n`, `candidates` (or `rerank.candidates`), `rerank`, `collapse`, and what
            a collection can set, as `dense_weight`; of a question `mode`, `refusal` and `strict`, too.
        principal: Who asks it again.

    Raises:
        InvalidField: There is no such setting, or it cannot have that value.
    """
    kinds = _OPTIONS | _SETTINGS | (_OF_QUESTIONS if isinstance(asked, Question) else {})
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for given, value in changes.items():
        name = _STAGE_NAMES.get(given, given)
        if name not in kinds:
            raise InvalidField(f"set.{given}", f"There is no setting {given!r} here; there are {', '.join(kinds)}.")
        kind, is_one = kinds[name]
        if not is_one(value):
            raise InvalidField(f"set.{given}", f"{given} must be {kind}.")
        (options if name in _OPTIONS else settings if name in _SETTINGS else others)[name] = value
    if "mode" in others:
        others["mode"] = AnswerMode(others["mode"])
    if "refusal" in others:
        others["refusal"] = Refusal(others["refusal"])
    if "collection" in options:
        options["collections"] = ()
    options["settings"] = replace(asked.options.settings, **settings)
    return replace(asked, principal=principal, options=replace(asked.options, **options), **others)
