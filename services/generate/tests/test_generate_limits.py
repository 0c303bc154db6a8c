"""Each limit of a request, crossed."""

from dataclasses import replace

import pytest
from trivium_conversation.sampling import MAX_SCHEMA_CHARS, MAX_STOP_CHARS, MAX_STOPS
from trivium_conversation.tools import MAX_TOOLS, MAX_TOOLS_CHARS
from trivium_conversation.turns import MAX_CALL_ID_CHARS
from trivium_generate.answer import AnswerRequest, Passage, Role, Sampling, Tool, ToolCall, ToolChoice, Tools, Turn
from trivium_generate.limits import MAX_TITLE_CHARS, Limits
from trivium_serving.errors import InvalidField, TooLarge

LIMITS = Limits(
    question_chars=10, passages=2, passage_chars=20, passages_chars=30, turns=2, turn_chars=10, answer_tokens=100
)
REQUEST = AnswerRequest("Why?", (Passage("Because.", "T", 0.5),))
LOOK_UP = Tool("look_up", "Looks a word up.", '{"type": "object"}')
CALL = ToolCall("c1", "look_up", "{}")
CALLING, RESULT = Turn(Role.ASSISTANT, "", (CALL,)), Turn(Role.TOOL, "", tool_call_id="c1")


def calling(**changes: str) -> Turn:
    return Turn(Role.ASSISTANT, "", (replace(CALL, **changes),))


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
        ({"history": (Turn(Role.USER, "h"),) * 3}, TooLarge, "history"),
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
        ({"sampling": Sampling(seed=2**63)}, InvalidField, "sampling.seed"),
        ({"tools": Tools((LOOK_UP,) * (MAX_TOOLS + 1))}, TooLarge, "tools.definitions"),
        ({"tools": Tools((replace(LOOK_UP, description="d" * MAX_TOOLS_CHARS),))}, TooLarge, "tools.definitions"),
        ({"tools": Tools((replace(LOOK_UP, name="look up"),))}, InvalidField, "tools.definitions[0].name"),
        ({"tools": Tools((replace(LOOK_UP, name="l" * 65),))}, InvalidField, "tools.definitions[0].name"),
        ({"tools": Tools((LOOK_UP, LOOK_UP))}, InvalidField, "tools.definitions[1].name"),
        ({"tools": Tools((replace(LOOK_UP, parameters="[]"),))}, InvalidField, "tools.definitions[0].parameters"),
        ({"tools": Tools((), ToolChoice.REQUIRED)}, InvalidField, "tools.choice"),
        ({"tools": Tools((LOOK_UP,), ToolChoice.AUTO, "look_up")}, InvalidField, "tools.required_name"),
        ({"tools": Tools((LOOK_UP,), ToolChoice.REQUIRED, "other")}, InvalidField, "tools.required_name"),
        ({"tool_turns": (CALLING,)}, InvalidField, "messages"),
        ({"tool_turns": (RESULT,)}, InvalidField, "messages[1].tool_call_id"),
        ({"tool_turns": (CALLING, replace(RESULT, tool_call_id="c2"))}, InvalidField, "messages[2].tool_call_id"),
        ({"tool_turns": (calling(arguments="[]"), RESULT)}, InvalidField, "messages[1].tool_calls[0].arguments"),
        ({"tool_turns": (calling(name=""), RESULT)}, InvalidField, "messages[1].tool_calls[0].name"),
        ({"tool_turns": (calling(id=""), RESULT)}, InvalidField, "messages[1].tool_calls[0].id"),
        ({"tool_turns": (calling(id="c" * (MAX_CALL_ID_CHARS + 1)), RESULT)}, TooLarge, "messages[1].tool_calls[0].id"),
        ({"history": (replace(CALLING, tool_calls=(CALL,) * (MAX_TOOLS + 1)),)}, TooLarge, "history[0].tool_calls"),
        ({"tool_turns": (calling(arguments='{"a": "bcd"}'), RESULT)}, TooLarge, "messages[1].content"),
        ({"tool_turns": (CALLING, RESULT, CALLING, RESULT)}, TooLarge, "history"),
        ({"history": (CALLING,)}, InvalidField, "history"),
        ({"history": (replace(CALLING, role=Role.USER),)}, InvalidField, "history[0].tool_calls"),
        ({"history": (Turn(Role.USER, "h", tool_call_id="c1"),)}, InvalidField, "history[0].tool_call_id"),
        ({"is_conversation": True, "question": " "}, InvalidField, "messages[0].content"),
        ({"is_conversation": True, "question": "q" * 11}, TooLarge, "messages[0].content"),
        ({"is_conversation": True, "history": (Turn(Role.USER, "h"),) * 3}, TooLarge, "messages"),
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
