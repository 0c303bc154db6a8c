"""Clients that leave: whether the service and its engine let go of what they held. Real vLLM, on a tiny model.

    .venv-vllm/bin/python bench/generate/churn.py [--minutes 10] [--json FILE]

Many clients ask again and again, and half of their calls are given up in the middle of the answer, after a random
number of pieces. In the end nothing may be left: no request in the engine's own counters, none in ours. Memory is
sampled on the way. The engine touches its KV cache of 1 GiB block by block, and grows until all of it is in use: the
slope is that of the second half, and says something from ten minutes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import prompts
import psutil
import tiny_model
from prometheus_client.parser import text_string_to_metric_families
from run import CORPUS, ENGINE_ARGS, machine, vllm_version
from systems import Service, end_on_sigterm

PROMPTS = 200
GAUGES = (
    "vllm:num_requests_running",
    "vllm:num_requests_waiting",
    "trivium_generate_running_requests",
    "trivium_generate_model_in_flight_requests",
    "trivium_generate_model_in_flight_tokens",
)
MEGABYTE = 1 << 20
SETTLE_SECONDS = 10.0


@dataclass(slots=True)
class Counts:
    """What the clients did."""

    complete: int = 0
    left: int = 0
    failed: int = 0


async def main() -> int:
    """Runs the clients, and prints what is left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--sample-seconds", type=float, default=5.0)
    parser.add_argument("--json", type=Path, help="File to write all numbers to.")
    options = parser.parse_args()
    end_on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        result = await run(options, Path(folder))
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    return int(any(result["left_over"].values()) or result["counts"]["failed"] > 0)


async def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Everything that was seen."""
    model = folder / "model"
    tiny_model.write(model, CORPUS)
    made = prompts.make(model, CORPUS, PROMPTS, tiny_model.CONTEXT - options.tokens)
    service = Service(model, ENGINE_ARGS, made, folder / "service.log")
    try:
        await service.ready()
        print("ready", file=sys.stderr)
        counts, samples = Counts(), [memory(service)]
        end = time.monotonic() + options.minutes * 60
        sampling = asyncio.create_task(sample(service, options.sample_seconds, samples))
        await asyncio.gather(
            *(client(service, number, end, options.tokens, counts) for number in range(options.clients))
        )
        left_over, settle_seconds = await settled(service)
        sampling.cancel()
        samples.append(memory(service))
        return {
            "machine": machine(),
            "vllm": vllm_version(),
            "minutes": options.minutes,
            "clients": options.clients,
            "counts": asdict(counts),
            "left_over": left_over,
            "settle_seconds": settle_seconds,
            "samples": samples,
        }
    finally:
        await service.close()


async def client(service: Service, number: int, end: float, tokens: int, counts: Counts) -> None:
    """Asks until the time is over; every other call is given up after some pieces."""
    choice = random.Random(number)
    while time.monotonic() < end:
        call = service.stub.Generate(service.request(choice.randrange(PROMPTS), tokens))
        leaves_after = choice.randrange(1, tokens // 8) if choice.random() < 0.5 else None
        pieces = 0
        try:
            async for _ in call:
                pieces += 1
                if pieces == leaves_after:
                    break
        except grpc.aio.AioRpcError:
            counts.failed += 1
            continue
        if pieces == leaves_after and call.cancel():
            counts.left += 1
        else:
            counts.complete += 1


async def sample(service: Service, seconds: float, samples: list[dict[str, float]]) -> None:
    """Notes the memory every few seconds, until cancelled."""
    while True:
        await asyncio.sleep(seconds)
        samples.append(memory(service))


def memory(service: Service) -> dict[str, float]:
    """Resident megabytes of the service and of all engine processes, now."""
    process = psutil.Process(service.process.pid)
    engine = sum(child.memory_info().rss for child in process.children(recursive=True))
    return {
        "at": time.monotonic(),
        "service_mb": process.memory_info().rss / MEGABYTE,
        "engine_mb": engine / MEGABYTE,
    }


async def settled(service: Service) -> tuple[dict[str, float], float]:
    """What the gauges say once they stop to fall, and how long the clients have been gone by then."""
    begin = time.monotonic()
    while True:
        left_over = await asyncio.to_thread(gauges, service.metrics_port)
        seconds = time.monotonic() - begin
        if not any(left_over.values()) or seconds > SETTLE_SECONDS:
            return left_over, seconds
        await asyncio.sleep(0.05)


def gauges(port: int) -> dict[str, float]:
    """The requests that service and engine know of."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
        text = response.read().decode()
    values = dict.fromkeys(GAUGES, 0.0)
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            if one.name in values:
                values[one.name] += one.value
    return values


def slope(samples: list[dict[str, float]], key: str) -> float:
    """Megabytes per minute over the second half, by least squares."""
    half = samples[len(samples) // 2 :]
    minutes = [one["at"] / 60 for one in half]
    return float(np.polyfit(minutes, [one[key] for one in half], 1)[0]) if len(half) > 1 else 0.0


def table(result: dict[str, Any]) -> str:
    """What was seen, as Markdown."""
    counts, samples = result["counts"], result["samples"]
    lines = [
        f"{result['machine']}; vLLM {result['vllm']}; {result['clients']} clients, {result['minutes']:g} minutes",
        "",
        f"Answers: {counts['complete']} complete, {counts['left']} given up by clients, {counts['failed']} failed",
        f"Left over after {result['settle_seconds']:.2f} s: "
        + ", ".join(f"{name} {value:g}" for name, value in result["left_over"].items()),
        "",
        "| resident MB | at first | halfway | at last | slope of the second half, MB per minute |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, key in (("service", "service_mb"), ("engine", "engine_mb")):
        places = (samples[0][key], samples[len(samples) // 2][key], samples[-1][key])
        lines.append(
            f"| {name} | " + " | ".join(f"{place:.1f}" for place in places) + f" | {slope(samples, key):+.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
