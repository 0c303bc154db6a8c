"""Parts of a bulk ingestion: what they hold, when they stay the same, and what a run that broke off remembers."""

from __future__ import annotations

import datetime
import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow
import pyarrow.parquet
import pytest
from trivium_client._documents import DocumentResult
from trivium_client._errors import Unavailable
from trivium_client._files import Unreadable
from trivium_client.bulk.manifest import Manifest
from trivium_client.bulk.parts import FilesPart, Part, parts_of
from trivium_client.bulk.running import outcome_of
from trivium_client.cli.bulk import address_of, is_address
from trivium_client.sync import SourceUnavailable
from trivium_client.sync.sources import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trivium_client import NewDocument


class _Gateway:
    """Takes documents, up to one that it goes away at."""

    def __init__(self, away_at: str = "") -> None:
        self.taken: list[NewDocument] = []
        self._away_at = away_at

    def ingest_stream(self, documents: Iterable[NewDocument], *, collection: str) -> Iterator[DocumentResult]:
        for one in documents:
            if self._away_at and (one.text or "").endswith(self._away_at):
                raise Unavailable("the gateway is away", reason="UNAVAILABLE")
            self.taken.append(one)
            yield DocumentResult(one.id, "indexed", 1, None)


def _folder(path: Path, count: int) -> Path:
    path.mkdir(exist_ok=True)
    for number in range(count):
        (path / f"{number:03}.md").write_text(f"note {number}")
    return path


def _rows(path: Path, **columns: list[Any]) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=2)
    return str(path)


def _names(part: Part) -> list[str]:
    return [Path(source.name).name for source in part.sources()]


@pytest.fixture
def _settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were just written count as such that will not change any more."""
    monkeypatch.setattr("trivium_client.sync.sources.SETTLING_SECONDS", 0.0)


@pytest.mark.usefixtures("_settled")
def test_new_file_changes_its_own_part_and_no_other(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "notes", 200)
    before, _ = parts_of([str(folder)], part_documents=10)
    again, _ = parts_of([str(folder)], part_documents=10)
    (folder / "100b.md").write_text("another note")
    after, _ = parts_of([str(folder)], part_documents=10)

    assert sum(part.count for part in before) == 200
    assert sorted(name for part in before for name in _names(part)) == [f"{number:03}.md" for number in range(200)]
    assert len(before) > 5
    assert all(part.stamp for part in before)
    assert [part.stamp for part in again] == [part.stamp for part in before]
    assert len({part.stamp for part in before} - {part.stamp for part in after}) == 1


@pytest.mark.usefixtures("_settled")
def test_facts_and_readers_are_of_the_stamp_and_of_each_document(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "notes", 1)
    (plain,), _ = parts_of([str(folder)])
    (given,), _ = parts_of([str(folder)], metadata={"team": "a"}, readers=["user:ann"])
    (document,) = [source.read() for source in given.sources()]

    assert plain.stamp != given.stamp
    assert (document.default_id, document.metadata, document.readers) == ("000.md", {"team": "a"}, ["user:ann"])
    assert document.uri == (folder / "000.md").as_posix()


def test_file_that_has_just_changed_has_no_stamp_and_is_sent_again() -> None:
    file = SourceFile("a.md", "/a.md", 1, "", lambda: pytest.fail("not read"))
    assert FilesPart.of([file], ["a.md"], ()).stamp == ""


def test_two_folders_with_a_file_of_one_name_do_not_take_each_others_id(tmp_path: Path) -> None:
    folders = [str(_folder(tmp_path / name, 1)) for name in ("a", "b")]
    parts, _ = parts_of(folders)
    first, second = [source for part in parts for source in part.sources()]

    assert first.read().default_id == "000.md"
    with pytest.raises(Unreadable, match="another file has the same id"):
        second.read()


def test_rows_are_documents_and_each_group_of_them_a_part(tmp_path: Path) -> None:
    address = _rows(
        tmp_path / "rows.parquet",
        id=["a", "b", None, "d", "e"],
        text=["A", "B", "C", None, "E"],
        metadata=['{"year": 1}', None, '{"year": 3}', None, "no JSON"],
        other=[1, 2, 3, 4, 5],
    )
    parts, _ = parts_of([address], metadata={"team": "x"}, readers=["*"])
    sources = [source for part in parts for source in part.sources()]
    read = [source.read() for source in sources[:3]]

    assert [part.count for part in parts] == [2, 2, 1]
    assert len({part.stamp for part in parts}) == 3
    assert [source.name.rpartition(":")[2] for source in sources] == ["0", "1", "2", "3", "4"]
    assert [(one.id, one.text, one.metadata) for one in read] == [
        ("a", "A", {"team": "x", "year": 1}),
        ("b", "B", {"team": "x"}),
        ("", "C", {"team": "x", "year": 3}),
    ]
    assert [tuple(one.readers) for one in read] == [("*",)] * 3
    for source, reason in zip(sources[3:], ("INVALID_DOCUMENT", "INVALID_JSON"), strict=True):
        with pytest.raises(Unreadable) as refused:
            source.read()
        assert refused.value.reason == reason


def test_metadata_may_be_a_column_of_structures_and_a_wildcard_names_several_files(tmp_path: Path) -> None:

    facts = [{"year": 2024, "due": datetime.date(2026, 1, 31)}, {"year": None, "due": None}]
    for name in ("a", "b"):
        _rows(tmp_path / f"{name}.parquet", text=["A", "B"], metadata=facts)
    parts, _ = parts_of([str(tmp_path / "*.parquet")])
    read = [source.read() for part in parts for source in part.sources()]

    assert [one.metadata for one in read] == [{"year": 2024, "due": "2026-01-31"}, {}] * 2
    with pytest.raises(SourceUnavailable, match="no such file"):
        parts_of([str(tmp_path / "none-*.parquet")])


def test_parts_of_rows_go_to_other_processes(tmp_path: Path) -> None:
    address = _rows(tmp_path / "rows.parquet", text=["A", "B"])
    parts, _ = parts_of([address])

    assert [source.read().text for source in pickle.loads(pickle.dumps(parts[0])).sources()] == ["A", "B"]


def test_outcome_counts_what_is_in_names_what_failed_and_says_why_a_part_broke_off(tmp_path: Path) -> None:
    address = _rows(tmp_path / "rows.parquet", id=["a", "b"], text=["A", None])
    ((part,), _) = parts_of([address])
    gateway: Any = _Gateway()
    told = outcome_of(part, gateway, "")

    assert json.loads(json.dumps(told))["counts"] == {"indexed": 1, "failed": 1}
    assert [(Path(name).name, reason) for name, reason, _ in told["failures"]] == [
        ("rows.parquet:1", "INVALID_DOCUMENT")
    ]
    assert not told["broken"]
    away: Any = _Gateway(away_at="A")
    assert "the gateway is away" in outcome_of(part, away, "")["broken"]


def test_manifest_knows_after_a_crash_which_parts_are_in_until_it_is_forgotten(tmp_path: Path) -> None:
    manifest = Manifest.of(["s3://b/a"], "manuals", tmp_path)
    manifest.note("one")
    manifest.note("")
    manifest.note("two")
    (path,) = (tmp_path / "bulk").iterdir()
    with path.open("a") as file:
        file.write('{"par')  # a crash in the middle of a line
    after = Manifest.of(["s3://b/a"], "manuals", tmp_path)
    assert after.done == {"one", "two"}
    after.note("three")
    after.close()

    assert Manifest.of(["s3://b/a"], "manuals", tmp_path).done == {"one", "two", "three"}
    assert Manifest.of(["s3://b/a"], "others", tmp_path).done == set()
    after.forget()
    assert Manifest.of(["s3://b/a"], "manuals", tmp_path).done == set()


def test_addresses_survive_being_typed_as_paths() -> None:
    assert address_of(Path("s3://bucket/a/*.parquet")) == "s3://bucket/a/*.parquet"
    assert is_address(Path("gs://bucket"))
    assert not is_address(Path("/data/notes"))
    assert address_of(Path("/data/notes")) == "/data/notes"
