"""Calls of tools by the real engine, and vLLM's own parsers on what a model writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import transformers
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium.type.v1 import message_pb2, tool_pb2
from trivium_generate.answer import Tool, Tools
from trivium_generate.backends.vllm_tools import ParsedCalls, parser_class
from trivium_serving.channels import open_channel
from trivium_serving.errors import FailedPrecondition, Unavailable
from trivium_serving.rpc_errors import error_from_rpc

if TYPE_CHECKING:
    from pathlib import Path

WORD = {
    "type": "object",
    "properties": {"word": {"enum": ["bridge", "boat"]}},
    "required": ["word"],
    "additionalProperties": False,
}
LOOK_UP = tool_pb2.Tool(name="look_up", description="Looks a word up.", parameters=json.dumps(WORD))
NOW = tool_pb2.Tool(name="now", description="Says what time it is.")


def question(**changes: Any) -> pb.GenerateRequest:
    """A request of a conversation with tools, unless it says otherwise."""
    messages = [message_pb2.Message(role=message_pb2.ROLE_USER, content="When did it open?")]
    defaults = {
        "messages": messages,
        "mode": pb.GENERATE_MODE_MODEL,
        "sampling": pb.Sampling(temperature=0, max_tokens=100),
        "tools": tools(),
    }
    return pb.GenerateRequest(**{**defaults, **changes})


def tools(**fields: Any) -> tool_pb2.Tools:
    return tool_pb2.Tools(definitions=[LOOK_UP, NOW], **fields)


async def ask(service: Any, request: pb.GenerateRequest) -> tuple[str, list[tool_pb2.ToolCall], pb.Finish]:
    """The text, the calls and the finish of an answer."""
    async with open_channel(service.target) as channel:
        stub: Any = generate_service_pb2_grpc.GenerateServiceStub(channel)
        responses = [response async for response in stub.Generate(request, timeout=60)]
    deltas = [response.delta for response in responses[:-1]]
    calls = [call for delta in deltas for call in delta.tool_calls]
    return "".join(delta.text for delta in deltas), calls, responses[-1].finish


async def test_vllm_call_that_the_model_writes_comes_whole_beside_its_text(service: Any) -> None:
    text, calls, finish = await ask(service, question())
    passages = [pb.Passage(text="The bridge opened in May 1937.", score=0.9)]
    text_beside, calls_beside, _ = await ask(service, question(passages=passages))
    assert text == text_beside == "I look that up."
    for call in (*calls, *calls_beside):
        assert (call.name, json.loads(call.arguments)) == ("look_up", {"word": "bridge [9]"})
    assert [len(calls), len(calls_beside)] == [1, 1]
    assert calls[0].id != calls_beside[0].id
    assert finish.reason == pb.FINISH_REASON_TOOL_CALLS
    assert finish.usage.completion_tokens == 7  # the six of the script, and the end


async def test_vllm_goes_on_from_the_result_of_a_tool(service: Any) -> None:
    call = tool_pb2.ToolCall(id="c1", name="look_up", arguments='{"word": "bridge"}')
    messages = [
        *question().messages,
        message_pb2.Message(role=message_pb2.ROLE_ASSISTANT, tool_calls=[call]),
        message_pb2.Message(role=message_pb2.ROLE_TOOL, content="Of 1937.", tool_call_id="c1"),
    ]
    sampling = pb.Sampling(temperature=0, stop=[" Nobody"])
    text, calls, finish = await ask(service, question(messages=messages, sampling=sampling))
    assert text.startswith("The bridge opened in May 1937 [")
    assert not calls
    assert finish.reason == pb.FINISH_REASON_STOP


@pytest.mark.parametrize("max_tokens", [3, 5])
async def test_vllm_call_that_the_limit_cuts_off_is_none(service: Any, max_tokens: int) -> None:
    text, calls, finish = await ask(service, question(sampling=pb.Sampling(temperature=0, max_tokens=max_tokens)))
    assert (text, calls, finish.reason) == ("I look that up.", [], pb.FINISH_REASON_LENGTH)


async def test_vllm_model_that_is_to_call_no_tool_is_not_shown_any(service: Any) -> None:
    sampling = pb.Sampling(temperature=0, max_tokens=4)
    text, calls, _ = await ask(service, question(tools=tools(choice=tool_pb2.TOOL_CHOICE_NONE), sampling=sampling))
    assert (text, calls) == ("The bridge opened in May 1937", [])


@pytest.mark.parametrize("name", ["", "look_up", "now"])
async def test_vllm_call_that_is_required_is_held_to_the_tools_schemas(service: Any, name: str) -> None:
    choice = tools(choice=tool_pb2.TOOL_CHOICE_REQUIRED, required_name=name, parallel=False)
    text, (call,), finish = await ask(service, question(tools=choice))
    assert text == ""
    assert call.name in ({name} if name else {"look_up", "now"})
    assert call.id
    arguments = json.loads(call.arguments)
    assert arguments["word"] in ("bridge", "boat") if call.name == "look_up" else isinstance(arguments, dict)
    assert finish.reason == pb.FINISH_REASON_TOOL_CALLS


async def test_vllm_schema_of_a_tool_that_cannot_be_names_the_field(service: Any) -> None:
    broken = tool_pb2.Tools(
        definitions=[tool_pb2.Tool(name="x", parameters='{"type": "oject"}')], choice=tool_pb2.TOOL_CHOICE_REQUIRED
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await ask(service, question(tools=broken))
    assert error_from_rpc(raised.value).field == "tools.definitions"


@pytest.mark.parametrize(
    ("written", "text", "arguments"),
    [
        ("Only text <", "Only text <", []),
        ('<tool_call>{"name": "now", "arguments": {}}</tool_call>', "", [{}]),
        (
            'Two:<tool_call>{"name": "now", "arguments": {}}</tool_call>\n'
            '<tool_call>{"name": "look_up", "arguments": {"word": "桥"}}</tool_call>',
            "Two:",
            [{}, {"word": "桥"}],
        ),
        ('<tool_call>{"name": "now", "arguments": {}}', "", [{}]),
        ('Sorry:<tool_call>{"name": "now", "arguments": {</tool_call>', "Sorry:", None),
        ('<tool_call>{"name": "now", "arguments": [1]}</tool_call>', "", None),
    ],
    ids=["text", "call", "two calls", "no closing mark", "broken JSON", "a list"],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_vllm_parser_reads_text_and_calls(
    tiny_model: Path, written: str, text: str, arguments: list[Any] | None, size: int
) -> None:
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(tiny_model)
    definitions = (Tool("look_up", "Looks up.", json.dumps(WORD)), Tool("now"))
    parsed = ParsedCalls(parser_class("hermes"), tokenizer, Tools(definitions))
    said = ""
    for begin in range(0, len(written), size):
        piece = written[begin : begin + size]
        said += parsed.feed(piece, tokenizer.encode(piece, add_special_tokens=False))
    if arguments is None:
        with pytest.raises(Unavailable, match="cannot be read"):
            parsed.finish()
        assert said == text
        return
    rest, calls = parsed.finish()
    assert said + rest == text
    assert [json.loads(call.arguments) for call in calls] == arguments
    assert parsed.has_begun == bool(arguments)


def test_vllm_unknown_parser_is_refused_with_those_there_are() -> None:
    with pytest.raises(FailedPrecondition, match=r"TRIVIUM_GENERATE_TOOL_PARSER.* no tool parser hermit.*hermes"):
        parser_class("hermit")
