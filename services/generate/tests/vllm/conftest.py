"""A real vLLM engine on a tiny model, behind the real service in a process of its own."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("vllm", reason="needs vLLM; run scripts/test-vllm, which makes an environment with it")

import grpc
import psutil  # type: ignore[import-untyped]
import safetensors.torch
import torch
import transformers
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ports import free_ports
from trivium_serving.channels import open_channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# What the model writes, again and again: each piece is one token, and its only rule is which token follows which.
SCRIPT = (
    "The bridge", " opened", " in", " May 1937", " [", "1", "]", " and", " boats", " pass", "【", "2", "】", ".",
    " Nobody", " knows", "[", "9", "],", " it", " seems", ";",
)  # fmt: skip

# What the model with Llama 2's files writes, once: it thinks first.
LLAMA2_SCRIPT = ("<think>", " Which year?", " [1]", "</think>", "The bridge", " opened", " in", " May 1937.")

# What it writes when it is shown tools and no result of one: a call in the form of Hermes' models.
CALL_SCRIPT = (
    "I look", " that up.",
    "<tool_call>", '{"name": "look_up",', ' "arguments": {"word": "bridge [9]"}}', "</tool_call>",
)  # fmt: skip
_CALL_MARK = "<|call|>"
_CHAT_TEMPLATE = (
    "{% if tools %}<|system|>{{ tools | tojson }}<|end|>{% endif %}"
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}"
    "{% for call in message.tool_calls %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}"
    "<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>"
    "{% if tools and messages[-1].role == 'user' %}" + _CALL_MARK + "{% endif %}{% endif %}"
)

_HIDDEN = 128
_CONTEXT = 1024
PLACES = 4


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

    async def until_ready(self, within_seconds: float = 240) -> None:
        """Waits until the model is."""
        name = "trivium.generate.v1.GenerateService/model"
        async with open_channel(self.target) as channel, asyncio.timeout(within_seconds):
            health: Any = health_pb2_grpc.HealthStub(channel)
            while True:
                assert self.process.poll() is None, self.log.read_text()[-3000:]
                with suppress(grpc.aio.AioRpcError):  # not yet listening
                    response = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
                    if response.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                assert "is not tried again" not in self.log.read_text(), self.log.read_text()[-3000:]
                await asyncio.sleep(0.05)

    def stop(self, timeout_seconds: float = 60) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_seconds)


def _write_llama(folder: Path, tokenizer: Any, successors: dict[int, int]) -> None:
    """Writes a Llama of two layers that recites: attention and MLP add nothing, and the head knows each successor.

    Args:
        folder: Where its files go; the tokenizer's are there.
        tokenizer: Its tokenizer.
        successors: For each token that matters, the one that follows it.
    """
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        intermediate_size=2 * _HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=_CONTEXT,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings = torch.nn.functional.normalize(torch.randn(len(tokenizer), _HIDDEN))
        model.model.embed_tokens.weight.copy_(embeddings)
        model.lm_head.weight.zero_()
        for before, after in successors.items():
            model.lm_head.weight[after] += 4 * embeddings[before]
    model.bfloat16().save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, make_tokenizer: Callable[..., Any]) -> Path:
    """A Llama that recites SCRIPT again and again, or CALL_SCRIPT once."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    tokenizer = make_tokenizer(chat_template=_CHAT_TEMPLATE, added_tokens=(*SCRIPT, _CALL_MARK, *CALL_SCRIPT))
    tokenizer.save_pretrained(folder)
    start, *tokens = tokenizer.convert_tokens_to_ids(["<|assistant|>", *SCRIPT])
    calling = tokenizer.convert_tokens_to_ids([_CALL_MARK, *CALL_SCRIPT, tokenizer.eos_token])
    successors = dict(zip([start, *tokens], [*tokens, tokens[0]], strict=True))
    _write_llama(folder, tokenizer, successors | dict(itertools.pairwise(calling)))
    return folder


@pytest.fixture(scope="session")
def llama2_model(tmp_path_factory: pytest.TempPathFactory, llama2_tokenizer_files: Path) -> Path:
    """A Llama with the files of Llama 2 that recites LLAMA2_SCRIPT after the mark that ends a question."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama-2"
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(llama2_tokenizer_files)
    tokenizer.add_tokens(list(LLAMA2_SCRIPT))
    tokenizer.save_pretrained(folder)
    tokens = tokenizer.convert_tokens_to_ids(list(LLAMA2_SCRIPT))
    start = tokenizer.encode("[/INST]")[-1]
    _write_llama(folder, tokenizer, dict(zip([start, *tokens], [*tokens, tokenizer.eos_token_id], strict=True)))
    return folder


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A LoRA adapter of the tiny model, in PEFT's format, that makes it write something else."""
    folder = tmp_path_factory.mktemp("adapters")
    rank = 8
    generator = torch.Generator().manual_seed(1)
    weights = {}
    for layer in range(2):
        name = f"base_model.model.model.layers.{layer}.mlp.down_proj"
        weights[f"{name}.lora_A.weight"] = torch.randn(rank, 2 * _HIDDEN, generator=generator)
        weights[f"{name}.lora_B.weight"] = torch.randn(_HIDDEN, rank, generator=generator)
    safetensors.torch.save_file(weights, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(tiny_model),
        "r": rank,
        "lora_alpha": 8 * rank,
        "target_modules": ["down_proj"],
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def shared_service(start_service: Callable[..., ServiceProcess], adapter: Path) -> ServiceProcess:
    """The service that most tests ask; its model may be loading."""
    return start_service(
        {"structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True}},
        TRIVIUM_GENERATE_ADAPTERS=json.dumps({"legal": str(adapter)}),
        TRIVIUM_GENERATE_RESTART_PAUSE_SECONDS="0.1",
        TRIVIUM_GENERATE_MAX_MODEL_REQUESTS=str(PLACES),
        TRIVIUM_GENERATE_TOOL_PARSER="hermes",
    )


@pytest.fixture
async def service(shared_service: ServiceProcess) -> ServiceProcess:
    """The shared service, its model ready."""
    await shared_service.until_ready()
    return shared_service


@pytest.fixture(scope="session")
def start_service(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path
) -> Iterator[Callable[..., ServiceProcess]]:
    """Starts services: `start_service(engine_args={...}, TRIVIUM_GENERATE_...="...")`."""
    started: list[ServiceProcess] = []

    def start(
        engine_args: dict[str, Any] | None = None, model: Path = tiny_model, **environment: str
    ) -> ServiceProcess:
        grpc_port, metrics_port = free_ports(2)
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
                    "TRIVIUM_GENERATE_MODEL": str(model),
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
