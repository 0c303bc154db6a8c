"""The registry of formats."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from trivium_formats import (
    FORMATS,
    REFUSALS,
    Format,
    Refusal,
    format_named,
    known_endings,
    names_of_formats,
    refusal_named,
)

PAGE = Path(__file__).resolve().parents[3] / "docs" / "formats.md"


def test_every_ending_and_media_type_belongs_to_one_format() -> None:
    entries: list[Format | Refusal] = [*FORMATS, *REFUSALS]
    counts = Counter(key for each in entries for key in (*each.endings, *each.media_types))
    assert [key for key, count in counts.items() if count > 1] == []
    assert all(ending.startswith(".") and ending == ending.lower() for each in entries for ending in each.endings)
    assert all("/" in media and media == media.lower() for each in entries for media in each.media_types)


def test_lookups_ignore_case_and_know_kinds_of_media_types() -> None:
    pdf = format_named(".PDF")
    assert pdf is not None
    assert pdf is format_named("Application/PDF")
    assert format_named(".doc") is None
    image = refusal_named("image/unheard-of")
    assert image is not None
    assert image is refusal_named(".HEIC")
    assert refusal_named("text/unheard-of") is None
    assert ".py" in known_endings()
    assert names_of_formats().startswith("plain text, Markdown, ")


def test_endings_of_what_needs_an_extra_are_known_with_it_only() -> None:
    assert ".png" not in known_endings()
    assert set(known_endings("ocr")) > {".png", ".tif", ".pdf"}
    assert "pictures" not in names_of_formats()


def test_formats_page_has_the_registry_as_its_table() -> None:
    rows = [
        f"| {each.title[0].upper()}{each.title[1:]} | {' '.join(f'`{ending}`' for ending in each.endings)} "
        f"| {' '.join(f'`{media}`' for media in each.media_types)} | {each.keeps} |"
        for each in FORMATS
    ]
    refused = [
        f"| {each.title[0].upper()}{each.title[1:]} | {' '.join(f'`{ending}`' for ending in each.endings)} "
        f"| {each.instead} |"
        for each in REFUSALS
    ]
    table = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    wanted = [*rows, *refused]
    assert [line for line in table if line not in wanted and "`" in line] == []
    assert [line for line in wanted if line not in table] == []
