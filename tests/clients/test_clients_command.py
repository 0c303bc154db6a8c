"""The command where the client alone is installed, against the running stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def trivium(gateway: str, *arguments: str) -> Any:
    """What the command prints as JSON."""
    command = [str(Path(sys.executable).parent / "trivium"), *arguments, "--json"]
    environment = os.environ | {"TRIVIUM_GATEWAY": gateway}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


def test_ask_needs_no_service_on_this_side(gateway: str) -> None:
    answer = trivium(gateway, "ask", "How long does the warranty of the KX-200 pump last?")

    assert "24 months" in answer["answer"]
    assert answer["citations"][0]["document_id"] == "kx-200/warranty"


def test_doctor_leaves_out_what_concerns_services_and_looks_at_the_gateway(gateway: str) -> None:
    findings = {finding["subject"]: finding for finding in trivium(gateway, "doctor")["findings"]}

    assert "the client alone" in findings["installed"]["text"]
    assert findings["model of embed"]["level"] == "skipped"
    assert findings["gateway"]["level"] == "ok"
