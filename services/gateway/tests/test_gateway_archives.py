"""Files in mails and archives come out under their names; what was made to harm is refused in bounded time."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile
import zipfile

import pytest
from documents import files
from documents.known.mails import mail
from documents.known.outlook import msg, tnef
from trivium_gateway.ingestion.formats import bounds as bounds_module
from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.readers import read
from trivium_gateway.ingestion.formats.recognition import recognise
from trivium_gateway.ingestion.formats.unpacking import unpack
from trivium_serving.errors import InvalidField, TooLarge

BOUNDS = Bounds(max_pages=100, max_characters=1_000_000)
CSV = ("prices.csv", "text/csv", b"Part,Price\nSeal,12\n")


def _tar(members: dict[str, bytes], mode: str = "w:gz", kind: bytes = tarfile.REGTYPE) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(content), kind, "/etc/passwd"
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def _names(data: bytes, name: str = "") -> list[str]:
    return [part.name for part in unpack(recognise(data, name).name, data, name)]


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_any_compression_is_unpacked_with_its_folders(mode: str) -> None:
    data = _tar({"docs/a.txt": b"A", "b.csv": b"B"}, mode)

    assert [(part.name, part.data) for part in unpack("archive", data, "")] == [("docs/a.txt", b"A"), ("b.csv", b"B")]
    assert recognise(data, "").name == "archive"


def test_archives_and_mails_within_are_unpacked_too_under_the_path_to_them() -> None:
    inner = files.packed({"x/a.txt": "A"})
    data = files.packed({"m/1.eml": mail("Here.", CSV).as_bytes(), "inner.zip": inner, "__MACOSX/x": "junk"})

    assert _names(data) == ["m/1.eml", "m/1.eml!/prices.csv", "inner.zip!/x/a.txt"]


def test_mail_gives_its_attachments_and_names_them_but_not_pictures_in_its_text() -> None:
    message = mail("Here.", CSV, ("manual.docx", "application/octet-stream", files.docx()))
    message.add_attachment(b"\x89PNG", "image", "png", filename="logo.png", disposition="inline")
    message.add_attachment(mail("Inner.", ("deep.txt", "application/octet-stream", b"deep"), subject="About A"))

    assert _names(message.as_bytes()) == [
        "prices.csv", "manual.docx", "About A.eml", "About A.eml!/deep.txt",
    ]  # fmt: skip
    text = read("mail", message.as_bytes(), BOUNDS).text
    assert text.endswith("Attachment: prices.csv\nAttachment: manual.docx\nAttachment: About A.eml")
    assert "Seal" not in text


def test_attachments_of_one_name_get_numbers() -> None:
    assert _names(mail("Here.", CSV, CSV, CSV).as_bytes()) == ["prices.csv", "prices (2).csv", "prices (3).csv"]


def test_outlook_mail_is_read_with_its_attachments() -> None:
    data = msg("Prüfung", "It takes\r\nfive minutes.", {"prices.csv": CSV[2], "large.txt": b"x" * 10_000})

    assert recognise(data, "").name == "outlook"
    reading = read("outlook", data, BOUNDS)
    title, text = reading.title, reading.text
    assert title == "Prüfung"
    assert text == (
        "# Prüfung\n\nSubject: Prüfung\nFrom: Jo <jo@example.org>\nTo: ed\n\nIt takes\nfive minutes.\n\n"
        "Attachment: prices.csv\nAttachment: large.txt"
    )
    assert [(part.name, len(part.data)) for part in unpack("outlook", data, "")] == [
        ("prices.csv", len(CSV[2])), ("large.txt", 10_000),
    ]  # fmt: skip


def test_winmail_dat_of_a_mail_is_read_with_its_attachments() -> None:
    inner = tnef("Prüfung", "It takes\r\nfive minutes.", {"Maße der Ventile.csv": CSV[2], "a.txt": b"A"})
    data = mail("Here.", ("winmail.dat", "application/ms-tnef", inner)).as_bytes()

    assert _names(data) == ["winmail.dat", "winmail.dat!/Maße der Ventile.csv", "winmail.dat!/a.txt"]
    assert unpack("mail", data, "")[1].data == CSV[2]
    reading = read(recognise(inner, "winmail.dat").name, inner, BOUNDS)
    assert (reading.title, reading.text) == (
        "Prüfung", "# Prüfung\n\nIt takes\nfive minutes.\n\nAttachment: Maße der Ventile.csv\nAttachment: a.txt"
    )  # fmt: skip


@pytest.mark.parametrize("at", range(4, 400, 3))
def test_damaged_winmail_dat_fails_alone(at: int) -> None:
    inner = bytearray(tnef("Subject", "Text", {"a.txt": b"x" * 50}))
    inner[at : at + 4] = b"\xff\xff\xff\x7f"

    for damaged in (bytes(inner), bytes(inner[:at])):
        with contextlib.suppress(InvalidField):
            read("tnef", damaged, BOUNDS)
        assert _names(mail("Here.", ("winmail.dat", "application/ms-tnef", damaged)).as_bytes())[0] == "winmail.dat"


@pytest.mark.parametrize("at", range(0, 2048, 37))
def test_damaged_outlook_mail_is_read_or_refused_and_never_loops(at: int) -> None:
    data = bytearray(msg("Subject", "Text", {"a.txt": b"x" * 5_000}))
    data[at : at + 4] = b"\x02\0\0\0"

    for work in (lambda: read("outlook", bytes(data), BOUNDS), lambda: unpack("outlook", bytes(data), "")):
        with contextlib.suppress(InvalidField):
            work()


def test_single_compressed_file_is_called_as_its_archive_without_the_ending() -> None:
    assert [(part.name, part.data) for part in unpack("archive", gzip.compress(b"A"), "notes.txt.gz")] == [
        ("notes.txt", b"A")
    ]


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "C:\\etc\\passwd", "a/../../etc\\passwd\x1b"])
def test_names_in_archives_lead_nowhere(name: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, "x")

    (unpacked,) = _names(file.getvalue(), "a.zip")

    assert unpacked in ("etc/passwd", "a/etc/passwd")


def test_links_and_devices_in_archives_are_passed_over() -> None:
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        assert unpack("archive", _tar({"a": b""}, kind=kind), "") == []


def test_archive_that_unpacks_to_gigabytes_is_refused_before_more_than_is_allowed_is_unpacked() -> None:
    bomb = gzip.compress(bytes(bounds_module.MAX_PARTS_BYTES + 1))
    packed = files.packed({"a.txt": bytes(300 * 1024 * 1024)})

    for data in (bomb, packed, _tar({"a": bytes(bounds_module.MAX_PARTS_BYTES + 1)})):
        with pytest.raises(TooLarge) as raised:
            unpack("archive", data, "")
        assert raised.value.reason == "DOCUMENT_TOO_LARGE"


def test_archive_of_little_that_becomes_much_is_refused() -> None:
    with pytest.raises(TooLarge, match="unpacked"):
        unpack("archive", gzip.compress(bytes(2 * 1024 * 1024)), "a.gz")


def test_archives_within_archives_are_unpacked_three_deep() -> None:
    data = files.packed({"a.txt": "x"})
    for _ in range(20):
        data = files.packed({"a.zip": data})

    assert _names(data) == ["a.zip!/a.zip!/a.zip"]


def test_bomb_within_an_archive_is_a_document_of_its_own_which_fails_alone() -> None:
    bomb = files.packed({"a.txt": bytes(bounds_module.MAX_PARTS_BYTES + 1)})

    inner, text = unpack("archive", files.packed({"bomb.zip": bomb, "b.txt": "B"}), "")

    assert (inner.name, inner.failure and inner.failure.reason) == ("bomb.zip", "DOCUMENT_TOO_LARGE")
    assert (text.name, text.data, text.failure) == ("b.txt", b"B", None)


def test_archive_of_more_files_than_allowed_is_refused() -> None:
    data = files.packed({f"{number}.txt": "x" for number in range(bounds_module.MAX_PARTS + 1)})

    with pytest.raises(TooLarge, match="files"):
        unpack("archive", data, "")


def test_mails_within_mails_are_unpacked_three_deep() -> None:
    data = mail("Innermost.")
    for _ in range(20):
        outer = mail("Outer.")
        outer.add_attachment(data)
        data = outer

    assert _names(data.as_bytes()) == [
        "Pumps.eml", "Pumps.eml!/Pumps.eml", "Pumps.eml!/Pumps.eml!/Pumps.eml",
    ]  # fmt: skip


def test_encrypted_and_damaged_archives_are_refused_as_such() -> None:
    data = bytearray(files.packed({"a.txt": "x" * 1000}))
    damaged = bytes(data[:60])
    data[data.index(b"PK\x01\x02") + 8] |= 1

    for broken, reason in ((bytes(data), "FILE_ENCRYPTED"), (damaged, "FILE_BROKEN"), (b"BZh9xx", "FILE_BROKEN")):
        with pytest.raises(InvalidField) as raised:
            unpack("archive", broken, "")
        assert raised.value.reason == reason


def test_archive_itself_is_a_list_of_its_files() -> None:
    data = files.packed({"a/b.txt": "four", "c.txt": "", "d.txt": "1"})

    listed = "Files in this archive:\n\n- a/b.txt, 4 bytes\n- c.txt, 0 bytes\n- d.txt, 1 byte"
    assert read("archive", data, BOUNDS).text == listed


def test_archive_without_a_file_is_no_document() -> None:
    with pytest.raises(InvalidField) as raised:
        read("archive", files.packed({}), BOUNDS)
    assert raised.value.reason == "EMPTY_DOCUMENT"
