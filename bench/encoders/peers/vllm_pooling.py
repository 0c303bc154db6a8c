"""vLLM's pooling runner for CPUs, in process, with all texts in one call, as its documentation advises for speed.

python vllm_pooling.py MODEL
"""

from __future__ import annotations

import os
import resource
import sys
import time
from typing import Any

import numpy as np
from answering import answer, coded, own_stdout


class Pooling:
    """The engine, in this very process."""

    def __init__(self, model: str) -> None:
        from vllm import LLM

        self._engine = LLM(model=model, runner="pooling", convert="embed", dtype="bfloat16", max_model_len=256)

    def embed(self, texts: list[str]) -> dict[str, Any]:
        """Seconds for all texts, the vectors, and the processor time that it took."""
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        outputs = self._engine.embed(texts, use_tqdm=False, tokenization_kwargs={"truncate_prompt_tokens": 256})
        seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        vectors = np.asarray([output.outputs.embedding for output in outputs], dtype=np.float32)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"seconds": seconds, "vectors": coded(vectors), "cpu_seconds": used}

    def queries(self, texts: list[str]) -> dict[str, Any]:
        """Seconds of each text, one after the other."""
        durations = []
        for text in texts:
            start = time.perf_counter()
            self._engine.embed([text], use_tqdm=False)
            durations.append(time.perf_counter() - start)
        return {"seconds": durations}


if __name__ == "__main__":
    own_stdout()
    os.environ |= {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    pooling = Pooling(sys.argv[1])
    answer({"embed": pooling.embed, "queries": pooling.queries}, ("vllm-cpu", "torch", "transformers"))
