"""The peers' side of their pipe: a line of JSON asks, a line of JSON answers. Standard library only."""

from __future__ import annotations

import base64
import json
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def answer(handlers: Mapping[str, Callable[..., Mapping[str, Any]]], packages: tuple[str, ...]) -> None:
    """Says ready, then answers requests `{"do": handler, "with": arguments}` until the pipe closes.

    Args:
        handlers: What can be asked for.
        packages: Whose versions to tell when ready.
    """
    _say({"versions": {package: version(package) for package in packages}})
    for line in sys.stdin:
        request = json.loads(line)
        _say(handlers[request["do"]](**request["with"]))


def own_stdout() -> None:
    """Keeps standard output for answers: what libraries print goes to standard error. Call it first."""
    global _out
    _out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)


def coded(vectors: Any) -> str:
    """Vectors, `[texts, dimension]` of float32, for an answer."""
    return base64.b64encode(vectors.astype("<f4").tobytes()).decode()


_out = sys.stdout


def _say(answered: Mapping[str, Any]) -> None:
    _out.write(json.dumps(answered) + "\n")
    _out.flush()
