"""A rolling update as Kubernetes does it, with processes in place of pods: under steady questions, none is lost.

Each instance has an address of its own, and all the same port. A new one is started; once it serves, its address is
added to the name, and the old one's is taken away; then the old one gets SIGTERM. What Kubernetes does besides, to wait
before the SIGTERM until everybody knows, is left out: it may not be what saves the day.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from e2e.name_server import NameServer
from e2e.stack import MODELS, wait_until
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ports import free_port
from trivium.gateway.v1 import gateway_service_pb2 as gateway_pb
from trivium.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from trivium_serving.channels import CHANNEL_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from e2e.stack import Stack

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the addresses 127.0.0.2 and 127.0.0.3")

ADDRESSES = ("127.0.0.2", "127.0.0.3")
_CALLERS = 4
_ANSWERS = 10
"""How many must come before, between and after the updates."""


class Questions:
    """Callers that ask without pause until told to stop, and note what went wrong.

    Args:
        ask: Asks the question of a number; returns what is wrong with the answer, or an empty text.
    """

    def __init__(self, ask: Callable[[int], str]) -> None:
        self._ask = ask
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self.answered = 0
        self.wrong: list[str] = []

    def _call(self) -> None:
        while not self._stop.is_set():
            if problem := self._ask(next(self._numbers)):
                self.wrong.append(problem)
            else:
                self.answered += 1

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Asks while the block runs."""
        callers = [threading.Thread(target=self._call) for _ in range(_CALLERS)]
        for caller in callers:
            caller.start()
        try:
            yield
        finally:
            self._stop.set()
            for caller in callers:
                caller.join()

    def wait_for_more(self) -> None:
        """Waits until some more answers have come."""
        goal = self.answered + _ANSWERS
        wait_until(lambda: self.answered >= goal or bool(self.wrong), "further answer")


class Instances:
    """Instances of one service, each on an address of its own, and the name that leads to those that are ready.

    Args:
        service: Which.
        environ: For all of them, with `{address}` and `{port}` where these belong.
        folder: For their logs.
    """

    def __init__(self, service: str, environ: dict[str, str], folder: Path) -> None:
        self._service = service
        self._environ = environ
        self._log = folder / f"{service}-instances.log"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.names = NameServer()
        self.port = free_port(ADDRESSES[0])

    @property
    def target(self) -> str:
        """What gRPC resolves to the ready instances."""
        return f"dns://127.0.0.1:{self.names.port}/{self._service}.test:{self.port}"

    def start(self, address: str) -> None:
        """Starts an instance and waits until it serves."""
        environ = {key: value.format(address=address, port=self.port) for key, value in self._environ.items()}
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", f"trivium_{self._service}"]
            self._processes[address] = subprocess.Popen(command, env=os.environ | environ, stdout=log, stderr=log)
        with grpc.insecure_channel(f"{address}:{self.port}", options=CHANNEL_OPTIONS) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)

            def serving() -> bool:
                assert self._processes[address].poll() is None, self._log.read_text()
                with contextlib.suppress(grpc.RpcError):
                    reply = stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
                    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)
                return False

            wait_until(serving, f"{self._service} on {address}", 120)

    def update(self, old: str, new: str) -> None:
        """Replaces one instance by another; the old one must end in order."""
        self.start(new)
        self.names.addresses = (old, new)
        self.names.addresses = (new,)
        process = self._processes.pop(old)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, self._log.read_text()

    @contextlib.contextmanager
    def running(self) -> Iterator[Instances]:
        """The first instance, and the name server; ends all of them."""
        try:
            with self.names:
                self.start(ADDRESSES[0])
                self.names.addresses = ADDRESSES[:1]
                yield self
        finally:
            for process in self._processes.values():
                process.kill()
                process.wait()


def roll_twice(instances: Instances, questions: Questions) -> None:
    """Updates there and back under questions, and requires that each was answered, and none the worse for it."""
    first, second = ADDRESSES
    with questions.running():
        questions.wait_for_more()
        instances.update(first, second)
        questions.wait_for_more()
        instances.update(second, first)
        questions.wait_for_more()
    assert questions.wrong == []


@pytest.mark.parametrize("service", ["embed", "rerank", "generate"])
def test_rolling_update_of_a_service_loses_and_degrades_no_question(
    make_stack: Callable[..., Stack], tmp_path: Path, service: str
) -> None:
    environ = {
        f"TRIVIUM_{service.upper()}_LISTEN": "{address}:{port}",
        f"TRIVIUM_{service.upper()}_METRICS_PORT": "0",
        "TRIVIUM_DATA_DIR": str(MODELS),
    }
    instances = Instances(service, environ, tmp_path)
    targets = {f"TRIVIUM_GATEWAY_{service.upper()}_TARGET": instances.target}
    if service == "embed":
        targets["TRIVIUM_GENERATE_EMBED_TARGET"] = instances.target
    # What is late on a busy machine is not lost.
    stack = make_stack(**targets, TRIVIUM_GENERATE_EMBED_TIMEOUT_SECONDS="20")
    environ["TRIVIUM_GENERATE_EMBED_TARGET"] = stack.environ["TRIVIUM_GENERATE_EMBED_TARGET"]
    with instances.running():
        stack.start(*{"qdrant_edge", "embed", "rerank", "generate", "gateway"} - {service})
        wait_until(lambda: all(stack.stages().values()) and bool(stack.stages()), "ready stack", 120)
        stack.ingest({"id": "a", "title": "Herons", "text": "Herons eat fish. They stand in shallow water."})

        def ask(number: int) -> str:
            response = stack.http.post("/v1/answer", json={"question": f"What do herons eat on day {number}?"})
            body = response.json()
            return "" if response.status_code == 200 and not body["degraded"] else f"{response.status_code}: {body}"

        roll_twice(instances, Questions(ask))


def test_rolling_update_of_the_gateway_loses_no_question(make_stack: Callable[..., Stack], tmp_path: Path) -> None:
    stack = make_stack()
    stack.start("qdrant_edge", "embed", "rerank", "generate")
    environ = {
        **{name: value for name, value in stack.environ.items() if name.startswith("TRIVIUM_GATEWAY_")},
        "TRIVIUM_GATEWAY_GRPC_LISTEN": "{address}:{port}",
        "TRIVIUM_GATEWAY_HTTP_LISTEN": "{address}:0",
    }
    with (
        Instances("gateway", environ, tmp_path).running() as gateway,
        grpc.insecure_channel(gateway.target, options=CHANNEL_OPTIONS) as channel,
    ):
        stub = GatewayServiceStub(channel)
        stub.CreateCollection(gateway_pb.CreateCollectionRequest(name="default"), timeout=30)

        def ask(number: int) -> str:
            try:
                stub.Retrieve(gateway_pb.RetrieveRequest(query=f"What do herons eat on day {number}?"), timeout=30)
            except grpc.RpcError as error:
                return str(error)
            return ""

        roll_twice(gateway, Questions(ask))
