"""What a conversation may hold, crossed; every caller's limits rest on these."""

import pytest
from trivium_conversation.sampling import MAX_STOPS, Sampling, check_sampling
from trivium_conversation.tools import MAX_TOOLS, Tool, ToolChoice, Tools, check_tools
from trivium_conversation.turns import Role, ToolCall, Turn, check_tool_calls
from trivium_serving.errors import InvalidField, TooLarge

CALL = ToolCall("c1", "look_up", "{}")
CALLING, RESULT = Turn(Role.ASSISTANT, "", (CALL,)), Turn(Role.TOOL, "found", tool_call_id="c1")


@pytest.mark.parametrize(
    ("sampling", "error", "field"),
    [
        (Sampling(max_tokens=0), InvalidField, "sampling.max_tokens"),
        (Sampling(temperature=float("nan")), InvalidField, "sampling.temperature"),
        (Sampling(top_p=0.0), InvalidField, "sampling.top_p"),
        (Sampling(seed=2**63), InvalidField, "sampling.seed"),
        (Sampling(stop=("",)), InvalidField, "sampling.stop[0]"),
        (Sampling(stop=("s",) * (MAX_STOPS + 1)), TooLarge, "sampling.stop"),
        (Sampling(json_schema="[]"), InvalidField, "sampling.json_schema"),
        (Sampling(top_logprobs=-1), InvalidField, "sampling.top_logprobs"),
    ],
)
def test_sampling_over_a_limit_is_refused_with_its_field(
    sampling: Sampling, error: type[InvalidField | TooLarge], field: str
) -> None:
    check_sampling(Sampling())
    with pytest.raises(error) as refused:
        check_sampling(sampling)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("tools", "error", "field"),
    [
        (Tools((Tool("a"),) * 2), InvalidField, "tools.definitions[1].name"),
        (Tools((Tool("no name"),)), InvalidField, "tools.definitions[0].name"),
        (Tools((Tool("a", parameters="{"),)), InvalidField, "tools.definitions[0].parameters"),
        (Tools(tuple(Tool(f"t{i}") for i in range(MAX_TOOLS + 1))), TooLarge, "tools.definitions"),
        (Tools(choice=ToolChoice.REQUIRED), InvalidField, "tools.choice"),
        (Tools((Tool("a"),), ToolChoice.REQUIRED, "b"), InvalidField, "tools.required_name"),
    ],
)
def test_tools_that_break_a_rule_are_refused_with_their_field(
    tools: Tools, error: type[InvalidField | TooLarge], field: str
) -> None:
    check_tools(Tools((Tool("a"),)))
    with pytest.raises(error) as refused:
        check_tools(tools)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("turns", "field"),
    [
        ((RESULT,), "messages[0].tool_call_id"),
        ((CALLING,), "messages"),
        ((CALLING, Turn(Role.USER, "and?")), "messages[1]"),
        ((Turn(Role.USER, "", (CALL,)), RESULT), "messages[0].tool_calls"),
        ((Turn(Role.ASSISTANT, "", (CALL, CALL)), RESULT), "messages[0].tool_calls[1].id"),
    ],
)
def test_calls_and_results_that_do_not_fit_are_refused_with_their_place(turns: tuple[Turn, ...], field: str) -> None:
    check_tool_calls("messages", (CALLING, RESULT))
    with pytest.raises(InvalidField) as refused:
        check_tool_calls("messages", turns)
    assert refused.value.field == field
