"""What our service costs over the engine alone, and against vLLM's own server. Real vLLM, on a tiny model.

    scripts/setup generate-vllm
    .venv-vllm/bin/python bench/generate/run.py [--rounds 3] [--json FILE]

Three ways to reach an engine with the same settings and the same prompts: AsyncLLM called in the asking process, this
service over gRPC, and `vllm serve` over HTTP, streaming. They take turns within each round, so that a machine whose
speed changes does not favour one. A tiny model writes a token within a few milliseconds: what a server costs per token
shows here as nowhere else. AsyncLLM gets the prompt as text; both servers have to make that of what they are sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import prompts
import tiny_model
from systems import Direct, OpenAiServer, Service, end_on_sigterm

if TYPE_CHECKING:
    from load import Measured
    from systems import System

ENGINE_ARGS = {"dtype": "bfloat16", "enforce_eager": True, "max_model_len": tiny_model.CONTEXT, "max_num_seqs": 64}
CORPUS = Path(__file__).parents[2] / "examples" / "corpus"
WARM_UP = 4


async def main() -> None:
    """Measures, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="Rounds; the table has their medians.")
    parser.add_argument("--single", type=int, default=30, help="Answers per round that are asked for one at a time.")
    parser.add_argument("--answers", type=int, default=48, help="Answers per round that are asked for many at a time.")
    parser.add_argument("--streams", type=int, default=16, help="How many at a time.")
    parser.add_argument("--tokens", type=int, default=128, help="Length of the answers.")
    parser.add_argument("--engine-args", type=json.loads, default={}, help="More engine arguments for all, as JSON.")
    parser.add_argument("--model", type=Path, help="A folder with a model to use in place of the tiny one.")
    parser.add_argument("--logs", type=Path, help="Folder to keep the logs of the servers in.")
    parser.add_argument("--json", type=Path, help="File to write all numbers to.")
    options = parser.parse_args()
    end_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        result = await compare(options, Path(folder))
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


async def compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All numbers, by system and round."""
    model = options.model or folder / "model"
    if not options.model:
        tiny_model.write(model, CORPUS)
    engine_args = ENGINE_ARGS | options.engine_args
    per_round = WARM_UP + options.single + options.answers
    made = prompts.make(model, CORPUS, options.rounds * per_round, engine_args["max_model_len"] - options.tokens)
    prompts_file = folder / "prompts.json"
    prompts_file.write_text(json.dumps([{"text": prompt["text"], "tokens": prompt["tokens"]} for prompt in made]))
    logs = options.logs or folder
    systems: list[System] = []
    try:
        # One after the other: three engines that load at once on a small machine may take each other for dead.
        for start in (
            lambda: Direct(model, engine_args, prompts_file, logs / "direct.log"),
            lambda: Service(model, engine_args, made, logs / "service.log"),
            lambda: OpenAiServer(model, engine_args, made, logs / "serve.log"),
        ):
            systems.append(start())
            await systems[-1].ready()
            print(f"{systems[-1].name}: ready", file=sys.stderr)
        rounds = [await one_round(systems, options, number * per_round) for number in range(options.rounds)]
    finally:
        for system in systems:
            await system.close()
    return {
        "machine": machine(),
        "vllm": vllm_version(),
        "engine_args": engine_args,
        "prompt_tokens": round(statistics.mean(prompt["tokens"] for prompt in made)),
        "tokens": options.tokens,
        "streams": options.streams,
        "rounds": rounds,
    }


async def one_round(systems: list[System], options: argparse.Namespace, first: int) -> dict[str, dict[str, float]]:
    """Every system once, on the same prompts, which none of them has seen."""
    single = first + WARM_UP
    many = single + options.single
    results = {}
    for system in systems:
        await system.measure(range(first, single), 16, 2)
        one = await system.measure(range(single, many), 16, 1)
        results[system.name] = summary(
            one, await system.measure(range(many, many + options.answers), options.tokens, options.streams)
        )
    return results


def summary(one: Measured, many: Measured) -> dict[str, float]:
    """The numbers of one system in one round."""
    return {
        "first_p50_ms": statistics.median(answer.first_ms for answer in one.answers),
        "first_p95_ms": float(np.percentile([answer.first_ms for answer in one.answers], 95)),
        "many_first_p50_ms": statistics.median(answer.first_ms for answer in many.answers),
        "many_longest_gap_p50_ms": statistics.median(answer.longest_gap_ms for answer in many.answers),
        "tokens_per_s": sum(answer.tokens for answer in many.answers) / many.seconds,
        "tokens_per_piece": sum(answer.tokens for answer in many.answers) / sum(a.pieces for a in many.answers),
    }


def table(result: dict[str, Any]) -> str:
    """The medians over the rounds, and the ratios within them, as Markdown."""
    rounds = result["rounds"]

    def median(name: str, key: str) -> float:
        return statistics.median(one[name][key] for one in rounds)

    heads = (
        "", "first token p50, ms", "p95", f"p50 of {result['streams']}", "tokens/s",
        "longest gap p50, ms", "tokens per piece",
    )  # fmt: skip
    keys = (
        "first_p50_ms", "first_p95_ms", "many_first_p50_ms", "tokens_per_s", "many_longest_gap_p50_ms",
        "tokens_per_piece",
    )  # fmt: skip
    lines = [
        f"{result['machine']}; vLLM {result['vllm']}; prompts of {result['prompt_tokens']} tokens, answers of "
        f"{result['tokens']}, {result['streams']} streams, {len(rounds)} rounds",
        "",
        "| " + " | ".join(heads) + " |",
        "|---" + "|---:" * len(keys) + "|",
        *(f"| {name} | " + " | ".join(f"{median(name, key):.1f}" for key in keys) + " |" for name in rounds[0]),
        "",
    ]
    for other in (Direct.name, OpenAiServer.name):
        later = statistics.median(one[Service.name]["first_p50_ms"] - one[other]["first_p50_ms"] for one in rounds)
        faster = statistics.median(one[Service.name]["tokens_per_s"] / one[other]["tokens_per_s"] for one in rounds)
        lines.append(f"Over {other}: first token p50 {later:+.1f} ms, throughput {faster:.2f}x")
    return "\n".join(lines)


def vllm_version() -> str:
    """Of whichever build is installed."""
    import vllm

    return str(vllm.__version__)


def machine() -> str:
    """What this runs on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {name}, Python {platform.python_version()}, grpcio {version('grpcio')}"


if __name__ == "__main__":
    asyncio.run(main())
