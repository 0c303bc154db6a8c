"""`trivium reindex` while the gateway, or what is behind it, goes away and comes back."""

import sys
from typing import Any

import grpc
import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client.cli.app import main

_COLLECTION = pb.Collection(name="docs", chunk_count=7, model="m", dimension=384)
_AWAY = 6
"""More failures than a single call outlasts by itself."""


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
        (grpc.StatusCode.UNAVAILABLE, ""),  # as gRPC says it when nobody listens
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
    ],
)
@pytest.mark.parametrize(
    ("options", "method", "answer"),
    [
        ([], "ReindexCollection", pb.ReindexCollectionResponse(done=True, done_count=7, total_count=7)),
        (["--rollback"], "RollBackCollectionIndex", pb.RollBackCollectionIndexResponse(collection=_COLLECTION)),
        (["--discard-old"], "DiscardCollectionIndex", pb.DiscardCollectionIndexResponse(collection=_COLLECTION)),
    ],
)
def test_reindex_goes_on_after_what_it_needs_was_away(
    gateway: Any,
    refusal: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: grpc.StatusCode,
    reason: str,
    options: list[str],
    method: str,
    answer: Any,
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    gateway.will("GetCollection", pb.GetCollectionResponse(collection=_COLLECTION))
    if method == "RollBackCollectionIndex":
        gateway.will("ReindexCollection", pb.ReindexCollectionResponse(done=True, done_count=7, total_count=7))
    gateway.will(method, *[refusal(code, "gone", reason)] * _AWAY, answer)
    monkeypatch.setattr(sys, "argv", ["trivium", "reindex", "docs", "--gateway", gateway.address, *options])

    with pytest.raises(SystemExit) as ended:
        main()

    output = capsys.readouterr()
    assert (ended.value.code or 0) == 0, output.err
    assert output.err.count("it goes on as soon as that is over") == 1
    assert not gateway.script[method]


def test_reindex_of_a_gateway_that_was_never_there_fails_at_once(
    gateway: Any, refusal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.will("GetCollection", refusal(grpc.StatusCode.UNAVAILABLE, "gone"))
    monkeypatch.setattr(sys, "argv", ["trivium", "reindex", "docs", "--gateway", gateway.address])

    with pytest.raises(SystemExit) as ended:
        main()

    assert ended.value.code == 3


def test_estimate_says_time_room_and_tokens_and_by_prices_the_cost(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = pb.EstimateReindexResponse(model="m2", piece_count=9, seconds=7200, bytes=5 << 20, token_count=2_500_000)
    gateway.will("EstimateReindex", told, told)
    command = ["trivium", "reindex", "docs", "--gateway", gateway.address, "--model", "m2", "--estimate"]
    shown = []
    for options in ([], ["--token-price", "0.02", "--hour-price", "0.1"]):
        monkeypatch.setattr(sys, "argv", [*command, *options])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == 0
        shown.append(" ".join(capsys.readouterr().out.split()))

    assert "about 2.0 h" in shown[0]
    assert "tokens about 2.50 million" in shown[0]
    assert "cost" not in shown[0]
    assert "cost about 0.25" in shown[1]  # 2.5 times 0.02, and two hours
