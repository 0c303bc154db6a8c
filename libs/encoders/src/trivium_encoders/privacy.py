"""Switches off the telemetry of the libraries below; imported before any of them is.

OpenVINO reports every import of itself unless its `openvino_telemetry` package is absent, so that import is made to
fail: OpenVINO then uses the silent stand-in that it brings. There is no setting for it.
"""

import os
import sys


def silence_telemetry() -> None:
    """Makes sure that no library sends usage data; also for child processes. Safe to call again."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["DO_NOT_TRACK"] = "1"
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


silence_telemetry()
