"""Nothing leaves the machine: the stack works without a way out, and listens on loopback only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from contract.qdrant_under_test import running_server
from e2e.namespaces import alone, namespaces_work

if TYPE_CHECKING:
    from e2e.stack import Stack

TESTS = Path(__file__).resolve().parents[1]

PROGRAM = """
import pathlib, socket, sys
from e2e.stack import Stack

try:
    socket.create_connection(("192.0.2.1", 443), timeout=2)
except OSError:
    pass
else:
    sys.exit("this namespace has a way out")

stack = Stack(pathlib.Path(sys.argv[1]))
stack.start()
try:
    stack.wait_ready()
    stack.ingest({"id": "lamp", "title": "The lamp", "text": "The lamp in the north tower burns whale oil."})
    body = stack.answer("What does the lamp in the north tower burn?")
    assert "whale oil" in body["answer"] and body["citations"] and not body["degraded"], body
finally:
    stack.end()
"""


@pytest.mark.skipif(running_server() is not None, reason="no server elsewhere can be reached without a network")
@pytest.mark.skipif(not namespaces_work(), reason="needs unshare, ip, and the right to make network namespaces")
def test_stack_without_any_network_ingests_and_answers(tmp_path: Path) -> None:
    command = alone(sys.executable, "-c", PROGRAM, str(tmp_path / "stack"))

    outcome = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=240)

    assert outcome.returncode == 0, outcome.stderr[-4000:]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_stack_listens_on_loopback_only(stack: Stack) -> None:
    listening = stack.listening_addresses()

    assert len(listening) >= 7
    assert {host.removeprefix("::ffff:") for host, _ in listening} == {"127.0.0.1"}  # gRPC uses mapped addresses
