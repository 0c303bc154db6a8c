"""infinity's torch engine with its defaults, behind its own HTTP server, and as many callers as ours has.

python infinity_server.py MODEL CALLERS
"""

from __future__ import annotations

import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from typing import Any

import numpy as np
from answering import answer, coded, own_stdout

START_SECONDS = 180


class Infinity:
    """A running server and its callers, each with one connection that is kept open."""

    def __init__(self, model: str, callers: int) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        command = [str(Path(sys.executable).parent / "infinity_emb"), "v2", "--model-id", model, "--device", "cpu"]
        command += ["--served-model-name", "model", "--host", "127.0.0.1", "--port", str(self._port)]
        environ = os.environ | {"DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0", "HF_HUB_OFFLINE": "1"}
        self.process = subprocess.Popen([*command, "--log-level", "warning"], env=environ)
        self._callers = ThreadPoolExecutor(callers)
        self._local = local()
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self._call(["ready?"])
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > give_up:
                    sys.exit("infinity did not start; its log is above")
                time.sleep(0.2)

    def embed(self, requests: list[list[str]]) -> dict[str, Any]:
        """Seconds for all requests, the vectors, and the processor time that the callers took."""
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        answers = list(self._callers.map(self._call, requests))
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        vectors = np.concatenate([np.asarray(rows, dtype=np.float32) for rows in answers])
        return {"seconds": seconds, "vectors": coded(vectors), "client_seconds": client}

    def queries(self, texts: list[str]) -> dict[str, Any]:
        """Seconds of each text, one after the other."""
        durations = []
        for text in texts:
            start = time.perf_counter()
            self._call([text])
            durations.append(time.perf_counter() - start)
        return {"seconds": durations}

    def _call(self, texts: list[str]) -> list[list[float]]:
        body = json.dumps({"model": "model", "input": texts})
        try:
            status, answered = self._post(body)
        except ConnectionError:  # it closes connections that were idle, as they are while it stands still
            status, answered = self._post(body)
        if status != http.HTTPStatus.OK:
            raise RuntimeError(f"infinity answered {status}: {answered[:300]!r}")
        return [row["embedding"] for row in json.loads(answered)["data"]]

    def _post(self, body: str) -> tuple[int, bytes]:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self._port)
        try:
            self._local.connection.request("POST", "/embeddings", body, {"content-type": "application/json"})
            response = self._local.connection.getresponse()
            return response.status, response.read()
        except OSError:
            self._local.connection.close()
            del self._local.connection
            raise


if __name__ == "__main__":
    own_stdout()
    infinity = Infinity(sys.argv[1], int(sys.argv[2]))
    try:
        answer(
            {"embed": infinity.embed, "queries": infinity.queries},
            ("infinity-emb", "torch", "transformers", "sentence-transformers", "optimum"),
        )
    finally:
        infinity.process.terminate()
        infinity.process.wait(30)
