"""`trivium sync` of a bucket, on a server that speaks S3: the index equals the bucket, and what is wrong is said."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from e2e.s3_server import running_s3
from trivium_client.sync import SourceUnavailable, open_source

pytest.importorskip("moto", reason="needs an S3 server; run scripts/test-clients, which installs one")
s3fs = pytest.importorskip("s3fs")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trivium_client.sync import Source


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """The variables by which a server is found."""
    with running_s3() as found_by:
        yield found_by


@pytest.fixture
def bucket(server: dict[str, str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The file system of a new bucket, whose name is `name`."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.name = f"b{abs(hash(request.node.name))}"
    files.mkdir(files.name)
    yield files
    s3fs.S3FileSystem.clear_instance_cache()


def _stamps(source: Source) -> dict[str, str]:
    return {file.key: file.stamp for file in source.list().files}


def test_objects_of_a_bucket_are_files_with_their_facts_and_tell_what_changed(bucket: Any) -> None:
    files = {"a.md": "A", "b/c.txt": "C", "b/d.xyz": "x", "a.md.metadata.json": '{"year": 1}', "drafts/e.md": "x"}
    for key, text in files.items():
        bucket.pipe(f"{bucket.name}/manuals/{key}", text.encode())
    bucket.pipe(f"{bucket.name}/manuals-of-others/f.md", b"F")
    bucket.call_s3("put_object", Bucket=bucket.name, Key="manuals/folder.md/", Body=b"")
    source = open_source(f"s3://{bucket.name}/manuals", ["drafts/"])
    listing = source.list()

    assert [file.key for file in listing.files] == ["a.md", "b/c.txt"]
    assert [file.uri for file in listing.files] == [f"s3://{bucket.name}/manuals/{key}" for key in ("a.md", "b/c.txt")]
    read = listing.files[0].read()
    assert (read.data, read.filename, read.metadata) == (b"A", "a.md", {"year": 1})
    assert listing.skipped == {".xyz": 1}
    before = _stamps(source)
    assert before == _stamps(source)
    assert all(before.values())
    bucket.pipe(f"{bucket.name}/manuals/b/c.txt", b"D")
    bucket.rm([f"{bucket.name}/manuals/a.md", f"{bucket.name}/manuals/a.md.metadata.json"])
    after = _stamps(source)
    assert after.keys() == {"b/c.txt"}
    assert after["b/c.txt"] != before["b/c.txt"]


def test_bucket_that_is_not_there_and_credentials_that_are_missing_are_said_plainly(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in ("s3://no-such-bucket/manuals", f"s3://{bucket.name}/no-such-folder"):
        with pytest.raises(SourceUnavailable, match="cannot be looked at"):
            open_source(address).list()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(SourceUnavailable, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_source(f"s3://{bucket.name}/manuals").list()
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(SourceUnavailable, match="nobody"):
        open_source(f"s3://{bucket.name}/manuals").list()
