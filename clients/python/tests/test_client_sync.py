"""What a sync takes from a source, and what it decides to do; the doing is tested against a real stack."""

import errno
import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from faults.full_disk import full_disk
from trivium_client import Document
from trivium_client.sync import Deletions, Memory, SourceUnavailable, TooManyDeletions, open_source
from trivium_client.sync.memory import Seen
from trivium_client.sync.planning import Plan, hash_of, make_plan
from trivium_client.sync.sources import Source

OLD = 1_700_000_000


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Writes files that did not change for a long time."""
    for key, text in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (OLD, OLD))


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files were written long ago: their change time cannot be set."""
    monkeypatch.setattr("trivium_client.sync.sources.SETTLING_SECONDS", 0.0)


def document(uri: str, document_id: str, content_hash: str = "h") -> Document:
    return Document(document_id, "", uri, {}, 1, None, content_hash)


def remembered(source: Source, documents: list[Document]) -> Memory:
    """The memory of a sync that has stored these."""
    memory = Memory()
    known = {one.uri: one for one in documents}
    for file in source.list().files:
        if file.uri in known:
            data = file.read().data or b""
            memory.note(Seen(file.stamp, file.uri, len(data), hash_of(data), known[file.uri].content_hash))
    return memory


def plan(source: Source, documents: list[Document], memory: Memory, deletions: Deletions = Deletions.BOUNDED) -> Plan:
    return make_plan(source, source.list(), documents, memory, deletions)


def changes(made: Plan) -> dict[str, str]:
    return {one.file.key: one.change for one in made.sendings}


def test_folder_gives_its_files_and_counts_what_it_passes_over(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "A", "b/c.txt": "C", "b/.hidden.md": "x", ".git/d.md": "x", "e.xyz": "x"})
    write(tmp_path, {"a.md.metadata.json": '{"year": 1}', "drafts/f.md": "x", "g.md": "x"})
    write(tmp_path, {".triviumignore": "# not these\ndrafts/\n"})
    os.mkfifo(tmp_path / "pipe.md")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket.md"))
        (tmp_path / "loop").symlink_to(tmp_path)
        (tmp_path / "b" / "self.md").symlink_to(tmp_path / "b" / "self.md")

        source = open_source(str(tmp_path), ["g.*"], {"team": "all"})
        listing = source.list()

    assert [file.key for file in listing.files] == ["a.md", "b/c.txt"]
    assert listing.files[0].read().metadata == {"team": "all", "year": 1}
    assert listing.files[1].uri == (tmp_path / "b" / "c.txt").as_posix()
    assert listing.skipped == {"pipe": 1, "socket": 1, ".md": 1, ".xyz": 1}
    assert listing.unseen == [(tmp_path / "b" / "self.md").as_posix()]


def test_source_that_is_not_there_is_none_and_not_an_empty_one(tmp_path: Path) -> None:
    for address in (str(tmp_path / "no"), f"file://{tmp_path}/no", "memory://no", "nothing://x"):
        with pytest.raises(SourceUnavailable):
            open_source(address).list()


def test_file_that_did_not_change_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.md": "A", "b.md": "B"})
    source = open_source(str(tmp_path))
    stored = [document(f"{source.uri}/{key}", key) for key in ("a.md", "b.md")]
    memory = remembered(source, stored)
    monkeypatch.delattr(Path, "read_bytes")

    assert plan(source, stored, memory).unchanged_count == 2


def test_file_is_sent_if_it_or_what_is_stored_of_it_changed(tmp_path: Path) -> None:
    write(tmp_path, {key: key for key in ("same.md", "edited.md", "new.md", "beside.md", "by-others.md", "lost.md")})
    source = open_source(str(tmp_path))
    keys = [file.key for file in source.list().files if file.key != "new.md"]
    stored = [document(f"{source.uri}/{key}", f"id of {key}") for key in keys]
    memory = remembered(source, stored)
    write(tmp_path, {"edited.md": "edited", "beside.md.metadata.json": "{}"})
    stored = [one for one in stored if not one.uri.endswith("lost.md")]
    stored = [one if "others" not in one.id else document(one.uri, one.id, "other") for one in stored]

    made = plan(source, stored, memory)

    assert changes(made) == {
        "beside.md": "changed", "by-others.md": "changed", "edited.md": "changed", "lost.md": "new", "new.md": "new"
    }  # fmt: skip
    assert [one.id for one in made.sendings] == ["id of beside.md", "id of by-others.md", "id of edited.md", "", ""]
    assert (made.unchanged_count, made.deletions) == (1, [])


def test_facts_of_the_command_line_that_change_send_all_files(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "A"})
    source = open_source(str(tmp_path), metadata={"year": 1})
    stored = [document(f"{source.uri}/a.md", "a.md")]
    memory = remembered(source, stored)

    assert plan(open_source(str(tmp_path), metadata={"year": 1}), stored, memory).unchanged_count == 1
    assert changes(plan(open_source(str(tmp_path), metadata={"year": 2}), stored, memory)) == {"a.md": "changed"}


def test_moved_file_is_known_again_by_its_bytes(tmp_path: Path) -> None:
    write(tmp_path, {"a.md": "same bytes", "b.md": "other byte", "c.md": "C"})
    source = open_source(str(tmp_path))
    stored = [document(f"{source.uri}/{key}", key) for key in ("a.md", "b.md", "c.md")]
    memory = remembered(source, stored)
    (tmp_path / "new").mkdir()
    (tmp_path / "a.md").rename(tmp_path / "new" / "a2.md")
    write(tmp_path, {"new/b2.md": "neverbytes"})

    made = plan(source, stored, memory)

    assert [(one.file.key, one.change, one.moved_from) for one in made.sendings] == [
        ("new/a2.md", "moved", "a.md"),
        ("new/b2.md", "new", ""),
    ]
    assert [one.id for one in made.deletions] == ["a.md"]


def test_document_of_a_file_that_is_gone_or_ignored_is_deleted_and_others_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, {key: key for key in ("a.md", "b.md", "c.md", "drafts/d.md")})
    source = open_source(str(tmp_path), ["drafts/"])
    stored = [document(f"{source.uri}/{key}", key) for key in ("a.md", "b.md", "gone.md", "drafts/d.md")]
    others = [document("", "upload.md"), document(f"{source.uri}-2/x.md", "x.md"), document("https://x.org", "page")]

    made = plan(source, [*stored, *others], Memory())

    assert {one.id for one in made.deletions} == {"gone.md", "drafts/d.md"}
    assert [one.id for one in plan(source, stored, Memory(), Deletions.NONE).kept] == ["gone.md", "drafts/d.md"]


def test_folder_that_cannot_be_read_keeps_its_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a.md": "A", "closed/b.md": "B"})
    source = open_source(str(tmp_path))
    stored = [document(f"{source.uri}/{key}", key) for key in ("a.md", "closed/b.md", "closed/deep/c.md")]
    scandir = os.scandir

    def denying(path: Any) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denying)  # root may read everything
    made = plan(source, stored, Memory())

    assert made.unseen == [f"{source.uri}/closed"]
    assert made.deletions == []


@pytest.mark.parametrize(
    ("there", "stored_count", "is_refused"), [(0, 1, True), (1, 4, False), (4, 9, True), (5, 9, False)]
)
def test_documents_of_an_empty_source_or_most_of_them_do_not_go_without_a_word(
    tmp_path: Path, there: int, stored_count: int, is_refused: bool
) -> None:
    write(tmp_path, {f"{number}.md": str(number) for number in range(there)})
    source = open_source(str(tmp_path))
    stored = [document(f"{source.uri}/{number}.md", f"{number}.md") for number in range(stored_count)]

    if is_refused:
        with pytest.raises(TooManyDeletions, match="--delete"):
            plan(source, stored, Memory())
    else:
        plan(source, stored, Memory())
    assert len(plan(source, stored, Memory(), Deletions.ALL).deletions) == stored_count - there


def test_what_is_in_a_mail_stays_as_long_as_the_mail(tmp_path: Path) -> None:
    write(tmp_path, {"a.eml": "A"})
    source = open_source(str(tmp_path))
    mail = document(f"{source.uri}/a.eml", "a.eml")
    attached = replace(document(f"{source.uri}/a.eml#b.md", "a.eml!/b.md"), container="a.eml")

    made = plan(source, [mail, attached], remembered(source, [mail]))

    assert (made.unchanged_count, made.sendings, made.deletions) == (1, [], [])


def test_of_two_documents_of_one_file_one_stays(tmp_path: Path) -> None:
    write(tmp_path, {"guide/a.md": "A"})
    source = open_source(str(tmp_path))
    stored = [document(f"{source.uri}/guide/a.md", one) for one in ("a.md", "guide/a.md")]

    made = plan(source, stored, Memory())

    assert [one.id for one in made.sendings] == ["guide/a.md"]
    assert [one.id for one in made.deletions] == ["a.md"]


def test_new_document_takes_over_an_upload_and_nobody_elses_id(tmp_path: Path) -> None:
    write(tmp_path / "docs", {"README.md": "A", "upload.md": "U"})
    source = open_source(str(tmp_path / "docs"))
    stored = [document("/elsewhere/README.md", "README.md"), document("", "upload.md")]

    made = plan(source, stored, Memory())

    assert [one.default_id for one in made.sendings] == ["docs/README.md", "upload.md"]


def test_memory_comes_back_and_one_that_is_broken_is_none(tmp_path: Path) -> None:
    seen = Seen("1:2", "/a.md", 3, "f", "c")
    with Memory.of("/docs", address="a:1", collection="", data_dir=tmp_path) as memory:
        memory.note(seen)
    with Memory.of("/docs", address="a:1", collection="", data_dir=tmp_path) as memory:
        assert memory.get("/a.md") == seen
    with Memory.of("/docs", address="a:1", collection="x", data_dir=tmp_path) as memory:
        assert memory.get("/a.md") is None
    for path in (tmp_path / "sync").glob("*.json"):
        path.write_text('{"/a.md": [')
    with Memory.of("/docs", address="a:1", collection="", data_dir=tmp_path) as memory:
        assert memory.get("/a.md") is None


def test_memory_is_one_syncs_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    began = threading.Event()

    def second() -> None:
        began.set()
        with Memory.of("/docs", address="a:1", collection="", data_dir=tmp_path):
            order.append("second")

    with Memory.of("/docs", address="a:1", collection="", data_dir=tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        began.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


@pytest.fixture
def web(tmp_path: Path) -> Any:
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


FILES = {"a.md": "A", "b/c.txt": "C", "b/d.xyz": "x", "a.md.metadata.json": '{"year": 1}', "drafts/e.md": "x"}


def test_memory_on_a_full_disk_is_read_says_why_it_is_not_kept_and_stays_as_it_was(tmp_path: Path) -> None:
    old, new = Seen("1", "file:///a", 1, "h", "c"), Seen("2", "file:///b", 1, "h", "c")
    with full_disk(tmp_path / "disk") as disk:
        path = disk.folder / "sync" / "memory.json"
        with Memory(path) as memory:
            memory.note(old)
        disk.fill()
        for number in range(1000):
            new = replace(new, uri=f"file:///{number}")
            with Memory(path) as memory:
                assert memory.get(old.uri) == old
                memory.note(new)
            if memory.problem is not None:
                break
            disk.fill()
        assert memory.problem is not None
        assert memory.problem.errno == errno.ENOSPC
        assert {one.name for one in path.parent.iterdir()} == {"memory.json", "memory.lock"}
        with Memory(path) as memory:
            assert memory.get(new.uri) is None
        disk.make_room()
        with Memory(path) as memory:
            memory.note(new)
        assert memory.problem is None
        with Memory(path) as memory:
            assert memory.get(new.uri) == new


def test_memory_that_cannot_be_kept_at_all_remembers_nothing_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "sync").write_text("a file where the folder should be")
    with Memory(tmp_path / "sync" / "memory.json") as memory:
        memory.note(Seen("1", "file:///a", 1, "h", "c"))
    assert memory.problem is not None


def check_remote(source: Source, uri: str) -> None:
    listing = source.list()
    assert [file.key for file in listing.files] == ["a.md", "b/c.txt"]
    assert [file.uri for file in listing.files] == [f"{uri}/a.md", f"{uri}/b/c.txt"]
    assert all(map(source.has, (file.uri for file in listing.files)))
    read = listing.files[0].read()
    assert (read.data, read.filename, read.uri, read.metadata) == (b"A", "a.md", f"{uri}/a.md", {"year": 1})
    assert listing.skipped == {".xyz": 1}


def test_source_in_fsspecs_local_file_system_is_that_folder(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    check_remote(open_source(f"file://{tmp_path}", ["drafts/"]), f"file://{tmp_path}")


def test_source_in_fsspecs_memory_is_read(tmp_path: Path) -> None:
    import fsspec

    for key, text in FILES.items():
        fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/{key}", text.encode())
    check_remote(open_source(f"memory://{tmp_path.name}", ["drafts/"]), f"memory:///{tmp_path.name}")
    assert all(file.stamp for file in open_source(f"memory://{tmp_path.name}").list().files)


def test_source_on_a_web_server_is_read_through_its_listings(tmp_path: Path, web: str) -> None:
    pytest.importorskip("aiohttp")
    write(tmp_path, {f"docs/{key}": text for key, text in FILES.items()})
    check_remote(open_source(f"{web}/docs", ["drafts/"]), f"{web}/docs")
