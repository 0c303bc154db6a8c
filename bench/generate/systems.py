"""The three ways to reach the engine, each in processes of its own, with the same engine settings and prompts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp
import psutil
from load import Measured, measure
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium_serving.channels import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

HERE = Path(__file__).parent
START_SECONDS = 180


class System(Protocol):
    """One way to reach the engine."""

    name: str
    process: subprocess.Popen[Any]

    async def ready(self) -> None:
        """Waits until it answers."""

    async def measure(self, prompts: Sequence[int], tokens: int, streams: int) -> Measured:
        """As `load.measure`."""

    async def close(self) -> None:
        """Ends its processes."""


class Direct:
    """AsyncLLM in the process that asks."""

    name = "AsyncLLM, called directly"

    def __init__(self, model: Path, engine_args: dict[str, Any], prompts: Path, log: Path) -> None:
        self._log = log
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "direct.py"), str(model), json.dumps(engine_args), str(prompts)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log.open("wb"),
            env=environment(),
            text=True,
        )

    async def ready(self) -> None:
        """Waits for its first line."""
        if await asyncio.to_thread(self._read) != "ready":
            raise SystemExit(ended("direct.py", self._log))

    async def measure(self, prompts: Sequence[int], tokens: int, streams: int) -> Measured:
        """Has it measure in its own process."""
        assert self.process.stdin is not None
        print(
            json.dumps({"prompts": list(prompts), "tokens": tokens, "streams": streams}),
            file=self.process.stdin,
            flush=True,
        )
        return Measured.from_json(await asyncio.to_thread(self._read))

    async def close(self) -> None:
        """Closes the pipe, at which it ends."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        await asyncio.to_thread(stop, self.process)

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(ended("direct.py", self._log))
        return json.loads(line)


class Service:
    """`trivium_generate` with the backend vllm, asked over gRPC."""

    name = "trivium_generate, gRPC"

    def __init__(self, model: Path, engine_args: dict[str, Any], prompts: list[dict[str, Any]], log: Path) -> None:
        self._log = log
        self._prompts = prompts
        port, self.metrics_port = free_ports(2)
        self._channel = open_channel(f"127.0.0.1:{port}")
        self.stub = generate_service_pb2_grpc.GenerateServiceStub(self._channel)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trivium_generate"],
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            env=environment()
            | {
                "TRIVIUM_GENERATE_LISTEN": f"127.0.0.1:{port}",
                "TRIVIUM_GENERATE_METRICS_PORT": str(self.metrics_port),
                "TRIVIUM_GENERATE_BACKEND": "vllm",
                "TRIVIUM_GENERATE_MODEL": str(model),
                "TRIVIUM_GENERATE_ENGINE_ARGS": json.dumps(engine_args),
                "TRIVIUM_GENERATE_EMBED_TARGET": "",
            },
        )

    async def ready(self) -> None:
        """Waits until the model is loaded."""
        begin = time.monotonic()
        while True:
            model = await self.stub.GetModel(pb.GetModelRequest(), wait_for_ready=True, timeout=START_SECONDS)
            if model.state == pb.MODEL_STATE_READY:
                return
            late = time.monotonic() - begin > START_SECONDS
            if late or self.process.poll() is not None or model.state == pb.MODEL_STATE_FAILED:
                raise SystemExit(ended("trivium_generate", self._log))
            await asyncio.sleep(0.1)

    def request(self, number: int, tokens: int) -> pb.GenerateRequest:
        """The request of a prompt."""
        prompt = self._prompts[number]
        return pb.GenerateRequest(
            question=prompt["question"],
            passages=[pb.Passage(**passage) for passage in prompt["passages"]],
            sampling=pb.Sampling(max_tokens=tokens, temperature=0),
            mode=pb.GENERATE_MODE_MODEL,
        )

    async def measure(self, prompts: Sequence[int], tokens: int, streams: int) -> Measured:
        """Measures from this process."""
        return await measure(self._stream, prompts, tokens, streams)

    async def close(self) -> None:
        """Ends it."""
        await self._channel.close()
        await asyncio.to_thread(stop, self.process)

    async def _stream(self, number: int, tokens: int) -> AsyncGenerator[str | int, None]:
        call = self.stub.Generate(self.request(number, tokens))
        async for response in call:
            if response.HasField("delta"):
                yield response.delta.text
            else:
                expect_prompt(self._prompts[number], response.finish.usage.prompt_tokens)
                yield response.finish.usage.completion_tokens


class OpenAiServer:
    """`vllm serve`, asked over HTTP as OpenAI's API is, streaming."""

    name = "vllm serve, HTTP"

    def __init__(self, model: Path, engine_args: dict[str, Any], prompts: list[dict[str, Any]], log: Path) -> None:
        self._log = log
        self._prompts = prompts
        (port,) = free_ports(1)
        flags = [part for name, value in engine_args.items() for part in _flag(name.replace("_", "-"), value)]
        self._model = str(model)
        self._session = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
        # What `vllm serve` runs; the command itself is broken in the builds for CPUs, which have another name.
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", self._model]
        self.process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--uvicorn-log-level", "warning", *flags],
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
            env=environment(),
        )

    async def ready(self) -> None:
        """Waits until it says that it is healthy."""
        begin = time.monotonic()
        while True:
            try:
                async with self._session.get("/health") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            if self.process.poll() is not None or time.monotonic() - begin > START_SECONDS:
                raise SystemExit(ended("vllm serve", self._log))
            await asyncio.sleep(0.1)

    async def measure(self, prompts: Sequence[int], tokens: int, streams: int) -> Measured:
        """Measures from this process."""
        return await measure(self._stream, prompts, tokens, streams)

    async def close(self) -> None:
        """Ends it."""
        await self._session.close()
        await asyncio.to_thread(stop, self.process)

    async def _stream(self, number: int, tokens: int) -> AsyncGenerator[str | int, None]:
        body = {
            "model": self._model,
            "messages": self._prompts[number]["messages"],
            "temperature": 0,
            "max_tokens": tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        async with self._session.post("/v1/chat/completions", json=body) as response:
            response.raise_for_status()
            async for line in response.content:
                if not line.startswith(b"data: {"):
                    continue
                chunk = json.loads(line[6:])
                if usage := chunk.get("usage"):
                    expect_prompt(self._prompts[number], usage["prompt_tokens"])
                    yield int(usage["completion_tokens"])
                elif chunk["choices"] and (text := chunk["choices"][0]["delta"].get("content")):
                    yield text


def _flag(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}" if value else f"--no-{name}"]
    return [f"--{name}", str(value)]


def end_on_sigterm() -> None:
    """Makes SIGTERM cancel the task that calls this, so that what it has started ends with it."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


def environment() -> dict[str, str]:
    """What each of them is started with."""
    return os.environ | {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def expect_prompt(prompt: dict[str, Any], tokens: int) -> None:
    """Makes sure that all of them read the same."""
    if tokens != prompt["tokens"]:
        raise RuntimeError(f"the prompt has {prompt['tokens']} tokens, and {tokens} were read")


def ended(name: str, log: Path) -> str:
    """What to say when a process is gone."""
    return f"{name} did not start; its log ends:\n{log.read_text(errors='replace')[-3000:]}"


def stop(process: subprocess.Popen[Any]) -> None:
    """Ends a process and all of its children."""
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        if child.is_running():
            child.kill()


def free_ports(count: int) -> list[int]:
    """Ports that nothing listens on."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
