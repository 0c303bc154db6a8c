"""What cannot be read, and what to do instead: told from the name or the first bytes, before anything is tried."""

from dataclasses import dataclass

__all__ = ["REFUSALS", "Refusal", "refusal_named"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A format that cannot be read.

    Attributes:
        title: What people call it, with its article.
        endings: Of its files' names, in small letters, with the dot.
        media_types: In small letters, without parameters; one that ends in `/` stands for all that begin so.
        signatures: What its files may begin with.
        instead: What to do.
    """

    title: str
    endings: tuple[str, ...]
    media_types: tuple[str, ...]
    signatures: tuple[bytes, ...]
    instead: str


REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        "an old Word document",
        (".doc", ".dot"),
        ("application/msword",),
        (),
        "Save it as .docx",
    ),
    Refusal(
        "an old Excel workbook",
        (".xls", ".xlt"),
        ("application/vnd.ms-excel",),
        (),
        "Save it as .xlsx",
    ),
    Refusal(
        "an old PowerPoint presentation",
        (".ppt", ".pps", ".pot"),
        ("application/vnd.ms-powerpoint",),
        (),
        "Save it as .pptx",
    ),
    Refusal(
        "a folder of mails in Outlook's own form",
        (".pst", ".ost"),
        (),
        (),
        "Save its mails as .msg, .eml or .mbox",
    ),
    Refusal(
        "a document of an old Office, or an encrypted one",
        (),
        (),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",),
        "Save it in today's form without a password: .docx, .xlsx, .pptx, .eml",
    ),
    Refusal(
        "a document of Apple's iWork",
        (".pages", ".numbers", ".key"),
        ("application/vnd.apple.pages", "application/vnd.apple.numbers", "application/vnd.apple.keynote"),
        (),
        "Export it as .docx, .xlsx, .pptx or PDF",
    ),
    Refusal(
        "an e-book for Kindle",
        (".mobi", ".azw", ".azw3"),
        ("application/x-mobipocket-ebook",),
        (),
        "Convert it to .epub",
    ),
    Refusal(
        "a picture of a kind that is not read",
        (".heic", ".avif", ".ico", ".psd", ".svg"),
        ("image/",),
        (b"8BPS",),
        "Save it as .png or .jpg",
    ),
    Refusal(
        "a recording",
        (".mp3", ".wav", ".flac", ".ogg", ".m4a", ".mp4", ".mov", ".avi", ".mkv", ".webm", ".wmv"),
        ("audio/", "video/"),
        (b"ID3", b"RIFF", b"fLaC", b"OggS", b"\x1aE\xdf\xa3"),
        "Send its transcript, for example as .srt or .vtt",
    ),
    Refusal(
        "an archive of a kind that is not unpacked",
        (".zst", ".7z", ".rar", ".jar", ".iso", ".dmg"),
        ("application/x-7z-compressed", "application/vnd.rar", "application/zstd"),
        (b"7z\xbc\xaf\x27\x1c", b"Rar!", b"(\xb5/\xfd"),
        "Send it as .zip or .tar.gz, or the files in it",
    ),
    Refusal(
        "a database or a file of columns",
        (".sqlite", ".sqlite3", ".db", ".mdb", ".accdb", ".parquet", ".feather", ".avro", ".orc"),
        ("application/vnd.sqlite3", "application/x-sqlite3", "application/vnd.apache.parquet"),
        (b"SQLite format 3\0", b"PAR1", b"ARROW1", b"Obj\x01", b"ORC"),
        "Export its tables as .csv",
    ),
    Refusal(
        "a program",
        (".exe", ".dll", ".so", ".dylib", ".o", ".a", ".class", ".pyc", ".wasm", ".msi", ".apk"),
        ("application/x-executable", "application/x-msdownload", "application/wasm", "application/java-archive"),
        (b"\x7fELF", b"MZ\x90\0", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"\0asm"),
        "Send its documentation",
    ),
    Refusal(
        "a font or a certificate",
        (".ttf", ".otf", ".woff", ".woff2", ".p12", ".pfx", ".der"),
        ("font/",),
        (b"wOFF", b"wOF2", b"OTTO", b"\0\x01\0\0\0"),
        "There is no text in it",
    ),
)

_BY_NAME = {key: each for each in REFUSALS for key in (*each.endings, *each.media_types)}


def refusal_named(ending_or_media_type: str) -> Refusal | None:
    """Find what cannot be read by an ending or a media type, whatever their case; None if it is none of them."""
    key = ending_or_media_type.lower()
    return _BY_NAME.get(key) or _BY_NAME.get(key.partition("/")[0] + "/")
