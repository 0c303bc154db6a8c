"""A warm process: small, quick, silent, and without torch."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from trivium_encoders import TextEncoder

PROGRAM = """
import asyncio, json, sys, time
from pathlib import Path
from prometheus_client import CollectorRegistry
from trivium_encoders import EncoderOptions, Role, TextEncoder

def peak_kibibytes():
    # Not getrusage: its figure includes the process that this one was forked from.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

async def main():
    options = EncoderOptions(cache_dir=Path(sys.argv[1]))
    encoder = await TextEncoder.load(options, registry=CollectorRegistry(), service="embed")
    ready_seconds = time.process_time()
    texts = [f"{'some words ' * (n % 40)} number {n}" for n in range(400)]
    await encoder.encode(texts, role=Role.DOCUMENT)
    await encoder.tokenize(texts)
    await encoder.close()
    print(json.dumps({
        "modules": sorted(sys.modules),
        "ready_seconds": ready_seconds,
        "rss_mebibytes": peak_kibibytes() / 1024,
    }))

asyncio.run(main())
"""


async def test_warm_process_never_imports_torch_and_stays_small(load: Any, cache_dir: Path) -> None:
    await load(TextEncoder)  # so that the cache is warm
    command = [sys.executable, "-c", PROGRAM, str(cache_dir)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120, check=True)
    report = json.loads(done.stdout)
    loaded = set(report["modules"])
    assert not loaded & {"torch", "transformers", "sentence_transformers", "openvino_telemetry.main", "scipy"}
    assert report["rss_mebibytes"] < 350
    # Processor time, because other work on the machine must not decide; about 0.6 s where this was measured.
    assert report["ready_seconds"] < 2.5


def test_import_openvino_through_this_library_sends_nothing() -> None:
    """OpenVINO reports its own import through a package that must not load."""
    code = "import sys, trivium_encoders, openvino; print(sys.modules['openvino_telemetry'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "None"


ENDS_WHILE_IT_COMPUTES = """
import asyncio, atexit, sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from trivium_encoders import EncoderOptions, TextEncoder, end_process

async def main():
    options = EncoderOptions(cache_dir=Path(sys.argv[1]), workers=1, budget_tokens=1 << 16)
    encoder = await TextEncoder.load(options, registry=CollectorRegistry(), service="test")
    work = asyncio.ensure_future(encoder.encode(["word " * 200] * int(sys.argv[2])))
    while not encoder._engine.batcher._crew._running:
        await asyncio.sleep(0)
    work.cancel()

atexit.register(print, "what was to be done at the end")
asyncio.run(main())
end_process(3)
"""


@pytest.mark.parametrize("text_count", [1, 3, 200])
def test_end_process_while_a_worker_computes_ends_with_its_status(cache_dir: Path, text_count: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ENDS_WHILE_IT_COMPUTES, str(cache_dir), str(text_count)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.strip()) == (3, "what was to be done at the end"), ended.stderr
