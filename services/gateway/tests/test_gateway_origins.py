"""Who may call from a browser."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from trivium_gateway.surfaces.http.origins import OriginMiddleware, OriginPolicy

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
        ("10.1.2.3:8080", None),
        ("[fd00::1]:8080", "http://[fd00::1]:8080"),
        ("", None),
    ],
)
def test_policy_own_pages_and_programs_are_let_in(host: str, origin: str | None) -> None:
    assert OriginPolicy.of("", "").problem(host, origin) is None


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://127.0.0.1:3000", "http://localhost:8080", "null", "file://", "http://[", ""],
)
def test_policy_foreign_page_is_refused(origin: str) -> None:
    problem = OriginPolicy.of("", "").problem(LOCAL, origin)

    assert problem is not None
    assert "TRIVIUM_GATEWAY_ALLOWED_ORIGINS" in problem


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example.",
        "[::1",
        "evil",
        "evil.local",
        "evil.internal",
        "evil.svc",
        "0x7f000001",
        "127.0.0.1@evil.example",
    ],
)
def test_policy_rebound_name_is_refused(host: str) -> None:
    assert "name" in (OriginPolicy.of("", "").problem(host, f"http://{host}") or "")


def test_policy_allowed_origin_is_let_in_and_so_is_its_name() -> None:
    policy = OriginPolicy.of(f" {APP}/ , http://other.example:81", "")

    assert policy.problem(LOCAL, APP) is None
    assert policy.problem("app.example.com", None) is None
    assert policy.problem("app.example.com", "https://evil.example") is not None


@pytest.mark.parametrize(
    ("hosts", "host", "known"),
    [
        ("gateway", "gateway:8080", True),
        ("gateway", "Gateway.", True),
        ("gateway", "gateway.evil.example", False),
        (" rag.example.com , ,*.svc.cluster.local", "rag.example.com", True),
        ("*.svc.cluster.local", "gateway.trivium.svc.cluster.local:8080", True),
        ("*.svc.cluster.local", "svc.cluster.local", False),
        ("*.example.com", "evilexample.com", False),
        ("*", "rag.example.org", True),
    ],
)
def test_policy_names_of_the_setting_are_known_and_no_others(hosts: str, host: str, known: bool) -> None:
    policy = OriginPolicy.of("", hosts)

    assert (policy.problem(host, None) is None) is known
    assert policy.problem(host, "https://evil.example") is not None


def test_policy_of_any_origin_checks_nothing() -> None:
    assert OriginPolicy.of(f"*,{APP}", "").problem("rag.example.org", "https://evil.example") is None


@pytest.mark.parametrize("wrong", ["http://rag.example.com", "rag.example.com:8080", "*.*.com", "a b"])
def test_policy_what_is_no_name_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ValueError, match="TRIVIUM_GATEWAY_ALLOWED_HOSTS"):
        OriginPolicy.of("", wrong)


@pytest.mark.parametrize("wrong", ["app.example.com", "https://app.example.com/path", "ftp://a.example", "https://"])
def test_policy_what_is_no_origin_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ValueError, match="TRIVIUM_GATEWAY_ALLOWED_ORIGINS"):
        OriginPolicy.of(wrong, "")


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
