"""Who changed what stands in the audit log, and no text."""

from __future__ import annotations

import asyncio
import json
import re
import stat
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from trivium_gateway.access.audit import AuditLog
from trivium_gateway.request.principal import EVERYBODY
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import NotFound

from .conftest import Stack, running_stack
from .every_call import http_calls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .conftest import Qdrant

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SECRET = "the price of the merger is forty"
_ALICE = replace(EVERYBODY, tenant="acme", user="alice", key_id="k1")


@dataclass(frozen=True, slots=True)
class Audited:
    """A gateway that asks for keys, and what it has noted."""

    stack: Stack
    folder: Path

    async def call(self, method: str, path: str, **more: Any) -> Any:
        """Calls it with its first key."""
        key = (self.folder / "gateway" / "first-key").read_text().strip()
        return await self.stack.http.request(method, path, headers={"Authorization": f"Bearer {key}"}, **more)

    def lines(self) -> list[dict[str, Any]]:
        """What is noted by now."""
        return lines_in(self.folder / "gateway" / "audit")


def lines_in(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("audit-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def audited(qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Audited]:
    folder: Path = tmp_path_factory.mktemp("audited")
    async with running_stack(qdrant, GatewaySettings(auth="keys", data_dir=folder)) as stack:
        yield Audited(stack, folder)


async def test_changes_are_noted_with_who_and_to_what_and_without_texts(audited: Audited) -> None:
    documents = [{"id": "plan", "text": _SECRET}, {"id": "empty", "text": ""}]
    await audited.call("POST", "/v1/collections", json={"name": "deals"})
    await audited.call("POST", "/v1/documents", json={"documents": documents, "collection": "deals"})
    deleted = await audited.call("DELETE", "/v1/documents/plan", params={"collection": "deals"})
    await audited.call("DELETE", "/v1/collections/deals")

    noted = audited.lines()
    by_action = {line["action"]: line for line in noted}
    assert by_action["documents.ingest"]["documents"] == {"plan": "indexed", "empty": "EMPTY_DOCUMENT"}
    assert by_action["documents.delete"]["documents"] == {"plan": "deleted"}
    assert by_action["documents.delete"]["request_id"] == deleted.headers["x-request-id"]
    assert by_action["collections.delete"]["collection"] == "deals"
    assert {line["outcome"] for line in noted} == {"OK"}
    assert all(line["tenant"] == "default" and line["key"] and line["time"].endswith("Z") for line in noted)
    assert _SECRET not in json.dumps(noted)


async def test_what_is_refused_or_fails_is_noted_with_the_reason(audited: Audited) -> None:
    made = (await audited.call("POST", "/v1/keys", json={"name": "reader", "scopes": ["read"]})).json()
    reader = {"Authorization": f"Bearer {made['key']}"}
    await audited.stack.http.delete("/v1/documents/plan", headers=reader)
    await audited.call("DELETE", "/v1/collections/nowhere")

    noted = audited.lines()
    refused = [line for line in noted if line["outcome"] == "PERMISSION_DENIED"]
    assert [(line["action"], line["key"]) for line in refused] == [("documents.delete", made["id"])]
    assert ("collections.delete", "COLLECTION_NOT_FOUND") in {(line["action"], line["outcome"]) for line in noted}


_CHANGES_NOTHING = re.compile(
    r"/v1/(retrieve|answer|embeddings|rerank|chat|responses|vector_|traces|feedback)|/v2|/rerank|/estimate|/import"
)  # an import is looked into first


async def test_each_call_that_would_change_something_is_noted_where_it_is_refused(audited: Audited) -> None:
    made = (await audited.call("POST", "/v1/keys", json={"name": "none", "scopes": ["act-as"]})).json()
    headers = {"Authorization": f"Bearer {made['key']}"}
    document = {"documents": [{"id": "a", "text": "b"}], "wait": False}
    calls = [
        *((m, p, b) for m, p, b in http_calls("c", "r", "j") if m != "GET" and not _CHANGES_NOTHING.search(p)),
        ("POST", "/v1/documents", document),
    ]
    assert len(calls) >= 17
    for method, path, body in calls:
        before = len(audited.lines())
        await audited.stack.http.request(method, path, json=body, headers=headers)
        noted = [(line["key"], line["outcome"]) for line in audited.lines()[before:]]
        assert (method, path, noted) == (method, path, [(made["id"], "PERMISSION_DENIED")])


async def test_jobs_and_feedback_are_noted(audited: Audited) -> None:
    body = {"documents": [{"id": "j", "text": _SECRET}], "wait": False}
    started = await audited.call("POST", "/v1/documents", json=body)
    assert started.status_code == 202, started.text
    job = started.json()["job"]
    said = {"request_id": "r-9", "rating": 1, "question": _SECRET}
    for method, path, more in (
        ("DELETE", f"/v1/jobs/{job}", {}),
        ("POST", f"/v1/jobs/{job}/retry", {}),
        ("POST", "/v1/feedback", {"json": said}),
        ("DELETE", "/v1/feedback/r-9", {}),
    ):
        await audited.call(method, path, **more)
    noted = [line for line in audited.lines() if line.get("subject") in {job, "r-9"}]
    assert [line["action"] for line in noted] == [
        "jobs.start", "jobs.delete", "jobs.retry", "feedback.give", "feedback.delete"
    ]  # fmt: skip
    assert _SECRET not in json.dumps(noted)


async def test_keys_are_noted_by_their_ids_and_never_by_their_secrets(audited: Audited) -> None:
    made = (await audited.call("POST", "/v1/keys", json={"name": "bot", "scopes": ["read"]})).json()
    rotated = (await audited.call("POST", f"/v1/keys/{made['id']}/rotate", json={})).json()
    await audited.call("DELETE", f"/v1/keys/{made['id']}")

    noted = audited.lines()
    about = [line["action"] for line in noted if line.get("subject") == made["id"]]
    assert about == ["keys.create", "keys.rotate", "keys.revoke"]
    everything = json.dumps(noted)
    assert made["key"] not in everything
    assert rotated["key"] not in everything


async def test_questions_are_not_noted(audited: Audited) -> None:
    before = len(audited.lines())
    await audited.call("POST", "/v1/retrieve", json={"query": "What is the price?"})
    assert len(audited.lines()) == before


async def test_lines_of_many_at_once_do_not_mix_and_belong_to_their_owner(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path, CollectorRegistry()) for _ in range(2)]  # two gateways on one folder

    async def act(number: int) -> None:
        async with logs[number % 2].action(_ALICE, "documents.delete", collection="c") as entry:
            entry.documents = {f"{number}/{part}": "deleted" for part in range(300)}

    await asyncio.gather(*map(act, range(50)))

    noted = lines_in(tmp_path)
    assert len(noted) == 50
    assert all(len(line["documents"]) == 300 and line["user"] == "alice" for line in noted)
    modes = await asyncio.to_thread(lambda: [stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()])
    assert modes == [0o600]


async def test_many_documents_stand_in_several_lines(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, CollectorRegistry())
    async with log.action(_ALICE, "documents.ingest") as entry:
        entry.documents = {str(number): "indexed" for number in range(2500)}
    noted = lines_in(tmp_path)
    assert [len(line["documents"]) for line in noted] == [1000, 1000, 500]


async def test_log_that_cannot_be_written_counts_what_is_lost_and_does_not_undo(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    registry = CollectorRegistry()
    log = AuditLog(tmp_path / "file", registry)
    async with log.action(_ALICE, "collections.create", collection="c"):
        pass
    with pytest.raises(NotFound):
        async with log.action(_ALICE, "collections.delete", collection="c"):
            raise NotFound("There is none.")
    assert registry.get_sample_value("trivium_gateway_audit_lines_total", {"outcome": "lost"}) == 2


async def test_lines_go_to_the_log_where_nothing_can_be_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="trivium_gateway.access.audit")
    async with AuditLog(None, CollectorRegistry(), is_logged=True).action(_ALICE, "keys.revoke", subject="k2"):
        pass
    async with AuditLog(None, CollectorRegistry()).action(_ALICE, "keys.revoke", subject="k3"):
        pass
    [line] = [record.getMessage() for record in caplog.records]
    assert json.loads(line.removeprefix("audit "))["subject"] == "k2"


async def test_call_that_is_cancelled_is_noted(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, CollectorRegistry())

    async def act() -> None:
        async with log.action(_ALICE, "documents.ingest"):
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    task = asyncio.create_task(act())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [line["outcome"] for line in lines_in(tmp_path)] == ["CANCELLED"]
