"""`trivium sync` of a bucket of Google Cloud Storage, on a server that speaks its language."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

# Asks for the kind of a bucket over gRPC with TLS, which the server does not speak; it is read when gcsfs is imported.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"

import httpx
import pytest
from e2e.stack import wait_until
from ports import free_port
from trivium_client.sync import SourceUnavailable, open_source

pytest.importorskip("gcp_storage_emulator", reason="needs a server of buckets; run scripts/test-clients")
fsspec = pytest.importorskip("fsspec")
gcsfs = pytest.importorskip("gcsfs")

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host=127.0.0.1", f"--port={port}"]
    with subprocess.Popen([*command, "--in-memory"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:

        def answers() -> bool:
            assert process.poll() is None, "the server has ended"
            try:
                return httpx.get(f"{address}/storage/v1/b").status_code == 200
            except httpx.TransportError:
                return False

        try:
            wait_until(answers, "Google Cloud Storage")
            yield address
        finally:
            process.kill()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of a new bucket, `docs`."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server)
    for kind in ("gs", "gcs"):
        monkeypatch.setitem(fsspec.config.conf, kind, {"token": "anon", "project": "test"})
    gcsfs.GCSFileSystem.clear_instance_cache()
    files = gcsfs.GCSFileSystem(use_listings_cache=False)
    files.mkdir("docs")
    yield files
    gcsfs.GCSFileSystem.clear_instance_cache()


def test_objects_of_a_bucket_are_files_with_their_facts_and_tell_what_changed(bucket: Any) -> None:
    files = {"a.md": "A", "b/c.txt": "C", "b/d.xyz": "x", "a.md.metadata.json": '{"year": 1}', "drafts/e.md": "x"}
    for key, text in files.items():
        bucket.pipe(f"docs/manuals/{key}", text.encode())
    bucket.pipe("docs/manuals-of-others/f.md", b"F")
    source = open_source("gs://docs/manuals", ["drafts/"])
    listing = source.list()

    assert [file.uri for file in listing.files] == ["gs://docs/manuals/a.md", "gs://docs/manuals/b/c.txt"]
    read = listing.files[0].read()
    assert (read.data, read.filename, read.metadata) == (b"A", "a.md", {"year": 1})
    assert listing.skipped == {".xyz": 1}
    before = {file.key: file.stamp for file in listing.files}
    assert before == {file.key: file.stamp for file in source.list().files}
    assert all(before.values())

    bucket.pipe("docs/manuals/b/c.txt", b"D")
    bucket.rm(["docs/manuals/a.md", "docs/manuals/a.md.metadata.json"])
    (left,) = source.list().files
    assert left.key == "b/c.txt"
    assert left.stamp != before["b/c.txt"]
    assert left.read().data == b"D"
    with pytest.raises(SourceUnavailable, match="cannot be looked at"):
        open_source("gs://docs/no-such-folder").list()
