"""A gateway that asks for keys, with nothing behind it: enough for whatever is about keys."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ports import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class KeyedGateway:
    """A running one.

    Attributes:
        address: Of its gRPC.
        url: Of its page.
        first_key: The key that may do everything.
    """

    address: str
    url: str
    first_key: str


@contextmanager
def running_keyed_gateway(folder: Path) -> Iterator[KeyedGateway]:
    """Runs one in a process of its own.

    Args:
        folder: Its data folder, new.
    """
    grpc_port, http_port = free_ports(2)
    address, http = f"127.0.0.1:{grpc_port}", f"127.0.0.1:{http_port}"
    flags = ("--auth", "keys", "--grpc-listen", address, "--http-listen", http)
    environ = {**os.environ, "TRIVIUM_DATA_DIR": str(folder)}
    process = subprocess.Popen([sys.executable, "-m", "trivium_gateway", *flags], env=environ)
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", http_port)):
            assert process.poll() is None, "the gateway has ended"
            assert time.monotonic() < deadline, "the gateway does not listen"
            time.sleep(0.05)
        yield KeyedGateway(address, f"http://{http}/", (folder / "gateway" / "first-key").read_text().strip())
    finally:
        process.terminate()
        process.wait(30)
