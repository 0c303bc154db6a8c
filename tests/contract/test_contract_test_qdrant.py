"""scripts/test-qdrant, with the embedded engine in a server's place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from trivium_qdrant_edge.child_process import QdrantEdgeProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "test-qdrant"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[QdrantEdgeProcess]:
    """Something that speaks Qdrant's API at an address."""
    with QdrantEdgeProcess(tmp_path / "data") as process:
        yield process


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TRIVIUM_TEST_", "PYTEST_"))}
    return subprocess.run([str(SCRIPT), *arguments], env=environ | variables, capture_output=True, text=True)


def test_steps_run_on_the_server_and_are_a_line_each(server: QdrantEdgeProcess) -> None:
    ran = run(
        f"http://127.0.0.1:{server.http_port}",
        "conformance",
        TRIVIUM_TEST_QDRANT_GRPC_PORT=str(server.grpc_port),
        PYTEST_ADDOPTS="--ignore-glob=*/test_qdrant_[!ens]*.py",  # endpoints, nodes, snapshots: some of all kinds,
    )

    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.splitlines()[-2] == f"test-qdrant: http://127.0.0.1:{server.http_port}"
    assert ran.stdout.splitlines()[-1].startswith("conformance ")
    assert " passed" in ran.stdout.splitlines()[-1]


def test_step_that_fails_is_the_exit_status() -> None:
    ran = run("http://127.0.0.1:9", "conformance", PYTEST_ADDOPTS="-x")  # nothing listens there

    assert ran.returncode == 1
    assert " error" in ran.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which server?"),
        (("http://127.0.0.1:6333",), "gateway deletes all that the server has"),
        (("http://127.0.0.1:6333", "stack"), "stack deletes all that the server has"),
        (("./qdrant", "speed"), "there is no step speed"),
    ],
)
def test_what_is_missing_is_said_before_anything_runs(arguments: tuple[str, ...], said: str) -> None:
    ran = run(*arguments)

    assert ran.returncode == 2
    assert said in ran.stderr
