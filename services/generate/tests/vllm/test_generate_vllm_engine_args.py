"""Engine arguments reach vLLM as they are, those for machines that no test has included."""

from __future__ import annotations

from typing import Any

import pytest
from trivium_generate.backends.vllm_engine import build_engine_args, failure_to_start
from trivium_generate.backends.vllm_status import EngineStatus
from trivium_serving.errors import FailedPrecondition, Unavailable


def test_engine_arguments_for_many_gpus_reach_vllm(tiny_model: Any) -> None:
    wanted: dict[str, Any] = {
        "model": str(tiny_model),
        "tensor_parallel_size": 4,
        "pipeline_parallel_size": 2,
        "data_parallel_size": 2,
        "distributed_executor_backend": "ray",
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
