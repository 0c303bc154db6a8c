"""A million pieces in the embedded engine: how fast they are written, what they take, how they are found.

    .venv/bin/python bench/storage/million.py --points 1000000 --folder DIR     # writes, indexes, measures
    .venv/bin/python bench/storage/million.py --points 1000000 --folder DIR --only index --only search

Starts `qdrant_edge` on free ports and writes and asks through the gateway's own code. Vectors of 384 numbers and words
are made up (`made_up.py`), so that no encoder runs; there are no token codes. Questions have both legs and a filter
that a tenth of the pieces passes. Recall is of the ten nearest by vector under that filter, against comparing with all.
Quantised vectors, which the engine has and `qdrant_edge` does not offer, are built of a copy and asked in a process
without gRPC, and for comparison the vectors as they are, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from made_up import DIMENSION, Pieces, make_up, text_of
from run import Engine
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.filters import parse_filter
from trivium_gateway.domain.indexes import IndexMaking
from trivium_gateway.domain.metadata import MetadataKind
from trivium_gateway.domain.names import physical_name
from trivium_gateway.domain.readers import whole
from trivium_gateway.domain.settings import CollectionSettings
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.legs import dense_leg, find
from trivium_gateway.qdrant.point_ids import point_id
from trivium_gateway.qdrant.points import EmbeddedChunk, Point, point_of, scoped_filter
from trivium_gateway.qdrant.words import WordRules, stored_words
from trivium_lexical import ANALYZER_VERSION
from trivium_serving.errors import DeadlineExceeded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.filters import Filter

_BATCH, _STREAMS, _TRIES = 256, 3, 10
_QUESTIONS, _WARM_UP = 500, 50
_LIMIT, _NEAREST = 100, 10
_PIECES_PER_DOCUMENT = 10
_FINGERPRINT = "bench0million"
_STEPS = ("write", "index", "search", "quantise")
_KINDS = ("none", "scalar", "binary")
_SETTLED_SECONDS = 5.0

COLLECTION = ResolvedCollection(
    "default", "bench", physical_name("bench", _FINGERPRINT, ANALYZER_VERSION),
    IndexMaking("made up", _FINGERPRINT, DIMENSION, ANALYZER_VERSION),
)  # fmt: skip


def say(text: str) -> None:
    """Prints a line at once."""
    print(text, flush=True)


def id_of(number: int) -> str:
    """The id of a piece's point."""
    document, index = divmod(number, _PIECES_PER_DOCUMENT)
    return point_id("default", f"document-{document}", index, f"{document:064}")


def _point(pieces: Pieces, number: int) -> Point:
    text = text_of(pieces.words[number])
    document, index = divmod(number, _PIECES_PER_DOCUMENT)
    shelf = {"shelf": int(pieces.shelves[number])}
    chunk = Chunk(f"document-{document}", index, "Title", "", text, 0, len(text), f"{document:064}", 10, shelf)
    embedded = EmbeddedChunk(pieces.vectors[number].tolist(), b"")
    return point_of(chunk, embedded, stored_words(text, WordRules(ANALYZER_VERSION)), "default")


async def write(connection: QdrantConnection, engine: Engine, pieces: Pieces) -> None:
    """Writes all pieces, some batches at a time."""
    own = time.process_time()
    collections = QdrantCollections(connection)
    await collections.create(COLLECTION.physical, COLLECTION.made)
    await collections.index_metadata_key(COLLECTION.physical, "shelf", MetadataKind.NUMBER)
    store, begin = ChunkStore(connection), time.perf_counter()
    count = len(pieces.vectors)
    firsts = iter(range(0, count, _BATCH))

    async def stream() -> None:
        for first in firsts:
            points = [_point(pieces, one) for one in range(first, min(first + _BATCH, count))]
            for _ in range(_TRIES):  # on a machine that others use it may take longer than the gateway waits
                with contextlib.suppress(DeadlineExceeded):
                    await store.upsert(COLLECTION, points)
                    break
            else:
                sys.exit("the engine does not answer")
            if first % (_BATCH * 400) == 0 and first:
                say(f"  {first:,} written, {first / (time.perf_counter() - begin):.0f} points/s so far")

    await asyncio.gather(*(stream() for _ in range(_STREAMS)))
    seconds = time.perf_counter() - begin
    say(
        f"  writing: {count / seconds:.0f} points/s, {seconds:.0f} s; {(time.process_time() - own) / count * 1e3:.2f} "
        f"ms of a processor a point here, {engine.processor_seconds()[0] / count * 1e3:.2f} in the engine"
    )


async def until_indexed(engine: Engine, at_most_seconds: float) -> None:
    """Waits until the search index is built, and says how long that took and what the process that builds it took."""
    begin, most, idle_since = time.perf_counter(), 0.0, None
    while time.perf_counter() - begin < at_most_seconds:
        most = max([most, *(_memory_of(child) for child in engine.children())])
        if engine.indexes_built() and not engine.is_building():
            idle_since = idle_since or time.perf_counter()
            if time.perf_counter() - idle_since > _SETTLED_SECONDS:
                say(
                    f"  indexing: {idle_since - begin:.0f} s, {engine.processor_seconds()[1]:.0f} s of a processor; "
                    f"the process that builds it: {most:.0f} MB at most"
                )
                return
        else:
            idle_since = None
        await asyncio.sleep(0.5)
    say(f"  indexing: not done after {at_most_seconds:.0f} s")


def _memory_of(pid: int) -> float:
    try:
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1e3  # type: ignore[index]
    except (OSError, TypeError):
        return 0.0


def _filters(pieces: Pieces) -> list[Filter | None]:
    kinds = {"shelf": MetadataKind.NUMBER}
    return [parse_filter({"metadata.shelf": int(shelf)}, kinds) for shelf in pieces.asked_shelves]


async def search(connection: QdrantConnection, pieces: Pieces, exact: Sequence[set[int]]) -> None:
    """Asks all questions one after the other; times of both legs, and recall of the vectors."""
    chunk_search, filters = ChunkSearch(connection), _filters(pieces)
    taken, legs, found = [], [], []
    for number, (vector, words) in enumerate(zip(pieces.asked.tolist(), pieces.asked_words, strict=True)):
        begin = time.perf_counter()
        await chunk_search.search(
            COLLECTION, text=text_of(words), vector=vector, filter=filters[number], limit=_LIMIT,
            reader=whole("default"), timeout_seconds=60,
        )  # fmt: skip
        taken.append(time.perf_counter() - begin)
        leg = dense_leg(vector, scoped_filter(whole("default"), [], filters[number]), CollectionSettings())
        begin = time.perf_counter()
        hits = await find(connection, COLLECTION.physical, leg, _NEAREST, timeout_seconds=60)
        legs.append(time.perf_counter() - begin)
        found.append({hit.id for hit in hits})
    say(f"  hybrid with a filter, {_LIMIT} candidates: {_times(taken[_WARM_UP:])}")
    say(f"  vectors alone, {_NEAREST} nearest: {_times(legs[_WARM_UP:])}; recall {_recall(found, exact):.4f}")


def _recall(found: Sequence[set[str]], exact: Sequence[set[int]]) -> float:
    shares = [len(one & {id_of(number) for number in all_}) / _NEAREST for one, all_ in zip(found, exact, strict=True)]
    return statistics.mean(shares)


def _times(seconds: Sequence[float]) -> str:
    cut = statistics.quantiles(seconds, n=100)
    return f"p50 {cut[49] * 1e3:.1f} ms, p99 {cut[98] * 1e3:.1f} ms"


def quantise(folder: Path, kind: str, pieces: Pieces, exact: Sequence[set[int]]) -> None:
    """Has the engine search a copy of the pieces whose vectors it keeps in another form."""
    (shard,) = (path for path in (folder / "qdrant" / "collections").glob("*/*") if path.is_dir())
    copy = folder / f"copy-{kind}"
    questions, answers = folder / "questions.npz", folder / f"found-{kind}.json"
    np.savez(questions, asked=pieces.asked, shelves=pieces.asked_shelves)
    if not copy.exists():
        shutil.copytree(shard, copy)
    script = Path(__file__).with_name("quantised.py")
    subprocess.run([sys.executable, str(script), str(copy), kind, str(questions), str(answers)], check=True)
    told = json.loads(answers.read_text())
    recall = _recall([set(one) for one in told["found"]], exact)
    disk = sum(path.stat().st_blocks * 512 for path in copy.rglob("*") if path.is_file()) / 1e6
    say(
        f"  {kind}: built in {told['build_seconds']:.0f} s, loaded in {told['load_seconds']:.1f} s; recall "
        f"{recall:.4f}; {_times(told['seconds'][_WARM_UP:])}; {told['rss']:.0f} MB in memory, "
        f"{told['anonymous']:.0f} of it no file's; {disk:.0f} MB on the disk"
    )


async def measure(folder: Path, count: int, steps: Sequence[str]) -> None:
    """Takes the steps."""
    pieces = make_up(count, _QUESTIONS + _WARM_UP)
    say(f"{count:,} points made up")
    exact = pieces.exact(_NEAREST) if set(steps) & {"search", "quantise"} else []
    # One index at the end: while pieces are written it would be built over and over.
    engine = Engine(folder, optimize_from_points=count)
    if set(steps) & {"write", "index", "search"}:
        say(f"  start: ready after {engine.start():.1f} s")
        connection = QdrantConnection(f"http://127.0.0.1:{engine.port}", engine.port)
        try:
            if "write" in steps:
                await write(connection, engine, pieces)
                engine.report("written")
            if "index" in steps:
                await until_indexed(engine, 7200)
                engine.report("indexed")
            if "search" in steps:
                await search(connection, pieces, exact)
                engine.report("searched")
                engine.stop()
                say(f"  restart: ready after {engine.start():.1f} s")
                await search(connection, pieces, exact)
                engine.report("searched again")
        finally:
            await connection.close()
            engine.stop()
    if "quantise" in steps:
        for kind in _KINDS:
            quantise(folder, kind, pieces, exact)


def main() -> None:
    """Reads the arguments and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="where the data go; they stay there")
    parser.add_argument("--only", choices=_STEPS, action="append", help="not all steps")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.folder, arguments.points, arguments.only or _STEPS))


if __name__ == "__main__":
    main()
