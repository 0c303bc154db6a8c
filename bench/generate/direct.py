"""AsyncLLM called directly: what the engine does without any server. Started by run.py, which it talks to in lines.

    python direct.py MODEL ENGINE_ARGS PROMPTS

Reads `{"prompts": [...], "tokens": n, "streams": n}` and answers with a line of what was measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import uuid
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load import measure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def main(model: str, engine_args: str, prompts: list[dict[str, Any]]) -> None:
    """Serves run.py until it closes the pipe."""
    answers = os.fdopen(os.dup(1), "w")  # vLLM prints on the standard output
    os.dup2(2, 1)
    from vllm import AsyncEngineArgs, SamplingParams
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine.async_llm import AsyncLLM

    engine = AsyncLLM.from_engine_args(AsyncEngineArgs(model=model, **json.loads(engine_args)))

    async def stream(number: int, tokens: int) -> AsyncGenerator[str | int, None]:
        sampling = SamplingParams(temperature=0, max_tokens=tokens, output_kind=RequestOutputKind.DELTA)
        prompt = prompts[number]
        written = 0
        async with aclosing(engine.generate({"prompt": prompt["text"]}, sampling, uuid.uuid4().hex)) as outputs:
            async for output in outputs:
                if len(output.prompt_token_ids) != prompt["tokens"]:
                    raise RuntimeError(f"expected {prompt['tokens']} tokens, read {len(output.prompt_token_ids)}")
                completion = output.outputs[0]
                written += len(completion.token_ids)
                yield completion.text
        yield written

    def tell(value: Any) -> None:
        print(json.dumps(value), file=answers, flush=True)

    tell("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        tell((await measure(stream, asked["prompts"], asked["tokens"], asked["streams"])).to_json())
    engine.shutdown(timeout=5)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(Path(sys.argv[3]).read_text())))
