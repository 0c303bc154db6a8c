"""Which Qdrant the tests run on: the embedded engine, or what TRIVIUM_TEST_QDRANT says.

    TRIVIUM_TEST_QDRANT=/opt/qdrant/qdrant            a command that starts a server and becomes it
    TRIVIUM_TEST_QDRANT=http://10.0.0.5:6333          a server that runs

The command gets its ports, its folder and, where a test wants TLS, its certificate in the variables that a Qdrant
server reads. Tests kill it and start it again on the same folder, so it must not leave a process behind. For a server
that runs, TRIVIUM_TEST_QDRANT_GRPC_PORT (6334) and TRIVIUM_TEST_QDRANT_API_KEY say the rest. Conformance leaves alone
what it finds there. The tests that kill Qdrant get a relay in its place (`contract/qdrant_relay.py`) and begin with an
empty server, so they ask for TRIVIUM_TEST_QDRANT_MAY_BE_EMPTIED=yes; it must take plain text and no key then.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VARIABLE = "TRIVIUM_TEST_QDRANT"

_RELAY = Path(__file__).with_name("qdrant_relay.py")


@dataclass(frozen=True, slots=True)
class QdrantServer:
    """How to reach a server."""

    host: str
    http_port: int
    grpc_port: int
    https: bool = False
    api_key: str | None = None

    @property
    def url(self) -> str:
        """Base of its HTTP endpoints."""
        return f"{'https' if self.https else 'http'}://{self.host}:{self.http_port}"


def given() -> str:
    """What TRIVIUM_TEST_QDRANT says; empty for the embedded engine."""
    return os.environ.get(VARIABLE, "").strip()


def running_server() -> QdrantServer | None:
    """The server that runs already, if it is one that is given."""
    if not given().startswith(("http://", "https://")):
        return None
    url = urlsplit(given())
    return QdrantServer(
        host=url.hostname or "127.0.0.1",
        http_port=url.port or 6333,
        grpc_port=int(os.environ.get(f"{VARIABLE}_GRPC_PORT", "6334")),
        https=url.scheme == "https",
        api_key=os.environ.get(f"{VARIABLE}_API_KEY"),
    )


def command(
    *, grpc_port: int, http_port: int, data: Path, environ: Mapping[str, str], python: str = sys.executable
) -> tuple[Sequence[str], dict[str, str]]:
    """What starts a Qdrant on 127.0.0.1, or a relay to the one that runs.

    Args:
        grpc_port: Its gRPC port.
        http_port: Its HTTP port.
        data: TRIVIUM_DATA_DIR; the data are in its folder `qdrant`.
        environ: The environment, from which TLS is taken.
        python: The interpreter for the embedded engine.

    Returns:
        The command, and its environment.

    Raises:
        RuntimeError: The server that runs cannot be used.
    """
    if (running := running_server()) is not None:
        if running.https or running.api_key:
            raise RuntimeError(f"these tests reach the server at {VARIABLE} in plain text and without a key")
        if os.environ.get(f"{VARIABLE}_MAY_BE_EMPTIED") != "yes":
            raise RuntimeError(
                f"these tests delete all that is stored at {running.url}: {VARIABLE}_MAY_BE_EMPTIED=yes allows it"
            )
        if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
            raise RuntimeError(f"these tests share the server at {VARIABLE}: run them in one process")
        ports = (running.http_port, running.grpc_port, http_port, grpc_port)
        return (sys.executable, str(_RELAY), running.host, str(data), *map(str, ports)), dict(environ)
    if not given():
        listen = (f"--listen=127.0.0.1:{grpc_port}", f"--http-listen=127.0.0.1:{http_port}")
        return (python, "-m", "trivium_qdrant_edge", *listen), {**environ, "TRIVIUM_DATA_DIR": str(data)}
    settings = {
        "SERVICE__HOST": "127.0.0.1",
        "SERVICE__HTTP_PORT": str(http_port),
        "SERVICE__GRPC_PORT": str(grpc_port),
        "STORAGE__STORAGE_PATH": str(data / "qdrant"),
        "STORAGE__SNAPSHOTS_PATH": str(data / "qdrant-snapshots"),
        "TELEMETRY_DISABLED": "true",
    }
    if certificate := environ.get("TRIVIUM_TLS_CERT"):
        settings |= {
            "SERVICE__ENABLE_TLS": "true",
            "SERVICE__VERIFY_HTTPS_CLIENT_CERTIFICATE": "true" if environ.get("TRIVIUM_TLS_CA") else "false",
            "TLS__CERT": certificate,
            "TLS__KEY": environ.get("TRIVIUM_TLS_KEY", ""),
            "TLS__CA_CERT": environ.get("TRIVIUM_TLS_CA", ""),
        }
    return shlex.split(given()), {**environ, **{f"QDRANT__{name}": value for name, value in settings.items()}}
