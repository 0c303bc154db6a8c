"""Made-up messages on every RPC of the real processes: each is answered or refused, none breaks anything or hangs.

`TRIVIUM_FUZZ_CASES=1000` does more of it, `TRIVIUM_FUZZ_AUTH=off` does it to a gateway that asks for no keys, and
`TRIVIUM_FUZZ_SEED` repeats one.
"""

from __future__ import annotations

import os
import pkgutil
import random
from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from e2e.random_messages import random_bytes, random_message
from e2e.stack import stacks_in
from google.protobuf import descriptor_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.stack import Stack
    from google.protobuf.descriptor import MethodDescriptor

_CASES = int(os.environ.get("TRIVIUM_FUZZ_CASES", "6"))
_AUTH = os.environ.get("TRIVIUM_FUZZ_AUTH", "keys")
_SECONDS = 60.0
_KEY = "tv_first_" + "0" * 32
_BROKEN = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)
_PROCESSES = ("gateway", "embed", "rerank", "generate")
_METHODS = [
    (process, method)
    for process in _PROCESSES
    for file in pkgutil.iter_modules(import_module(f"trivium.{process}.v1").__path__, f"trivium.{process}.v1.")
    if file.name.endswith("_service_pb2")
    for service in import_module(file.name).DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with keys, so that there is something behind each RPC."""
    for make in stacks_in(lambda: tmp_path_factory.mktemp("fuzz")):
        made = make(TRIVIUM_GATEWAY_AUTH=_AUTH, TRIVIUM_GATEWAY_ADMIN_KEY=_KEY if _AUTH == "keys" else "")
        made.start()
        made.wait_ready()
        made.http.headers["authorization"] = f"Bearer {_KEY}"
        made.http.post("/v1/collections", json={"name": "heron"}).raise_for_status()
        made.ingest({"id": "heron", "text": "Herons eat fish.", "metadata": {"year": 2021}})
        yield made


def _address(stack: Stack, process: str) -> str:
    if process == "gateway":
        return f"127.0.0.1:{stack.grpc_port}"
    address: str = stack.environ[f"TRIVIUM_GATEWAY_{process.upper()}_TARGET"]
    return address


def _call(channel: grpc.Channel, method: MethodDescriptor, requests: list[bytes]) -> grpc.StatusCode:
    """Makes a call, reads its answer to the end, and says how it ended."""
    kind = ("stream" if method.client_streaming else "unary") + "_" + ("stream" if method.server_streaming else "unary")
    path = f"/{method.containing_service.full_name}/{method.name}"
    call: Any = getattr(channel, kind)(path)  # of bytes: nothing is made of them on the way
    sent = iter(requests) if method.client_streaming else requests[0]
    try:
        answer = call(sent, timeout=_SECONDS, metadata=(("authorization", f"Bearer {_KEY}"),))
        if method.server_streaming:
            for _ in answer:
                pass
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("process", "method"), _METHODS, ids=[method.full_name for _, method in _METHODS])
def test_made_up_messages_are_answered_or_refused(stack: Stack, process: str, method: MethodDescriptor) -> None:
    seed = int(os.environ.get("TRIVIUM_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
    chance, codes = random.Random(seed), Counter[str]()
    kind = descriptor_pool.Default().FindMessageTypeByName(method.input_type.full_name)
    with grpc.insecure_channel(_address(stack, process)) as channel:
        for number in range(_CASES):
            count = chance.randrange(1, 5) if method.client_streaming else 1
            messages = [random_message(chance, kind) for _ in range(count)]
            broken = number % 4 == 3
            data = [random_bytes(chance, one) if broken else one.SerializeToString() for one in messages]
            code = _call(channel, method, data)
            codes[code.name] += 1
            assert code is not grpc.StatusCode.DEADLINE_EXCEEDED, f"hangs: seed {seed}, case {number}"
            # What is no message of the kind is refused by gRPC itself, before any code of the service sees it.
            assert broken or code not in _BROKEN, f"{code}: seed {seed}, case {number}: {messages}"[:2000]
    print(f"{method.full_name}: {_CASES} messages, seed {seed}: {dict(codes)}")
    assert stack.http.get("/healthz").status_code == 200
