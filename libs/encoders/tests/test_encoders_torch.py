"""The torch runtime: texts without padding compute the same, and a GPU is taken where there is one."""

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trivium_encoders.description import Family, describe
from trivium_encoders.head_files import POOLING_MODES
from trivium_encoders.options import EncoderOptions, Role
from trivium_encoders.pooling import ScoreHead, TextHead
from trivium_encoders.quality_texts import QualityTexts
from trivium_encoders.resolution import resolve
from trivium_encoders.runtimes.base import Item, Source
from trivium_encoders.runtimes.choice import RuntimeChoice
from trivium_encoders.runtimes.torch import TorchRuntime
from trivium_encoders.tokenization import read_tokenizer


def _choice(model: Path, *, gpu: bool, **options: Any) -> RuntimeChoice:
    settings = EncoderOptions(str(model), **options)
    described = describe(resolve(str(model)))
    head = ScoreHead if described.family is Family.PAIR else TextHead
    return RuntimeChoice(described, settings, described.family, head, 1, 48, threading.Event(), lambda: gpu)


def test_torch_runtime_packed_computes_what_padded_does(tiny_models: Any, tiny_texts: list[str]) -> None:
    model = describe(resolve(str(tiny_models.sentence("mean"))))
    options: dict[str, Any] = {"precision": "fp32", "device": "cpu", "session_count": 1}
    padded = TorchRuntime(model, TextHead(model), packed=False, **options)
    packed = TorchRuntime(model, TextHead(model), packed=True, **options)
    tokens = read_tokenizer(model, 48).encode(tiny_texts, prompt="", truncate=True)
    items = [Item(ids, Source(text, Role.DOCUMENT)) for ids, text in zip(tokens, tiny_texts, strict=True)]

    assert (padded.packed, packed.packed) == (False, True)
    alone, together, expected = (
        [result.values for result in results]
        for results in (packed.run(items[:1]), packed.run(items), padded.run(items))
    )
    np.testing.assert_allclose(together, expected, atol=1e-5)
    np.testing.assert_allclose(alone, together[:1], atol=1e-6)


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


@pytest.mark.parametrize("skipped", [0, 3])
@pytest.mark.parametrize("modes", [*((mode,) for mode in POOLING_MODES), ("cls", "max", "mean")])
def test_device_pooling_computes_what_the_head_does(tiny_models: Any, modes: tuple[str, ...], skipped: int) -> None:
    import torch
    from trivium_encoders.runtimes.device_pooling import DevicePooling

    model = dataclasses.replace(describe(resolve(str(tiny_models.sentence()))), pooling=modes)
    if len(modes) > 1:  # the linear layer takes one
        model = dataclasses.replace(model, dense=())
    head = TextHead(model)
    choose = np.random.default_rng(4)
    outputs = [choose.normal(size=(length, 32)).astype(np.float32) for length in (5, 1, 17, 2)]
    found = DevicePooling(head, "cpu")(
        torch.from_numpy(np.concatenate(outputs)), [len(rows) for rows in outputs], [skipped] * 4
    )
    np.testing.assert_allclose(found, head(outputs, [skipped] * 4), atol=1e-6)


def test_choice_on_a_gpu_serves_a_cross_encoder_in_fewer_bits_only_if_it_passes(
    tiny_models: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from trivium_encoders.runtimes import choice, torch

    monkeypatch.setattr(torch, "best_precision", lambda device: "bf16")  # as on a GPU; torch has it on every CPU
    texts = QualityTexts(("the cat sees", "dog"), tuple(f"the {word} sees a small bird" for word in ("cat", "dog")))
    monkeypatch.setattr(choice, "read_quality_texts", lambda path: (texts, texts))
    made = _choice(tiny_models.cross_encoder(), gpu=False, runtime="torch")
    assert made.make().precision == "bf16"
    monkeypatch.setattr(choice, "violations", lambda numbers, limits: ["ndcg_10 is 0.9000, less than 0.97"])
    assert made.make().precision == "fp32"
    assert "ndcg_10 is 0.9000" in caplog.text


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp16")])
def test_best_precision_on_a_gpu_is_never_emulated(
    monkeypatch: pytest.MonkeyPatch, native: bool, precision: str
) -> None:
    import torch
    from trivium_encoders.runtimes.torch import best_precision

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert (best_precision("cuda"), best_precision("cpu")) == (precision, "fp32")
