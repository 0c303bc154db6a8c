"""The torch runtime: texts without padding compute the same, and a GPU is taken where there is one."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trivium_encoders.description import Family, describe
from trivium_encoders.options import EncoderOptions, Role
from trivium_encoders.pooling import TextHead
from trivium_encoders.resolution import resolve
from trivium_encoders.runtimes.base import Item, Source
from trivium_encoders.runtimes.choice import RuntimeChoice
from trivium_encoders.runtimes.torch import TorchRuntime
from trivium_encoders.tokenization import read_tokenizer


def _choice(model: Path, *, gpu: bool, **options: Any) -> RuntimeChoice:
    settings = EncoderOptions(str(model), **options)
    described = describe(resolve(str(model)))
    return RuntimeChoice(described, settings, Family.TEXT, TextHead, 1, 48, threading.Event(), lambda: gpu)


def test_torch_runtime_packed_computes_what_padded_does(tiny_models: Any, tiny_texts: list[str]) -> None:
    model = describe(resolve(str(tiny_models.sentence("mean"))))
    options: dict[str, Any] = {"precision": "fp32", "device": "cpu", "session_count": 1}
    padded = TorchRuntime(model, TextHead(model), packed=False, **options)
    packed = TorchRuntime(model, TextHead(model), packed=True, **options)
    tokens = read_tokenizer(model, 48).encode(tiny_texts, prompt="", truncate=True)
    items = [Item(ids, Source(text, Role.DOCUMENT)) for ids, text in zip(tokens, tiny_texts, strict=True)]

    assert (padded.packed, packed.packed) == (False, True)
    np.testing.assert_allclose(packed.run(items), padded.run(items), atol=1e-5)
    np.testing.assert_allclose(packed.run(items[:1]), packed.run(items)[:1], atol=1e-6)


@pytest.mark.parametrize("architecture", ["XLMRoberta", "ModernBert", "Qwen3", "DistilBert"])
def test_packs_faithfully_compares_each_architecture_with_its_padded_self(architecture: str) -> None:
    import torch
    import transformers
    from trivium_encoders.runtimes.packing import ATTENTION, packs_faithfully

    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 64}
    names = {
        "DistilBert": {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64},
        "Qwen3": sizes | {"num_key_value_heads": 1, "head_dim": 16},
    }
    config = getattr(transformers, f"{architecture}Config")(
        vocab_size=99, max_position_embeddings=300, pad_token_id=1, **names.get(architecture, sizes)
    )
    torch.manual_seed(2)
    module = getattr(transformers, f"{architecture}Model")(config).eval()
    packed = packs_faithfully(module, "cpu")
    assert packed is (module.config._attn_implementation == ATTENTION)
    if architecture != "DistilBert":
        assert packed


def test_packs_faithfully_model_that_ignores_the_bounds_stays_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import BertConfig, BertModel
    from trivium_encoders.runtimes import packing

    config = BertConfig(vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    config.initializer_range = 0.5
    torch.manual_seed(2)
    module: Any = BertModel(config)
    module.eval()
    monkeypatch.setattr(packing, "first_position", lambda config: 3)
    assert not packing.packs_faithfully(module, "cpu")
    assert module.config._attn_implementation == "sdpa"


@pytest.mark.parametrize(
    ("gpu", "options", "device"),
    [
        (True, {}, "cuda"),
        (True, {"runtime": "torch"}, "cuda"),
        (True, {"runtime": "openvino"}, "openvino"),
        (False, {"runtime": "torch"}, "cpu"),
        (False, {}, "openvino"),
        (True, {"precision": "int8"}, "int8"),
    ],
)
def test_choice_takes_the_gpu_where_there_is_one(
    tiny_models: Any, monkeypatch: pytest.MonkeyPatch, gpu: bool, options: dict[str, Any], device: str
) -> None:
    monkeypatch.setattr(RuntimeChoice, "_load_torch", lambda self, device: device)
    monkeypatch.setattr(RuntimeChoice, "_openvino", lambda self: "openvino")
    monkeypatch.setattr(RuntimeChoice, "_int8", lambda self: "int8")
    made: Any = _choice(tiny_models.sentence(), gpu=gpu, **options).make()
    assert made == device
