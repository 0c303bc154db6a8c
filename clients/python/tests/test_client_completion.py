"""Completion, asked by the shell itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from trivium.gateway.v1 import gateway_service_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")

_SCRIPT = """
source <(_TRIVIUM_COMPLETE=source_bash trivium)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_trivium_completion trivium
printf '%s\\n' "${COMPREPLY[@]}"
"""

COLLECTIONS = pb.ListCollectionsResponse(collections=[pb.Collection(name=name) for name in ("default", "papers")])


@pytest.fixture
def press_tab(gateway: Any) -> Callable[..., list[str]]:
    """What bash offers for a line whose last word is unfinished."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "TRIVIUM_GATEWAY": gateway.address}

    def press_tab(*words: str) -> list[str]:
        shell = ["bash", "--norc", "-c", _SCRIPT, "bash", *words]
        outcome = subprocess.run(shell, env=environment, capture_output=True, text=True, timeout=60)
        assert outcome.stderr == ""
        return outcome.stdout.split()

    return press_tab


def test_bash_completes_commands_and_options(press_tab: Callable[..., list[str]]) -> None:
    assert press_tab("trivium", "do") == ["doctor", "documents"]
    assert press_tab("trivium", "ask", "--js") == ["--json"]


def test_bash_completes_names_that_the_gateway_knows(gateway: Any, press_tab: Callable[..., list[str]]) -> None:
    gateway.will("ListCollections", COLLECTIONS)

    assert press_tab("trivium", "ask", "--collection", "pa") == ["papers"]


def test_bash_is_offered_nothing_and_told_nothing_while_the_gateway_is_down(
    press_tab: Callable[..., list[str]],
) -> None:
    assert press_tab("trivium", "ask", "--gateway", "127.0.0.1:1", "--collection", "pa") == []
