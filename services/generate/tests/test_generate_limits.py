"""Each limit of a request, crossed."""

from dataclasses import replace

import pytest
from trivium_generate.answer import AnswerRequest, Passage, Role, Sampling, Turn
from trivium_generate.limits import MAX_SCHEMA_CHARS, MAX_STOP_CHARS, MAX_STOPS, MAX_TITLE_CHARS, Limits
from trivium_serving.errors import InvalidField, TooLarge

LIMITS = Limits(
    question_chars=10, passages=2, passage_chars=20, passages_chars=30, turns=1, turn_chars=10, answer_tokens=100
)
REQUEST = AnswerRequest("Why?", (Passage("Because.", "T", 0.5),))


def test_limits_at_their_edge_let_the_request_pass() -> None:
    LIMITS.check(
        AnswerRequest(
            question="q" * 10,
            passages=(Passage("p" * 20, "t" * MAX_TITLE_CHARS, 1.0), Passage("p" * 10, "", 0.0)),
            history=(Turn(Role.USER, "h" * 10),),
            sampling=Sampling(100, 2.0, 1.0, -1, ("s" * MAX_STOP_CHARS,) * MAX_STOPS, "{}".rjust(MAX_SCHEMA_CHARS), 20),
        )
    )


@pytest.mark.parametrize(
    ("changes", "error", "field"),
    [
        ({"question": ""}, InvalidField, "question"),
        ({"question": " \n\u3000"}, InvalidField, "question"),
        ({"question": "q" * 11}, TooLarge, "question"),
        ({"passages": ()}, InvalidField, "passages"),
        ({"passages": (Passage("p"),) * 3}, TooLarge, "passages"),
        ({"passages": (Passage("p"), Passage(" \n"))}, InvalidField, "passages[1].text"),
        ({"passages": (Passage("p" * 21),)}, TooLarge, "passages[0].text"),
        ({"passages": (Passage("p" * 16), Passage("p" * 15))}, TooLarge, "passages"),
        ({"passages": (Passage("p", "t" * (MAX_TITLE_CHARS + 1)),)}, TooLarge, "passages[0].title"),
        ({"passages": (Passage("p", "", 1.01),)}, InvalidField, "passages[0].score"),
        ({"passages": (Passage("p", "", -0.01),)}, InvalidField, "passages[0].score"),
        ({"passages": (Passage("p", "", float("nan")),)}, InvalidField, "passages[0].score"),
        ({"history": (Turn(Role.USER, "h"),) * 2}, TooLarge, "history"),
        ({"history": (Turn(Role.USER, "h" * 11),)}, TooLarge, "history[0].content"),
        ({"sampling": Sampling(max_tokens=0)}, InvalidField, "sampling.max_tokens"),
        ({"sampling": Sampling(max_tokens=101)}, InvalidField, "sampling.max_tokens"),
        ({"sampling": Sampling(temperature=-0.1)}, InvalidField, "sampling.temperature"),
        ({"sampling": Sampling(temperature=2.1)}, InvalidField, "sampling.temperature"),
        ({"sampling": Sampling(temperature=float("nan"))}, InvalidField, "sampling.temperature"),
        ({"sampling": Sampling(top_p=0.0)}, InvalidField, "sampling.top_p"),
        ({"sampling": Sampling(top_p=1.1)}, InvalidField, "sampling.top_p"),
        ({"sampling": Sampling(stop=("s",) * (MAX_STOPS + 1))}, TooLarge, "sampling.stop"),
        ({"sampling": Sampling(stop=("s", ""))}, InvalidField, "sampling.stop[1]"),
        ({"sampling": Sampling(stop=("s" * (MAX_STOP_CHARS + 1),))}, TooLarge, "sampling.stop[0]"),
        ({"sampling": Sampling(top_logprobs=21)}, InvalidField, "sampling.top_logprobs"),
        ({"sampling": Sampling(json_schema="{")}, InvalidField, "sampling.json_schema"),
        ({"sampling": Sampling(json_schema="[]")}, InvalidField, "sampling.json_schema"),
        ({"sampling": Sampling(json_schema="[" * 60000)}, InvalidField, "sampling.json_schema"),
        ({"sampling": Sampling(json_schema=" " * (MAX_SCHEMA_CHARS + 1))}, TooLarge, "sampling.json_schema"),
        ({"is_conversation": True, "question": " "}, InvalidField, "messages[0].content"),
        ({"is_conversation": True, "question": "q" * 11}, TooLarge, "messages[0].content"),
        ({"is_conversation": True, "history": (Turn(Role.USER, "h"),) * 2}, TooLarge, "messages"),
        ({"is_conversation": True, "history": (Turn(Role.USER, "h" * 11),)}, TooLarge, "messages[0].content"),
    ],
)  # fmt: skip
def test_limits_crossed_name_the_field(changes: dict[str, object], error: type[InvalidField], field: str) -> None:
    with pytest.raises(error) as raised:
        LIMITS.check(replace(REQUEST, **changes))  # type: ignore[arg-type]
    assert raised.value.field == field
    assert raised.value.message.endswith(".")


def test_limits_let_a_conversation_pass_without_passages() -> None:
    LIMITS.check(replace(REQUEST, passages=(), is_conversation=True))
