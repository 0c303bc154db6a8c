"""`trivium collections set` and `rollback`: what is named is sent, and nothing else."""

import json
import sys
from typing import Any

import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium_client.cli.app import main

_CHANGED = pb.Collection(
    name="logs",
    model="m",
    dimension=384,
    state=pb.COLLECTION_STATE_READY,
    settings=pb.SettingsVersion(number=2, settings=pb.CollectionSettings(retention_days=30), note="why"),
)


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["trivium", "collections", *arguments])
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_settings_that_are_named_are_changed_and_shown(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.will("UpdateCollection", pb.UpdateCollectionResponse(collection=_CHANGED))
    options = ["--set", "retention_days=30", "--set", "refusal=mark", "--clear", "candidates", "--note", "why"]

    status = _run(monkeypatch, "set", "logs", *options, "--gateway", gateway.address, "--json")

    (request,) = gateway.requests
    assert status == 0
    assert (request.name, request.note, list(request.clear)) == ("logs", "why", ["candidates"])
    assert request.settings == pb.CollectionSettings(retention_days=30, refusal=pb.REFUSAL_MARK)
    assert json.loads(capsys.readouterr().out)["settings"]["values"] == {"retention_days": 30}


def test_last_change_is_taken_back(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.will("RollBackCollectionSettings", pb.RollBackCollectionSettingsResponse(collection=_CHANGED))

    status = _run(monkeypatch, "rollback", "logs", "--gateway", gateway.address)

    assert status == 0
    assert "retention_days=30" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--set", "retention_days"], ["--set", "no_such=1"]])
def test_change_of_nothing_or_of_what_is_no_setting_is_refused(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    status = _run(monkeypatch, "set", "logs", *options, "--gateway", gateway.address)

    assert status in (2, 6)
    assert not gateway.requests
    assert "Traceback" not in capsys.readouterr().err
