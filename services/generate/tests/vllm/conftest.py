"""A real vLLM engine on a tiny model, behind the real service in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("vllm", reason="needs vLLM; run scripts/test-vllm, which makes an environment with it")

import psutil  # type: ignore[import-untyped]
import torch
import transformers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What the model writes, again and again: each piece is one token, and its only rule is which token follows which.
SCRIPT = (
    "The bridge", " opened", " in", " May 1937", " [", "1", "]", " and", " boats", " pass", "【", "2", "】", ".",
    " Nobody", " knows", "[", "9", "],", " it", " seems", ";",
)  # fmt: skip

_HIDDEN = 128
_CONTEXT = 1024


@dataclass(slots=True)
class ServiceProcess:
    """`python -m trivium_generate` with the vllm backend."""

    process: subprocess.Popen[bytes]
    target: str
    metrics_port: int
    log: Path

    def metric(self, name: str, **labels: str) -> float:
        """The sum over the series of a metric with these labels; 0 if there is none."""
        from prometheus_client.parser import text_string_to_metric_families

        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as response:
            text = response.read().decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def engine_pid(self) -> int:
        """The process that runs the model."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if "EngineCore" in child.name() or any("EngineCore" in part for part in child.cmdline()):
                return int(child.pid)
        raise AssertionError(f"no engine process; the log ends: {self.log.read_text()[-2000:]}")

    def stop(self, timeout_seconds: float = 60) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_seconds)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, make_tokenizer: Callable[..., Any]) -> Path:
    """A Llama of two layers that recites SCRIPT: attention and MLP add nothing, and the head knows each successor."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    tokenizer = make_tokenizer(added_tokens=SCRIPT)
    tokenizer.save_pretrained(folder)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        intermediate_size=2 * _HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=_CONTEXT,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    tokens = tokenizer.convert_tokens_to_ids(list(SCRIPT))
    start = tokenizer.convert_tokens_to_ids("<|assistant|>")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings = torch.nn.functional.normalize(torch.randn(len(tokenizer), _HIDDEN))
        model.model.embed_tokens.weight.copy_(embeddings)
        model.lm_head.weight.zero_()
        for before, after in zip([start, *tokens], [*tokens, tokens[0]], strict=True):
            model.lm_head.weight[after] += 4 * embeddings[before]
    model.bfloat16().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def start_service(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path
) -> Iterator[Callable[..., ServiceProcess]]:
    """Starts services: `start_service(engine_args={...}, TRIVIUM_GENERATE_...="...")`."""
    started: list[ServiceProcess] = []

    def start(engine_args: dict[str, Any] | None = None, **environment: str) -> ServiceProcess:
        grpc_port, metrics_port = _free_ports(2)
        arguments = {"dtype": "bfloat16", "enforce_eager": True, "max_model_len": _CONTEXT, **(engine_args or {})}
        log = tmp_path_factory.mktemp("logs") / "generate.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "trivium_generate"],
                stdout=output,
                stderr=output,
                env={
                    **os.environ,
                    "TRIVIUM_GENERATE_LISTEN": f"127.0.0.1:{grpc_port}",
                    "TRIVIUM_GENERATE_METRICS_PORT": str(metrics_port),
                    "TRIVIUM_GENERATE_BACKEND": "vllm",
                    "TRIVIUM_GENERATE_MODEL": str(tiny_model),
                    "TRIVIUM_GENERATE_ENGINE_ARGS": json.dumps(arguments),
                    "TRIVIUM_GENERATE_EMBED_TARGET": "",
                    "VLLM_CPU_KVCACHE_SPACE": "1",
                    "HF_HUB_OFFLINE": "1",
                    **environment,
                },
            )
        service = ServiceProcess(process, f"127.0.0.1:{grpc_port}", metrics_port, log)
        started.append(service)
        return service

    yield start
    for service in started:
        if service.process.poll() is None:
            service.stop()


def _free_ports(count: int) -> list[int]:
    import socket

    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
