"""Who may call from a browser."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from trivium_gateway.http.origins import OriginMiddleware, OriginPolicy

LOCAL = "127.0.0.1:8080"
APP = "https://app.example.com"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        (LOCAL, None),
        (LOCAL, "http://127.0.0.1:8080"),
        ("localhost:8080", "http://localhost:8080"),
        ("trivium.localhost", "https://trivium.localhost"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("gateway:8080", None),
        ("gateway.trivium.svc.cluster.local:8080", None),
        ("", None),
    ],
)
def test_policy_own_pages_and_programs_are_let_in(host: str, origin: str | None) -> None:
    assert OriginPolicy.of("", LOCAL).problem(host, origin) is None


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://127.0.0.1:3000", "http://localhost:8080", "null", "file://", "http://[", ""],
)
def test_policy_foreign_page_is_refused(origin: str) -> None:
    problem = OriginPolicy.of("", LOCAL).problem(LOCAL, origin)

    assert problem is not None
    assert "TRIVIUM_GATEWAY_ALLOWED_ORIGINS" in problem


@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example.", "[::1"])
def test_policy_rebound_name_is_refused(host: str) -> None:
    assert "name" in (OriginPolicy.of("", LOCAL).problem(host, f"http://{host}") or "")


def test_policy_allowed_origin_is_let_in_and_so_is_its_name() -> None:
    policy = OriginPolicy.of(f" {APP}/ , http://other.example:81", LOCAL)

    assert policy.problem(LOCAL, APP) is None
    assert policy.problem("app.example.com", None) is None
    assert policy.problem("app.example.com", "https://evil.example") is not None


@pytest.mark.parametrize(("allowed", "refused"), [("", False), (APP, True), ("*", False), (f"*,{APP}", False)])
def test_policy_beyond_this_machine_names_are_checked_once_some_are_given(allowed: str, refused: bool) -> None:
    policy = OriginPolicy.of(allowed, "0.0.0.0:8080")

    assert (policy.problem("rag.example.org", None) is not None) is refused


@pytest.mark.parametrize("wrong", ["app.example.com", "https://app.example.com/path", "ftp://a.example", "https://"])
def test_policy_what_is_no_origin_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ValueError, match="TRIVIUM_GATEWAY_ALLOWED_ORIGINS"):
        OriginPolicy.of(wrong, LOCAL)


async def test_middleware_foreign_form_never_reaches_the_application() -> None:
    app = FastAPI()
    reached = []
    app.add_api_route("/v1/documents", lambda: reached.append(1), methods=["POST"])
    app.add_middleware(OriginMiddleware, policy=OriginPolicy())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{LOCAL}") as http:
        form = {"file": ("note.txt", b"planted")}
        refused = await http.post("/v1/documents", files=form, headers={"Origin": "https://evil.example"})
        accepted = await http.post("/v1/documents", files=form)

    assert refused.status_code == 403
    assert refused.json()["error"]["reason"] == "ORIGIN_NOT_ALLOWED"
    assert refused.json()["error"]["status"] == "PERMISSION_DENIED"
    assert accepted.status_code == 200
    assert reached == [1]
