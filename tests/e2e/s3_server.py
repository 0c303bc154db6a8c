"""A server that speaks S3, for the tests of what reads buckets. Needs moto, which only their environments have."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from e2e.stack import wait_until
from ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def running_s3() -> Iterator[dict[str, str]]:
    """The variables by which the libraries of S3 find a server of the caller's own; no others may begin with `AWS_`."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:

        def answers() -> bool:
            assert process.poll() is None, "the server has ended"
            try:
                return httpx.get(f"{address}/moto-api/").status_code == 200
            except httpx.TransportError:
                return False

        try:
            wait_until(answers, "S3")
            yield {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "ann",
                "AWS_SECRET_ACCESS_KEY": "secret",
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            }
        finally:
            process.kill()
