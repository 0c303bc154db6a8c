"""Whether a language model works: the generation service is started with it alone, and asked."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1.generate_service_pb2_grpc import GenerateServiceStub

from trivium_client.doctor.installation import package_folder
from trivium_client.language_model.providers import ProviderError
from trivium_client.stack.ports import free_ports

_MODULE = "trivium_generate"
_QUESTION = "How hot does the kiln on Mill Lane get?"
_PASSAGE = "The kiln on Mill Lane fires at 1,240 degrees. It was built in 1931."
_STATED = ("1,240", "1240", "1.240", "1 240")
_LOG_LINES = 8
_LOOK_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Trial:
    """What a language model made of a question with one passage.

    Attributes:
        text: Its answer.
        seconds: How long that took.
        is_right: Whether it says what the passage states.
    """

    text: str
    seconds: float
    is_right: bool


def try_model(settings: Mapping[str, str | None], timeout_seconds: float) -> Trial:
    """Asks the language model that some settings choose.

    Args:
        settings: Of the generation service; None for what must not be set.
        timeout_seconds: How long it may take, from the start of the service.

    Raises:
        ProviderError: If it writes no answer; says why.
    """
    if package_folder(_MODULE) is None:
        raise ProviderError("the generation service is not installed here, so nothing can be asked: use --no-check")
    end = time.monotonic() + timeout_seconds
    with _service(settings) as (address, log), grpc.insecure_channel(address) as channel:
        stub = GenerateServiceStub(channel)
        request = pb.GenerateRequest(
            question=_QUESTION,
            passages=[pb.Passage(text=_PASSAGE, title="The kiln", score=1.0)],
            mode=pb.GENERATE_MODE_MODEL,
        )
        began, text = time.monotonic(), ""
        try:
            grpc.channel_ready_future(channel).result(timeout=max(0.1, end - time.monotonic()))
            _wait_loaded(stub, end)
            began = time.monotonic()
            for response in stub.Generate(request, timeout=max(0.1, end - began)):
                text += response.delta.text
        except grpc.FutureTimeoutError:
            raise ProviderError(f"the generation service did not start:\n{_tail(log)}") from None
        except grpc.RpcError as error:
            raise ProviderError(error.details() or str(error.code())) from None
        text = text.strip()
        if not text:
            raise ProviderError("the model wrote nothing")
        return Trial(text, time.monotonic() - began, any(stated in text for stated in _STATED))


def _wait_loaded(stub: GenerateServiceStub, end: float) -> None:
    """Waits until the service has looked for its model; what it found then comes with the answer, or in its place."""
    while stub.GetModel(pb.GetModelRequest(), timeout=_LOOK_SECONDS).state == pb.MODEL_STATE_LOADING:
        if time.monotonic() > end:
            raise ProviderError("the model is still loading: give it more time with --timeout")
        time.sleep(_LOOK_AGAIN_SECONDS)


@contextlib.contextmanager
def _service(settings: Mapping[str, str | None]) -> Iterator[tuple[str, Path]]:
    (port,) = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    environment |= {name: value for name, value in settings.items() if value is not None}
    environment |= {
        "TRIVIUM_GENERATE_LISTEN": f"127.0.0.1:{port}",
        "TRIVIUM_GENERATE_METRICS_PORT": "0",
        "TRIVIUM_GENERATE_EMBED_TARGET": "",
    }
    for variable in ("TRIVIUM_TLS_CERT", "TRIVIUM_TLS_KEY", "TRIVIUM_TLS_CA"):
        environment.pop(variable, None)
    with tempfile.TemporaryDirectory(prefix="trivium-model-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as written:
            command = [sys.executable, "-m", _MODULE]
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=written, stderr=written
            )
        try:
            yield f"127.0.0.1:{port}", log
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
