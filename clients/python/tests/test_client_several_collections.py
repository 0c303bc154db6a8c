"""Several collections at once, in the SDK and in the command, and one that is not there."""

import sys
from typing import Any

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client import AsyncTrivium, Trivium
from trivium_client.cli.app import main

PASSAGES = [
    pb.Passage(document_id="a.md", title="Warranty", text="two years", score=0.93, collection="manuals"),
    pb.Passage(document_id="b.md", title="Prices", text="other", score=0.1, collection="shop"),
]
SUMMARY = pb.AnswerSummary(
    answer="It lasts two years [1].",
    citations=[pb.Citation(index=1, document_id="a.md", collection="manuals")],
    passages=PASSAGES,
)
ANSWER = (pb.AnswerResponse(sources=pb.Sources(passages=PASSAGES)), pb.AnswerResponse(summary=SUMMARY))


def _run(arguments: list[str], gateway: Any, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("TRIVIUM_GATEWAY", gateway.address)
    monkeypatch.setattr(sys, "argv", ["trivium", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize("command", ["ask", "search"])
def test_command_asks_each_collection_that_it_is_given_once_and_says_where_a_source_is_from(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    gateway.will("Answer", *ANSWER)
    gateway.will("Retrieve", pb.RetrieveResponse(passages=PASSAGES))

    status = _run([command, "-c", "manuals", "-c", "shop", "-c", "manuals", "How long?"], gateway, monkeypatch)

    assert status == 0
    (request,) = gateway.requests
    assert list(request.collections) == ["manuals", "shop"]
    assert request.collection == ""
    output = capsys.readouterr().out
    assert "Warranty, in manuals" in output
    assert "Prices, in shop" in output


def test_command_with_one_collection_asks_it_alone_and_names_it_nowhere(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.will("Retrieve", pb.RetrieveResponse(passages=PASSAGES[:1]))

    assert _run(["search", "-c", "manuals", "-c", "manuals", "How long?"], gateway, monkeypatch) == 0

    (request,) = gateway.requests
    assert (request.collection, list(request.collections)) == ("manuals", [])
    assert "in manuals" not in capsys.readouterr().out


def test_command_says_how_to_make_a_collection_that_is_not_there(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], refusal: Any
) -> None:
    gateway.will("Retrieve", refusal(grpc.StatusCode.NOT_FOUND, "There is no collection 'x'.", "COLLECTION_NOT_FOUND"))

    assert _run(["search", "-c", "x", "How long?"], gateway, monkeypatch) == 5

    assert "`trivium collections create NAME` makes one" in capsys.readouterr().err


def test_sdk_asks_several_collections_and_gives_each_passage_its_own(gateway: Any) -> None:
    gateway.will("Answer", *ANSWER)
    gateway.will("Retrieve", pb.RetrieveResponse(passages=PASSAGES))
    with Trivium(gateway.address) as trivium:
        answer = trivium.ask("How long?", collections=["manuals", "shop"])
        found = trivium.retrieve("How long?", collections=("manuals", "shop"))

    assert [passage.collection for passage in answer.passages] == ["manuals", "shop"]
    assert [passage.collection for passage in found.passages] == ["manuals", "shop"]
    assert [citation.collection for citation in answer.citations] == ["manuals"]
    assert [list(request.collections) for request in gateway.requests] == [["manuals", "shop"]] * 2


async def test_sdk_of_event_loops_asks_several_collections(gateway: Any) -> None:
    gateway.will("Retrieve", pb.RetrieveResponse(passages=PASSAGES))
    async with AsyncTrivium(gateway.address) as trivium:
        found = await trivium.retrieve("How long?", collections=["manuals", "shop"])

    assert {passage.collection for passage in found.passages} == {"manuals", "shop"}
    assert list(gateway.requests[0].collections) == ["manuals", "shop"]
