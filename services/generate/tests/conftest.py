"""A running service for the tests."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ports
import pytest
from trivium.generate.v1 import generate_service_pb2 as pb
from trivium.generate.v1 import generate_service_pb2_grpc
from trivium_generate.app import App
from trivium_generate.settings import GenerateSettings
from trivium_serving.channels import open_channel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    import grpc


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, put together from its stream."""

    text: str
    citations: list[pb.Citation]
    deltas: list[pb.Delta]
    finish: pb.Finish


@dataclass(frozen=True, slots=True)
class Running:
    """A service that listens, and a client of it."""

    app: App
    target: str
    channel: grpc.aio.Channel
    stub: generate_service_pb2_grpc.GenerateServiceAsyncStub

    async def answer(self, request: pb.GenerateRequest) -> Answer:
        """Asks, and reads the stream to its end."""
        deltas: list[pb.Delta] = []
        finish = None
        async for response in self.stub.Generate(request, timeout=30):
            assert finish is None, "nothing may come after the finish"
            if response.WhichOneof("event") == "delta":
                deltas.append(response.delta)
            else:
                finish = response.finish
        assert finish is not None
        return Answer("".join(d.text for d in deltas), [c for d in deltas for c in d.citations], deltas, finish)


@asynccontextmanager
async def run_service(**settings: object) -> AsyncIterator[Running]:
    """Starts the service on a free port with the given settings, warms it up, and stops it in the end."""
    defaults = {"listen": "127.0.0.1:0", "metrics_port": 0, "embed_target": ""}
    app = App(GenerateSettings(**{**defaults, **settings}))  # type: ignore[arg-type]
    port = await app.server.start()
    try:
        await app.warm_up()
        await app.server.health.set_server(True)
        target = f"127.0.0.1:{port}"
        async with open_channel(target) as channel:
            yield Running(app, target, channel, generate_service_pb2_grpc.GenerateServiceStub(channel))
    finally:
        await app.server.stop(0)
        await app.close()


@pytest.fixture
def service() -> Callable[..., AbstractAsyncContextManager[Running]]:
    """Starts services: `async with service(backend="extractive") as running`."""
    return run_service


_TOKENIZER_TEXT = (
    "You answer questions from numbered passages. The bridge opened in May 1937, and boats pass.",
    "Use only what the passages say. Question: when was it opened? Answer with citations: [1] [2].",
    "桥在一九三七年五月通车。根据编号的资料回答问题。",
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="session")
def make_tokenizer() -> Callable[..., Any]:
    """Makes small real tokenizers: `make_tokenizer(chat_template=None, added_tokens=())`."""
    transformers = pytest.importorskip("transformers", reason="comes with the language model's environment")
    from tokenizers import ByteLevelBPETokenizer

    def make(chat_template: str | None = CHAT_TEMPLATE, added_tokens: Sequence[str] = ()) -> Any:
        trained = ByteLevelBPETokenizer()
        special = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"]
        trained.train_from_iterator(_TOKENIZER_TEXT, vocab_size=320, min_frequency=1, special_tokens=special)
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=trained._tokenizer, eos_token="<|end|>", additional_special_tokens=special[1:]
        )
        tokenizer.add_tokens(list(added_tokens))
        tokenizer.chat_template = chat_template
        return tokenizer

    return make


# In the format that Llama 2 was trained on: https://github.com/meta-llama/llama (`chat_completion`).
LLAMA2_TEMPLATE = (
    "{% if messages[0].role == 'system' %}{% set system, turns = messages[0].content, messages[1:] %}"
    "{% else %}{% set system, turns = none, messages %}{% endif %}"
    "{% for turn in turns %}"
    "{% if (turn.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('The roles must alternate, and the user begins.') }}{% endif %}"
    "{% if turn.role == 'user' %}{{ bos_token + '[INST] ' }}"
    "{% if loop.first and system is not none %}{{ '<<SYS>>\n' + system + '\n<</SYS>>\n\n' }}{% endif %}"
    "{{ turn.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + turn.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture(scope="session")
def llama2_tokenizer_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of Llama 2's tokenizer, small: BPE over `\u2581` with a token for each byte."""
    pytest.importorskip("transformers", reason="comes with the language model's environment")
    from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>"]
    tokenizer.train_from_iterator(_TOKENIZER_TEXT, trainers.BpeTrainer(vocab_size=400, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    description = json.loads(tokenizer.to_str())
    vocabulary = description["model"]["vocab"]
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    folder = tmp_path_factory.mktemp("tokenizers") / "llama-2"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(description), encoding="utf-8")
    named = dict(zip(("unk_token", "bos_token", "eos_token"), special, strict=True))
    (folder / "special_tokens_map.json").write_text(json.dumps(named), encoding="utf-8")
    config = {
        **named,
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": LLAMA2_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on."""
    return ports.free_port()
