"""What people say of answers: kept with all that is needed, seen by whom it concerns, made labelled questions of."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
from trivium.gateway.v1 import feedback_service_pb2 as pb
from trivium.gateway.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from trivium_gateway.app import GatewayProcess
from trivium_gateway.library.eval_sets import labelled_questions
from trivium_gateway.library.feedback import Feedback, FeedbackStore
from trivium_gateway.request.principal import EVERYBODY, Principal, Scope
from trivium_gateway.settings import GatewaySettings
from trivium_serving.errors import FailedPrecondition, NotFound, Unavailable

from .conftest import DOCUMENTS, Stack, running_stack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .conftest import Qdrant

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SAID = Feedback("r1", "ann", 1.0, 1, "", "", (), "What do herons eat?", "default", "Fish.", ("heron",), False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own_stack(qdrant: Qdrant, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A gateway with a data folder of its own, and DOCUMENTS."""
    settings = GatewaySettings(data_dir=tmp_path_factory.mktemp("data"))
    async with running_stack(qdrant, settings) as stack:
        await stack.create_collection()
        await stack.add(*DOCUMENTS)
        yield stack


async def _say(stack: Stack, request_id: str, rating: int, **more: Any) -> dict[str, Any]:
    response = await stack.http.post("/v1/feedback", json={"request_id": request_id, "rating": rating, **more})
    assert response.status_code == 200, response.text
    said: dict[str, Any] = response.json()
    return said


async def test_feedback_keeps_the_question_and_what_was_answered(own_stack: Stack) -> None:
    answered = (await own_stack.ask()).json()

    said = await _say(own_stack, answered["request_id"], 1, comment="good")

    assert (said["question"], said["collection"]) == ("What do herons eat?", own_stack.collection)
    assert (said["given_answer"], said["cited_document_ids"]) == (answered["answer"], ["heron"])
    assert own_stack.metric("trivium_gateway_feedback_total", rating="up") >= 1
    changed = await _say(own_stack, answered["request_id"], -1, answer="Fish and frogs.", document_ids=["heron"])
    listed = (await own_stack.http.get("/v1/feedback")).json()["feedback"]
    assert [one for one in listed if one["request_id"] == answered["request_id"]] == [changed]
    deleted = await own_stack.http.delete(f"/v1/feedback/{answered['request_id']}")
    assert deleted.json() == {"deleted": 1}
    again = await own_stack.http.delete(f"/v1/feedback/{answered['request_id']}")
    assert (again.status_code, again.json()["error"]["reason"]) == (404, "FEEDBACK_NOT_FOUND")


async def test_feedback_without_a_trace_needs_the_question(own_stack: Stack) -> None:
    body = {"request_id": "long-ago", "rating": -1}
    without = await own_stack.http.post("/v1/feedback", json=body)
    assert (without.status_code, without.json()["error"]["reason"]) == (404, "TRACE_NOT_FOUND")
    assert "question" in without.json()["error"]["message"]

    said = await _say(own_stack, "long-ago", -1, question="What do otters eat?", document_ids=["otter"])
    assert (said["question"], said["collection"], said["given_answer"]) == ("What do otters eat?", "default", "")
    await own_stack.http.delete("/v1/feedback/long-ago")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"request_id": "r", "rating": 0, "question": "q"}, 400, "rating"),
        ({"request_id": "a b", "rating": 1, "question": "q"}, 400, "request_id"),
        ({"request_id": "r", "rating": 1, "question": " "}, 400, "question"),
        ({"request_id": "r", "rating": 1, "question": "q", "comment": "x" * 8001}, 413, "comment"),
        ({"request_id": "r", "rating": 1, "question": "q", "document_ids": [""]}, 400, "id"),
        ({"request_id": "r", "rating": 1, "question": "q", "collection": "x" * 65}, 400, "collection"),
        ({"request_id": "r", "rating": 1, "question": "q", "document_ids": ["d"] * 101}, 413, "document_ids"),
    ],
)
async def test_feedback_that_breaks_a_rule_is_refused(
    own_stack: Stack, body: dict[str, Any], status: int, field: str
) -> None:
    response = await own_stack.http.post("/v1/feedback", json=body)
    assert (response.status_code, response.json()["error"]["field"]) == (status, field)


async def test_feedback_is_exported_as_labelled_questions_by_both_surfaces(own_stack: Stack) -> None:
    right, wrong = (await own_stack.ask()).json(), (await own_stack.ask("Where do otters sleep?")).json()
    await _say(own_stack, right["request_id"], 1)
    await _say(own_stack, wrong["request_id"], -1, answer="In a holt.", document_ids=["otter", "gone"])
    await _say(own_stack, "unknown", -1, question="What is right?", collection=own_stack.collection)

    exported = await own_stack.http.get("/v1/feedback/export", params={"collection": own_stack.collection})
    assert exported.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(exported.content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    questions = [json.loads(line) for line in files["queries.jsonl"].splitlines()]
    assert questions == [
        {"_id": right["request_id"], "text": "What do herons eat?", "answers": [], "is_impossible": False},
        {
            "_id": wrong["request_id"],
            "text": "Where do otters sleep?",
            "answers": ["In a holt."],
            "is_impossible": False,
        },
    ]
    assert files["qrels.tsv"].splitlines()[1:] == [
        f"{right['request_id']}\theron\t1",
        f"{wrong['request_id']}\totter\t1",
    ]
    corpus = {line["_id"]: line for line in map(json.loads, files["corpus.jsonl"].splitlines())}
    assert set(corpus) == {"heron", "otter", "swift"}
    assert corpus["heron"]["text"] == "Herons eat fish and frogs."

    stub = FeedbackServiceStub(own_stack.channel)
    request = pb.ExportFeedbackRequest(collection=own_stack.collection, judged_only=True)
    pieces: dict[str, bytes] = {}
    async for piece in stub.ExportFeedback(request):
        pieces[piece.file] = pieces.get(piece.file, b"") + piece.lines
    assert pieces["queries.jsonl"].decode() == files["queries.jsonl"]
    assert pieces["qrels.tsv"].decode() == files["qrels.tsv"]
    assert len(pieces["corpus.jsonl"].splitlines()) == 2
    assert len((await stub.ListFeedback(pb.ListFeedbackRequest())).feedback) == 3

    nothing = await own_stack.http.get("/v1/feedback/export")
    assert (nothing.status_code, nothing.json()["error"]["reason"]) == (409, "NO_LABELS")


@pytest.mark.parametrize("size", [10, 100_000])
async def test_export_that_fails_is_an_error_or_breaks_off_and_never_taken_for_whole(
    own_stack: Stack, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    name = f"export-{size}"
    await own_stack.http.post("/v1/collections", json={"name": name})
    documents = [{"id": f"d{number}", "text": f"{number} " + "word " * (size // 5)} for number in range(2)]
    added = await own_stack.http.post("/v1/documents", json={"documents": documents, "collection": name})
    assert added.status_code == 200, added.text
    await _say(own_stack, name, 1, question="Which?", document_ids=["d0"], collection=name)
    store = own_stack.process.gateway.feedback._documents
    get = store.get

    async def get_but_one(place: Any, document_id: str, **more: Any) -> Any:
        if document_id == "d1":
            raise Unavailable("Qdrant is gone.")
        return await get(place, document_id, **more)

    monkeypatch.setattr(store, "get", get_but_one)
    export = own_stack.http.get("/v1/feedback/export", params={"collection": name})
    if size > 64 * 1024:  # it has begun
        with pytest.raises(httpx.RemoteProtocolError):
            await export
    else:
        failed = await export
        assert (failed.status_code, failed.json()["error"]["reason"]) == (503, "UNAVAILABLE")


@pytest.mark.parametrize("token", ["[" * 20_000, f'[1{"0" * 400}, "r", "u"]'])
async def test_page_token_of_feedback_that_is_no_token_is_refused(own_stack: Stack, token: str) -> None:
    given = base64.urlsafe_b64encode(token.encode()).decode()
    wrong = await own_stack.http.get("/v1/feedback", params={"page_token": given})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "page_token")


async def test_feedback_comes_page_by_page_and_outlives_the_gateway(own_stack: Stack) -> None:
    for number in range(3):
        await _say(own_stack, f"page-{number}", 1, question=f"Question {number}?", collection="pages")
    seen, token = [], ""
    while True:
        page = (await own_stack.http.get("/v1/feedback", params={"page_size": 2, "page_token": token})).json()
        assert 1 <= len(page["feedback"]) <= 2
        seen += [one["request_id"] for one in page["feedback"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert [one for one in seen if one.startswith("page-")] == ["page-0", "page-1", "page-2"]
    wrong = await own_stack.http.get("/v1/feedback", params={"page_token": "x"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "page_token")

    settings = own_stack.process._settings
    anew = GatewayProcess(replace(settings, grpc_listen="127.0.0.1:0", http_listen="127.0.0.1:0"))
    kept = await anew.gateway.feedback.all(EVERYBODY)
    assert [one.request_id for one in kept] == seen
    await anew.stop(0)


async def test_feedback_is_seen_by_its_user_and_by_admins_of_its_tenant_only(own_stack: Stack) -> None:
    box = own_stack.process.gateway.feedback
    ann = Principal("acme", "ann", frozenset(), frozenset({Scope.READ}))
    bob, admin = replace(ann, user="bob"), replace(ann, user="", scopes=ann.scopes | {Scope.ADMIN})
    await box.give(ann, "r1", 1, question="What?")
    await box.give(bob, "r1", -1, question="What?")

    assert [one.user for one in await box.all(ann)] == ["ann"]
    assert sorted(one.user for one in await box.all(admin)) == ["ann", "bob"]
    assert await box.all(replace(admin, tenant="other")) == []
    assert await box.delete(bob, "r1") == 1
    with pytest.raises(NotFound):
        await box.delete(bob, "r1")
    assert [one.user for one in await box.all(admin)] == ["ann"]

    # Keys without a user: what one with a group says is neither seen nor replaced by one without.
    nobody, of_hr = replace(ann, user=""), replace(ann, user="", groups=frozenset({"hr"}))
    for who, rating in ((of_hr, 1), (nobody, -1)):
        await box.give(who, "r2", rating, question="What?")
    assert [one.rating for one in await box.all(nobody)] == [-1]
    assert sorted(one.rating for one in await box.all(of_hr)) == [-1, 1]
    assert await box.delete(nobody, "r2") == 1
    assert [one.groups for one in await box.all(of_hr)] == [("hr",)]
    assert await box.delete(of_hr, "r2") == 1


@pytest.mark.parametrize("limit", [{"max_feedback": 1}, {"max_feedback_bytes": 100}])
async def test_feedback_beyond_the_limit_is_refused(
    own_stack: Stack, monkeypatch: pytest.MonkeyPatch, limit: dict[str, int]
) -> None:
    box = own_stack.process.gateway.feedback
    someone = replace(EVERYBODY, tenant=f"full-{len(next(iter(limit)))}")
    monkeypatch.setattr(box, "_limits", replace(box._limits, **limit))
    await box.give(someone, "r1", 1, question="What?")
    with pytest.raises(FailedPrecondition) as caught:
        await box.give(someone, "r2", 1, question="What?")
    assert caught.value.reason == "TOO_MUCH_FEEDBACK"


async def test_labels_are_what_people_said_and_no_more() -> None:
    def labels(*said: Feedback) -> list[tuple[list[str], list[str], bool]]:
        return [(list(one.relevant), list(one.answers), one.is_impossible) for one in labelled_questions(said)]

    assert labels(_SAID) == [(["heron"], [], False)]
    assert labels(replace(_SAID, rating=-1)) == []
    assert labels(replace(_SAID, rating=-1, document_ids=("otter",))) == [(["otter"], [], False)]
    assert labels(replace(_SAID, answer="Frogs.")) == [([], ["Frogs."], False)]
    refusal = replace(_SAID, refused=True, cited_document_ids=())
    assert labels(refusal) == [([], [], True)]
    assert labels(replace(refusal, rating=-1)) == []
    assert labels(replace(refusal, rating=-1), refusal) == [([], [], True)]
    # The same question twice is one, and what is known of it counts.
    assert labels(_SAID, replace(_SAID, request_id="r2", question="what do  herons EAT?", document_ids=("swift",))) == [
        (["heron", "swift"], [], False)
    ]
    assert labels(refusal, _SAID) == [(["heron"], [], False)]
    # Callers choose request ids: two questions that have one are told apart.
    others = [replace(_SAID, question=f"And {number}?", request_id=_SAID.request_id) for number in range(2)]
    assert len({one.id for one in labelled_questions([_SAID, *others])}) == 3


async def test_feedback_that_cannot_be_kept_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "feedback.sqlite").write_bytes(
        b"not a database, but long enough to be looked at as one" * 100
    )
    store = FeedbackStore(tmp_path)
    with pytest.raises(Unavailable) as caught:
        await store.put("acme", _SAID)
    assert str(tmp_path) not in caught.value.message
