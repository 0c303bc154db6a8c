"""What pieces of documents take in the embedded engine: memory, disk, the time to write, to index and to search them.

    .venv/bin/python bench/storage/run.py --data DIR [--points 1500,20000,100000]

Starts `qdrant_edge` on free ports with a data folder of its own for each number of points, and writes and searches
through the gateway's own code. The vectors are made up, in clusters, so that no encoder runs; the texts are sentences
of the data set's `corpus.jsonl` (`{id, title, text}`), put together anew to pieces of 140 words, close to the gateway's
200 tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.indexes import IndexMaking
from trivium_gateway.domain.names import physical_name
from trivium_gateway.domain.readers import whole
from trivium_gateway.library.chunks import ChunkStore
from trivium_gateway.library.resolved import ResolvedCollection
from trivium_gateway.library.search import ChunkSearch
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection
from trivium_gateway.qdrant.points import EmbeddedChunk, point_of
from trivium_gateway.qdrant.words import WordRules, stored_words
from trivium_lexical import ANALYZER_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_DIMENSION = 384
_WORDS = 140
_BATCH = 256
_CLUSTERS = 200
_SEARCHES = 200
_LIMIT = 100
"""The default number of candidates."""
_IDLE_SECONDS = 5.0
"""Longer than a collection has to be quiet."""
_INDEX_FROM_POINTS = 20_000
"""The default of TRIVIUM_QDRANT_EDGE_OPTIMIZE_FROM_POINTS."""
_FINGERPRINT = "bench0storage"


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Engine:
    """A qdrant_edge process with a data folder of its own.

    Args:
        folder: The data folder.
        optimize_from_points: How many points without an index it waits for.
    """

    def __init__(self, folder: Path, optimize_from_points: int = _INDEX_FROM_POINTS) -> None:
        self.folder = folder
        self._from_points = optimize_from_points
        self.port, self.http_port = free_port(), free_port()

    def start(self) -> float:
        """Starts it; seconds until it is ready."""
        begin = time.perf_counter()
        environ = os.environ | {
            "TRIVIUM_DATA_DIR": str(self.folder),
            "TRIVIUM_QDRANT_EDGE_LISTEN": f"127.0.0.1:{self.port}",
            "TRIVIUM_QDRANT_EDGE_HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
            "TRIVIUM_QDRANT_EDGE_OPTIMIZE_QUIET_SECONDS": "1",
            "TRIVIUM_QDRANT_EDGE_OPTIMIZE_FROM_POINTS": str(self._from_points),
            "TRIVIUM_LOG_LEVEL": "warning",
        }
        self._process = subprocess.Popen([sys.executable, "-m", "trivium_qdrant_edge"], env=environ)
        while time.perf_counter() < begin + 120:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/readyz", timeout=1).close()
                return time.perf_counter() - begin
            except OSError:
                time.sleep(0.02)
        sys.exit("qdrant_edge did not become ready")

    def stop(self) -> None:
        """Ends it, and waits."""
        self._process.terminate()
        self._process.wait(60)

    def memory(self) -> tuple[float, float]:
        """MB in use, and of these what belongs to no file, which the kernel cannot drop."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        sizes = dict(re.findall(r"^(VmRSS|RssAnon):\s+(\d+) kB", status, re.MULTILINE))
        return int(sizes["VmRSS"]) / 1e3, int(sizes["RssAnon"]) / 1e3

    def processor_seconds(self) -> tuple[float, float]:
        """What it has computed, and what the processes did that it started and that have ended."""
        times = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
        own, system, children, children_system = (int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in times)
        return own + system, children + children_system

    def disk(self) -> float:
        """MB that its data folder takes on the disk."""
        return sum(path.stat().st_blocks * 512 for path in self.folder.rglob("*") if path.is_file()) / 1e6

    def children(self) -> list[int]:
        """The processes that it has started."""
        threads = Path(f"/proc/{self._process.pid}/task").iterdir()
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]

    def report(self, state: str) -> None:
        """Prints memory and disk."""
        rss, anonymous = self.memory()
        print(
            f"  {state}: {rss:6.0f} MB in memory, {anonymous:.0f} of it no file's; {self.disk():.0f} MB on the disk",
            flush=True,
        )

    def is_building(self) -> bool:
        """Whether it builds a search index in the background."""
        return bool(self._metric(r"collection_running_optimizations\{[^}]*\}"))

    def indexes_built(self) -> int:
        """How many search indexes it has built."""
        return self._metric(r'optimizations_total\{outcome="done"\}')

    def _metric(self, pattern: str) -> int:
        # It says nothing while it opens what was built, for half a minute with a million pieces.
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics", timeout=300) as response:
            found = re.search(rf"{pattern} (\d+)", response.read().decode())
        return int(found[1]) if found else 0


def made_up_pieces(sentences: Sequence[str], count: int) -> list[str]:
    """Texts of about so many words, each of sentences drawn anew."""
    draw = random.Random(0)
    pieces = []
    for _ in range(count):
        words: list[str] = []
        while len(words) < _WORDS:
            words += draw.choice(sentences).split()
        pieces.append(" ".join(words[:_WORDS]))
    return pieces


def made_up_vectors(count: int) -> npt.NDArray[np.float32]:
    """Unit vectors in clusters, as those of texts are."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(_CLUSTERS, _DIMENSION))
    vectors = centres[generator.integers(_CLUSTERS, size=count)] + generator.normal(size=(count, _DIMENSION))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


async def write(
    connection: QdrantConnection, pieces: list[str], vectors: npt.NDArray[np.float32], searches: Searches
) -> tuple[float, str]:
    """Writes all as the gateway does, and searches in between; pieces a second, and times in the slowest tenth."""
    await QdrantCollections(connection).create(COLLECTION.physical, COLLECTION.made)
    store = ChunkStore(connection)
    made_up = np.random.default_rng(2)
    taken: list[float] = []
    begin = time.perf_counter()
    for first in range(0, len(pieces), _BATCH):
        if first:
            taken += [await searches.once(COLLECTION) for _ in range(4)]
        points = []
        for number in range(first, min(first + _BATCH, len(pieces))):
            text = pieces[number]
            chunk = Chunk(
                f"document-{number // 10}", number % 10, "Title", "", text, 0, len(text), f"{number // 10:064}", 10, {}
            )
            # As many bytes as the signs of the text's tokens, about one for each four characters, take.
            embedded = EmbeddedChunk(vectors[number].tolist(), made_up.bytes(28 + 50 * (len(text) // 4)))
            points.append(point_of(chunk, embedded, stored_words(text, WordRules(ANALYZER_VERSION)), "default"))
        await store.upsert(COLLECTION, points)
    rate = len(pieces) / (time.perf_counter() - begin)
    tenth = max(20, len(taken) // 10)
    parts = [taken[at : at + tenth] for at in range(0, len(taken), tenth)]
    return rate, _times(max((part for part in parts if len(part) >= 8), key=statistics.median, default=taken))


class Searches:
    """Searches with both legs, one after the other.

    Args:
        connection: To the engine.
        sentences: Their beginnings are asked for.
        vectors: Are asked for.
    """

    def __init__(
        self, connection: QdrantConnection, sentences: Sequence[str], vectors: npt.NDArray[np.float32]
    ) -> None:
        self._chunk_search, self._draw = ChunkSearch(connection), random.Random(1)
        self._sentences, self._vectors = sentences, vectors

    async def once(self, collection: ResolvedCollection) -> float:
        """Milliseconds of one search."""
        text = " ".join(self._draw.choice(self._sentences).split()[:10])
        vector = self._vectors[self._draw.randrange(len(self._vectors))].tolist()
        begin = time.perf_counter()
        await self._chunk_search.search(
            collection, text=text, vector=vector, limit=_LIMIT, reader=whole("default"), timeout_seconds=10
        )
        return (time.perf_counter() - begin) * 1e3

    async def some(self) -> str:
        """Median and 95th percentile."""
        return _times([await self.once(COLLECTION) for _ in range(_SEARCHES)])

    async def until_settled(self, engine: Engine, at_most_seconds: float) -> str:
        """The same while the search index is built, until nothing is left to build."""
        taken, begin = [], time.perf_counter()
        idle_since = begin
        while (now := time.perf_counter()) < min(begin + at_most_seconds, idle_since + _IDLE_SECONDS):
            taken += [await self.once(COLLECTION) for _ in range(20)]
            if engine.is_building():
                idle_since = now
        return f"{_times(taken)}, {idle_since - begin:.0f} s"


def _times(taken: Sequence[float]) -> str:
    return f"{statistics.median(taken):.1f} / {statistics.quantiles(taken, n=20)[-1]:.1f} ms"


COLLECTION = ResolvedCollection(
    "default",
    "bench",
    physical_name("bench", _FINGERPRINT, ANALYZER_VERSION),
    IndexMaking("made up", _FINGERPRINT, _DIMENSION, ANALYZER_VERSION),
)


async def measure(count: int, sentences: Sequence[str]) -> None:
    """Writes, indexes, searches and restarts with so many points, and prints what that took."""
    pieces, vectors = made_up_pieces(sentences, count), made_up_vectors(count)
    text_megabytes = sum(len(piece.encode()) for piece in pieces) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder))
        engine.start()
        connection = QdrantConnection(f"http://127.0.0.1:{engine.port}", engine.port)
        searches = Searches(connection, sentences, vectors)
        try:
            rss, anonymous = engine.memory()
            print(f"{count:,} points; texts {text_megabytes:.0f} MB, vectors {vectors.nbytes / 1e6:.0f} MB")
            print(f"  empty:    {rss:5.0f} MB in memory, {anonymous:.0f} of it no file's")
            rate, slowest = await write(connection, pieces, vectors, searches)
            print(f"  writing:  {rate:.0f} points/s; indexes built: {engine.indexes_built()}")
            print(f"  search, in the slowest tenth of the writing: {slowest}")
            engine.report("written")
            if count >= _INDEX_FROM_POINTS:
                print(f"  search, until nothing is left to index: {await searches.until_settled(engine, 600)}")
                engine.report("indexed")
            print(f"  search:   {await searches.some()}", flush=True)
            engine.stop()
            print(f"  restart:  ready after {engine.start():.1f} s")
            print(f"  search, after the restart: {await searches.some()}")
            engine.report("reopened")
        finally:
            await connection.close()
            engine.stop()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with corpus.jsonl")
    parser.add_argument("--points", default="20000,40000", help="how many points, one run each")
    arguments = parser.parse_args()
    lines = (arguments.data / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    sentences = [s for line in lines for s in re.split(r"(?<=[.!?])\s+", json.loads(line)["text"]) if len(s) > 20]
    for count in map(int, arguments.points.split(",")):
        asyncio.run(measure(count, sentences))


if __name__ == "__main__":
    main()
