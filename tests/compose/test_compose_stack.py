"""`docker compose up` as people meet it. Needs a Docker engine and the images: scripts/test-compose makes both sure."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SERVICES = ("qdrant", "embed", "rerank", "generate", "gateway", "prometheus")
_START_SECONDS = 240.0
_KEY = "tv_compose_" + "x" * 43
_QUESTION = {"question": "How long does the warranty last?"}
_DOCUMENT = {"documents": [{"id": "warranty", "title": "Warranty", "text": "The warranty lasts 24 months."}]}

pytestmark = [
    pytest.mark.skipif(os.environ.get("TRIVIUM_TEST_COMPOSE") != "1", reason="needs Docker; run make test-compose"),
    pytest.mark.timeout(900),
]


class ComposeStack:
    """The stack of docker-compose.yml with the embedded engine in the place of Qdrant, under a name of its own."""

    def __init__(self) -> None:
        self.http_port, self.prometheus_port = free_port(), free_port()
        self._environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": "trivium-test",
            "TRIVIUM_HTTP_PORT": str(self.http_port),
            "TRIVIUM_GRPC_PORT": str(free_port()),
            "QDRANT_HTTP_PORT": str(free_port()),
            "PROMETHEUS_PORT": str(self.prometheus_port),
            "TRIVIUM_GATEWAY_ADMIN_KEY": _KEY,
            "TRIVIUM_GENERATE_VARIANT": "",
            "TRIVIUM_GENERATE_BACKEND": "extractive",
        }
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.http_port}", timeout=30, headers={"Authorization": f"Bearer {_KEY}"}
        )

    def compose(self, *arguments: str) -> str:
        """Runs docker compose, of either generation."""
        command = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
        files = ["-f", "docker-compose.yml", "-f", "deploy/compose/embedded.yml"]
        done = subprocess.run(
            [*command, *files, *arguments], cwd=ROOT, env=self._environment, text=True, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def up(self) -> None:
        """Starts every service, and waits until all answer."""
        self.compose("up", "-d", "--no-build", *SERVICES)
        _wait(lambda: all(stage["ready"] for stage in self.stages()), _START_SECONDS)

    def stages(self) -> list[dict[str, Any]]:
        """What /readyz says of each stage."""
        stages: list[dict[str, Any]] = self.client.get("/readyz").json()["stages"]
        return stages

    def ask(self) -> dict[str, Any]:
        """The answer to the question of these tests."""
        response = self.client.post("/v1/answer", json=_QUESTION)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    def container(self, service: str) -> str:
        """The id of a service's container."""
        return self.compose("ps", "-q", service).strip()


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (httpx.HTTPError, KeyError, ValueError):
            pass
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.5)


@pytest.fixture(scope="module")
def stack() -> Iterator[ComposeStack]:
    stack = ComposeStack()
    try:
        stack.up()
        assert stack.client.post("/v1/documents", json=_DOCUMENT).status_code == 200
        yield stack
    finally:
        logs = stack.compose("logs", "--no-color", "--tail", "40")
        stack.compose("down", "-v", "--timeout", "20")
        print(logs)


def test_compose_stack_answers_with_a_citation(stack: ComposeStack) -> None:
    answer = stack.ask()

    assert "24 months" in answer["answer"]
    assert answer["citations"][0]["document_id"] == "warranty"
    assert answer["degraded"] == []


def test_compose_stack_asks_for_a_key(stack: ComposeStack) -> None:
    for path in ("/v1/collections", "/metrics"):
        assert httpx.get(f"http://127.0.0.1:{stack.http_port}{path}").status_code == 401
        assert stack.client.get(path).status_code == 200


def test_compose_stack_is_scraped_by_prometheus(stack: ComposeStack) -> None:
    def scraped() -> bool:
        address = f"http://127.0.0.1:{stack.prometheus_port}/api/v1/query"
        samples = httpx.get(address, params={"query": "up"}).json()["data"]["result"]
        up = {sample["metric"]["job"] for sample in samples if sample["value"][1] == "1"}
        return up >= {"gateway", "embed", "rerank", "generate", "qdrant"}

    _wait(scraped, 60)


def test_compose_stack_with_a_container_killed_answers_degraded_and_recovers(stack: ComposeStack) -> None:
    subprocess.run(["docker", "kill", stack.container("rerank")], check=True, capture_output=True)

    answer = stack.ask()
    assert "24 months" in answer["answer"]
    assert [entry["stage"] for entry in answer["degraded"]] == ["rerank"]

    stack.compose("up", "-d", "--no-build", "rerank")
    _wait(lambda: stack.ask()["degraded"] == [], 120)


def test_compose_stack_answers_every_question_while_an_image_is_replaced(stack: ComposeStack) -> None:
    failures: list[str] = []
    answered = 0
    over = threading.Event()

    def keep_asking() -> None:
        nonlocal answered
        while not over.is_set():
            try:
                stack.ask()
                answered += 1
            except (AssertionError, httpx.HTTPError) as error:
                failures.append(repr(error))

    before = stack.container("embed")
    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        stack.compose("up", "-d", "--no-build", "--no-deps", "--force-recreate", "embed")
        _wait(lambda: stack.ask()["degraded"] == [], 120)
    finally:
        over.set()
        asking.join()

    assert stack.container("embed") != before
    assert failures == []
    assert answered > 0


def test_compose_data_outlive_down_and_up(stack: ComposeStack) -> None:
    stack.compose("down", "--timeout", "20")
    stack.up()

    assert "24 months" in stack.ask()["answer"]
