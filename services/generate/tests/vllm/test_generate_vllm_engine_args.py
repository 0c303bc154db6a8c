"""Engine arguments reach vLLM as they are, those for machines that no test has included."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from trivium_generate.answer import AnswerRequest, Passage
from trivium_generate.backends.vllm import VllmModel
from trivium_generate.backends.vllm_engine import build_engine_args, failure_to_start, start_engine
from trivium_generate.backends.vllm_status import EngineStatus
from trivium_generate.prompting import BuiltPrompt
from trivium_generate.prompts import load_prompts
from trivium_serving.errors import FailedPrecondition, Unavailable

if TYPE_CHECKING:
    from pathlib import Path


def test_engine_arguments_for_many_gpus_reach_vllm(tiny_model: Any) -> None:
    wanted: dict[str, Any] = {
        "model": str(tiny_model),
        "tensor_parallel_size": 4,
        "pipeline_parallel_size": 2,
        "data_parallel_size": 2,
        "distributed_executor_backend": "mp",
        "nnodes": 2,
        "node_rank": 1,
        "master_addr": "10.0.0.1",
        "quantization": "fp8",
        "kv_cache_dtype": "fp8",
        "enable_lora": True,
        "max_lora_rank": 64,
        "enable_prefix_caching": True,
        "gpu_memory_utilization": 0.85,
        "max_num_queued_reqs": 64,
        "reasoning_parser": "qwen3",
    }
    engine_args = build_engine_args(wanted)
    assert {name: getattr(engine_args, name) for name in wanted} == wanted


def test_engine_argument_that_is_an_object_becomes_what_vllm_has_for_it(tiny_model: Any) -> None:
    engine_args = build_engine_args(
        {
            "model": str(tiny_model),
            "structured_outputs_config": {"backend": "guidance"},
            "speculative_config": {"method": "ngram", "num_speculative_tokens": 3},
        }
    )
    assert engine_args.structured_outputs_config.backend == "guidance"
    assert engine_args.speculative_config["num_speculative_tokens"] == 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_model_len": 1 << 20},
        {"tensor_parallel_size": "two"},
        {"quantization": "awful"},
        {"structured_outputs_config": {"backned": "guidance"}},
        {"model": "/no/such/folder"},
    ],
)
def test_engine_argument_that_vllm_refuses_is_the_operators_to_correct(
    tiny_model: Any, arguments: dict[str, Any]
) -> None:
    with pytest.raises(Exception) as raised:  # noqa: PT011  # whatever vLLM raises
        build_engine_args({"model": str(tiny_model), **arguments}).create_engine_config()
    assert isinstance(raised.value, Exception)
    error = failure_to_start(raised.value, EngineStatus())
    assert isinstance(error, FailedPrecondition), repr(raised.value)


def test_engine_argument_that_vllm_does_not_have_names_the_nearest(tiny_model: Any) -> None:
    with pytest.raises(FailedPrecondition) as raised:
        build_engine_args({"model": str(tiny_model), "max_model_length": 512})
    assert "max_model_length; did you mean max_model_len?" in raised.value.message


@pytest.mark.parametrize(
    "status",
    [
        EngineStatus(error="ConnectionError: no route to the hub", error_kinds=("ConnectionError", "OSError")),
        EngineStatus(error="ValueError: Free memory is less than desired", error_kinds=("ValueError", "Exception")),
        EngineStatus(error="RuntimeError: NCCL error", error_kinds=("RuntimeError", "Exception")),
    ],
)
def test_engine_that_fails_of_what_may_pass_is_tried_again(status: EngineStatus) -> None:
    error = failure_to_start(RuntimeError("Engine core initialization failed."), status)
    assert isinstance(error, Unavailable)
    assert status.error in error.message


def test_engine_model_that_writes_its_thoughts_in_channels_is_refused_before_it_is_loaded(
    tiny_model: Any, tmp_path: Path
) -> None:
    shutil.copytree(tiny_model, tmp_path / "oss")
    config = {"model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"], "num_hidden_layers": 2}
    (tmp_path / "oss/config.json").write_text(json.dumps(config))
    with pytest.raises(FailedPrecondition, match=r"gpt_oss model.*backend openai"):
        start_engine({"model": str(tmp_path / "oss")})


async def test_vllm_engine_that_is_gone_while_a_prompt_is_built_is_unavailable(tiny_model: Any) -> None:
    model = VllmModel(
        model=str(tiny_model), engine_args={}, adapters={}, prompts=load_prompts(None), default_max_tokens=8
    )
    model._context_tokens = 1024

    def build(request: AnswerRequest, room: int) -> BuiltPrompt:
        model._engine = None  # as `close` leaves it
        return BuiltPrompt((), (), [1, 2], ())

    model._builder = SimpleNamespace(build=build)  # type: ignore[assignment]
    with pytest.raises(Unavailable, match="engine is down"):
        async for _ in model.generate(AnswerRequest("q", (Passage("p"),))):
            pass


def test_engine_model_with_a_revision_is_that_revision_of_weights_and_tokenizer(tmp_path: Path) -> None:
    folder = tmp_path / "kept@home"
    folder.mkdir()
    made = [
        VllmModel(model=name, engine_args={}, adapters={}, prompts=load_prompts(None), default_max_tokens=8)
        for name in ("some/model@v1", "some/model", str(folder))
    ]
    assert [model._engine_args for model in made] == [
        {"model": "some/model", "revision": "v1", "tokenizer_revision": "v1"},
        {"model": "some/model"},
        {"model": str(folder)},
    ]
    assert made[0].description.name == "some/model@v1"
