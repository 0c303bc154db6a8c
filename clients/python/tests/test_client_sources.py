"""What `trivium ingest` finds beneath the paths it is given."""

import json
from pathlib import Path

import pytest
from trivium_client import NewDocument
from trivium_client._files import Unreadable
from trivium_client.cli.sources import Sources


def ids(sources: Sources) -> list[str]:
    return [source.read().default_id for source in sources]


def test_folder_gives_files_of_known_types_with_relative_ids(tmp_path: Path) -> None:
    for name in ("b.md", "a.TXT", "sub/c.html", "sub/deep/d.pdf", "x.py", "x.doc", ".hidden.md", ".git/e.md"):
        path = tmp_path / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")

    sources = Sources([tmp_path / "docs"])

    assert ids(sources) == ["a.TXT", "b.md", "x.py", "sub/c.html", "sub/deep/d.pdf"]
    assert sources.count() == 5
    assert sources.skipped == {".doc": 1, ".md": 1}


def test_file_is_taken_whatever_its_ending_with_its_path_as_uri(tmp_path: Path) -> None:
    path = tmp_path / "notes.rst"
    path.write_bytes(b"\xffbytes")

    (source,) = Sources([path])
    document = source.read()

    assert (document.default_id, document.filename, document.data) == ("notes.rst", "notes.rst", b"\xffbytes")
    assert document.uri == path.resolve().as_posix()


def test_two_files_with_one_id_fail_the_second(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.md").write_text(folder)

    first, second = Sources([tmp_path / "a", tmp_path / "b"])

    assert first.read().default_id == "x.md"
    with pytest.raises(Unreadable, match=r"a/x\.md has the same id"):
        second.read()


def test_same_file_twice_is_no_conflict(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("x")
    assert ids(Sources([path, path])) == ["x.md", "x.md"]


def test_file_that_vanished_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "x.md"
    path.write_text("x")
    (source,) = Sources([tmp_path])
    path.unlink()

    with pytest.raises(Unreadable, match="No such file"):
        source.read()


def test_file_over_the_limit_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    with path.open("wb") as file:
        file.truncate(64 << 20)  # sparse

    (source,) = Sources([path])

    with pytest.raises(Unreadable, match="67,108,864 bytes"):
        source.read()


def test_lines_of_json_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    lines = [
        {"id": "a", "title": "A", "text": "x", "uri": "u", "metadata": {"year": 2020}},
        {"text": "二"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")

    sources = Sources([path])
    first, second = list(sources)

    assert sources.count() == 2
    assert first.read() == NewDocument("x", id="a", title="A", uri="u", metadata={"year": 2020})
    assert second.read() == NewDocument("二")
    assert (first.name, second.name) == (f"{path}:1", f"{path}:2")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json", "INVALID_JSON"),
        (b'["text"]', "INVALID_JSON"),
        (b"\xff\xfe", "INVALID_JSON"),
        (b'{"id": "a"}', "INVALID_DOCUMENT"),
        (b'{"text": 1}', "INVALID_DOCUMENT"),
        (b'{"text": "a", "_id": "b"}', "INVALID_DOCUMENT"),
    ],
)
def test_line_that_is_no_document_fails_alone(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(b'{"text": "a"}\n' + line + b'\n{"text": "b"}\n')

    first, bad, last = list(Sources([path]))

    assert (first.read().text, last.read().text) == ("a", "b")
    with pytest.raises(Unreadable) as caught:
        bad.read()
    assert caught.value.reason == reason
    assert bad.name.endswith(":2")


def test_sidecar_says_facts_about_its_file_and_is_no_document(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A")
    (tmp_path / "a.md.metadata.json").write_text('{"year": 2026, "team": "service"}')
    (tmp_path / "other.metadata.json").write_text('{"year": 2026}')

    sources = Sources([tmp_path], {"team": "all", "lang": "en"})
    a, other = [source.read() for source in sources]

    assert (a.default_id, a.metadata) == ("a.md", {"team": "service", "lang": "en", "year": 2026})
    assert (other.default_id, other.metadata) == ("other.metadata.json", {"team": "all", "lang": "en"})
    assert not sources.skipped


@pytest.mark.parametrize("facts", ["{", "[1]"])
def test_sidecar_that_is_no_object_fails_its_file(tmp_path: Path, facts: str) -> None:
    (tmp_path / "a.md").write_text("A")
    (tmp_path / "a.md.metadata.json").write_text(facts)

    [a] = Sources([tmp_path / "a.md"])

    with pytest.raises(Unreadable, match=r"a\.md\.metadata\.json is not"):
        a.read()


def test_metadata_of_the_command_line_go_before_no_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(b'{"text": "a", "metadata": {"year": 1}}\n{"text": "b"}\n')

    assert [source.read().metadata for source in Sources([path], {"year": 2})] == [{"year": 1}, {"year": 2}]
