"""`trivium ingest --engine ray` on a Ray cluster of two nodes: one is killed, nothing is lost and nothing is double."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from e2e.s3_server import running_s3
from e2e.stack import Stack, ready, wait_until

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # the latter: loopback alone
pytest.importorskip("ray", reason="needs Ray; run scripts/test-ray, which installs it")
cluster_utils = pytest.importorskip("ray.cluster_utils")
parquet = pytest.importorskip("pyarrow.parquet")
pyarrow = pytest.importorskip("pyarrow")
s3fs = pytest.importorskip("s3fs")

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SERVICES_PYTHON = ROOT / ".venv" / "bin" / "python"
FILES, ROWS = 60, 60
_SHARDS = 3
_STORE_BYTES = 80 << 20
_SECONDS = 900
"""A cluster's processes begin with long imports, on a machine that may have other work."""

pytestmark = pytest.mark.timeout(3 * _SECONDS)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A ready stack."""
    assert SERVICES_PYTHON.exists(), "the stack runs from .venv; make it with scripts/setup"
    folder, shards = tmp_path_factory.mktemp("stack"), {"TRIVIUM_GATEWAY_QDRANT_SHARD_NUMBER": str(_SHARDS)}
    with ready(Stack(folder, shards, python=str(SERVICES_PYTHON))) as stack:
        yield stack


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """The file system of a server that speaks S3, with the bucket `bulk`; the cluster's workers find it, too."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
    with running_s3() as found_by:
        os.environ |= found_by
        files = s3fs.S3FileSystem(use_listings_cache=False)
        files.mkdir("bulk")
        yield files
    for name in found_by:
        del os.environ[name]
    os.environ |= kept


@pytest.fixture(scope="module")
def cluster(bucket: Any) -> Iterator[Any]:
    """A head that works for nobody, and two nodes with a processor each."""
    cluster = cluster_utils.Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 0, "include_dashboard": False, **_node(1)},
    )
    try:
        for number in (2, 3):
            cluster.add_node(num_cpus=1, **_node(number))
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()


def _node(number: int) -> dict[str, Any]:
    """A node at an address of its own: a command belongs to the one at its own address, and would die with it."""
    return {"object_store_memory": _STORE_BYTES, "node_ip_address": f"127.0.0.{number}"}


@pytest.fixture
def documents(tmp_path: Path) -> list[str]:
    """The addresses of a folder and of a Parquet file with a group of rows for each five."""
    notes = tmp_path / "notes"
    notes.mkdir()
    for number in range(FILES):
        (notes / f"note-{number:03}.md").write_text(
            f"# Note {number}\n\nPump {number} was serviced in hall {number % 7}."
        )
    (notes / "broken.pdf").write_bytes(b"%PDF-1.4 this is none")
    table = pyarrow.table(
        {
            "id": [f"row-{number:03}" for number in range(ROWS)],
            "text": [f"Valve {number} was replaced by team {number % 5}." for number in range(ROWS)],
            "metadata": [{"year": 2000 + number % 20} for number in range(ROWS)],
        }
    )
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=5)
    return [str(notes), str(tmp_path / "rows.parquet")]


@pytest.fixture
def objects(documents: list[str], bucket: Any) -> list[str]:
    """The same documents in a bucket: the addresses of what is a folder there, and of all Parquet files."""
    bucket.put(documents[0], "bulk/notes", recursive=True)
    bucket.put(documents[1], "bulk/rows/part-0.parquet")
    return ["s3://bulk/notes", "s3://bulk/rows/*.parquet"]


def command(stack: Stack, cluster: Any, documents: list[str], folder: Path) -> subprocess.Popen[str]:
    """`trivium ingest` as a person starts it."""
    arguments = [
        "ingest",
        "--engine",
        "ray",
        "--ray-address",
        cluster.address,
        "--json",
        "--collection",
        "bulk",
        *documents,
    ]
    environ = os.environ | {"TRIVIUM_GATEWAY": f"127.0.0.1:{stack.grpc_port}", "TRIVIUM_DATA_DIR": str(folder)}
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "trivium"), *arguments],
        env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def stored(stack: Stack) -> dict[str, tuple[int, str]]:
    """How many pieces each document has, and the hash of what is stored."""
    found: dict[str, tuple[int, str]] = {}
    token = ""
    while True:
        page = stack.http.get(
            "/v1/documents", params={"collection": "bulk", "page_size": 100, "page_token": token}
        ).json()
        for one in page.get("documents", []):
            assert one["id"] not in found
            found[one["id"]] = (one["chunk_count"], one["content_hash"])
        token = page.get("next_page_token", "")
        if not token:
            return found


def points(stack: Stack) -> int:
    """How many pieces the collection has in all; none while the gateway is too busy to say."""
    told = stack.http.get("/v1/collections").json().get("collections", [])
    return sum(one["chunk_count"] for one in told if one["name"] == "bulk")


def shards(stack: Stack) -> int:
    """How many shards the one collection in Qdrant was made with."""
    code = (
        "import sys; from qdrant_client import QdrantClient; client = QdrantClient(grpc_port=int(sys.argv[1]), "
        "prefer_grpc=True, check_compatibility=False); (one,) = client.get_collections().collections; "
        "print(client.get_collection(one.name).config.params.shard_number)"
    )
    port = stack.environ["TRIVIUM_GATEWAY_QDRANT_GRPC_PORT"]
    found = subprocess.run([str(SERVICES_PYTHON), "-c", code, port], capture_output=True, text=True, check=True)
    return int(found.stdout)


def test_node_that_is_killed_loses_nothing_and_doubles_nothing_and_a_second_run_changes_nothing(
    stack: Stack, cluster: Any, bucket: Any, objects: list[str], tmp_path: Path
) -> None:
    stack.http.post("/v1/collections", json={"name": "bulk"}).raise_for_status()
    names = {f"note-{number:03}.md" for number in range(FILES)} | {f"row-{number:03}" for number in range(ROWS)}
    process = command(stack, cluster, objects, tmp_path / "data")
    try:
        wait_until(lambda: process.poll() is not None or points(stack) > 5, "documents", _SECONDS)
        assert process.poll() is None, process.communicate()
        victim = sorted(cluster.worker_nodes, key=lambda node: node.unique_id)[0]
        cluster.remove_node(victim, allow_graceful=False)
        out, err = process.communicate(timeout=_SECONDS)
    finally:
        process.kill()
    assert out, err
    told = json.loads(out)

    assert process.returncode == 1, err  # of the file that is no PDF
    assert [Path(one["name"]).name for one in told["failed"]] == ["broken.pdf"], err
    assert told["done"] == told["parts"]
    first = stored(stack)
    assert first.keys() == names
    assert points(stack) == sum(chunks for chunks, _ in first.values())
    assert shards(stack) == _SHARDS

    bucket.rm("bulk/notes/broken.pdf")
    again = command(stack, cluster, objects, tmp_path / "other")
    out, err = again.communicate(timeout=_SECONDS)
    assert again.returncode == 0, err
    assert json.loads(out)["documents"] == {"unchanged": len(names)}
    assert stored(stack) == first
    assert points(stack) == sum(chunks for chunks, _ in first.values())


def test_run_that_is_killed_goes_on_where_it_was(
    stack: Stack, cluster: Any, documents: list[str], tmp_path: Path
) -> None:
    stack.http.delete("/v1/collections/bulk")
    stack.http.post("/v1/collections", json={"name": "bulk"}).raise_for_status()
    manifests = tmp_path / "data" / "bulk"
    process = command(stack, cluster, documents, tmp_path / "data")
    try:
        wait_until(
            lambda: process.poll() is not None or any(path.read_text() for path in manifests.glob("*.jsonl")),
            "a part that is in", _SECONDS,
        )  # fmt: skip
        assert process.poll() is None, process.communicate()
    finally:
        process.kill()
        process.communicate()
    (manifest,) = manifests.glob("*.jsonl")
    before = len(manifest.read_text().splitlines())
    going_on = command(stack, cluster, documents, tmp_path / "data")
    _, err = going_on.communicate(timeout=_SECONDS)

    assert f"{before} part" in err
    assert len(stored(stack)) == FILES + ROWS
