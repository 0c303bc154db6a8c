"""What can be read."""

from dataclasses import dataclass

__all__ = ["FORMATS", "Format", "format_named", "known_endings", "names_of_formats"]


@dataclass(frozen=True, slots=True)
class Format:
    """A format that can be read.

    Attributes:
        name: What code calls it; the gateway's readers are found by it.
        title: What people call it.
        endings: Of its files' names, in small letters, with the dot.
        media_types: In small letters, without parameters.
        keeps: What of a file is in the text that comes out of it.
        extra: What of the gateway has to be installed beside it to read them; empty if nothing has to.
    """

    name: str
    title: str
    endings: tuple[str, ...]
    media_types: tuple[str, ...]
    keeps: str
    extra: str = ""


_OFFICE = "application/vnd.openxmlformats-officedocument"
_CODE_ENDINGS = (
    *(".py", ".pyi", ".js", ".mjs", ".cjs", ".ts", ".tsx", ".jsx", ".vue", ".svelte", ".java", ".kt", ".kts", ".scala"),
    *(".groovy", ".gradle", ".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".m", ".mm", ".cs", ".fs", ".vb", ".go"),
    *(".rs", ".swift", ".rb", ".php", ".pl", ".pm", ".lua", ".r", ".jl", ".dart", ".ex", ".exs", ".erl", ".hs", ".ml"),
    *(".clj", ".el", ".lisp", ".scm", ".sh", ".bash", ".zsh", ".fish", ".ps1", ".bat", ".cmd", ".sql", ".css", ".scss"),
    *(".less", ".proto", ".graphql", ".tf", ".hcl", ".cmake", ".mk", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf"),
    *(".properties", ".f90", ".f95", ".asm", ".s", ".zig", ".nim", ".sol", ".v", ".vhd", ".diff", ".patch"),
)

FORMATS: tuple[Format, ...] = (
    Format("text", "plain text", (".txt", ".text", ".log"), ("text/plain",), "everything, as it is"),
    Format(
        "markdown",
        "Markdown",
        (".md", ".markdown", ".mdown", ".mkd", ".mdx"),
        ("text/markdown", "text/x-markdown"),
        "everything, as it is",
    ),
    Format(
        "html",
        "HTML",
        (".html", ".htm", ".xhtml"),
        ("text/html", "application/xhtml+xml"),
        "the main content: paragraphs, headings, lists, tables, code, formulas, pictures' descriptions",
    ),
    Format(
        "pdf",
        "PDF",
        (".pdf",),
        ("application/pdf", "application/x-pdf"),
        "lines, tables, headings, exponents, pages, form values; no running headers and footers; pages "
        "that are pictures with text recognition",
    ),
    Format(
        "docx",
        "Word",
        (".docx", ".docm", ".dotx", ".dotm"),
        (f"{_OFFICE}.wordprocessingml.document", f"{_OFFICE}.wordprocessingml.template"),
        "headings, paragraphs, lists with their numbers, tables with merged cells repeated, footnotes and endnotes, "
        "text boxes, charts, diagrams, formulas, exponents, pictures' descriptions; not headers and footers, comments, "
        "deleted and hidden text",
    ),
    Format(
        "pptx",
        "PowerPoint",
        (".pptx", ".pptm", ".ppsx", ".potx"),
        (f"{_OFFICE}.presentationml.presentation", f"{_OFFICE}.presentationml.slideshow"),
        "each slide under a heading with its number and title: text, tables, charts, diagrams, formulas, pictures' "
        "descriptions, notes",
    ),
    Format(
        "xlsx",
        "Excel",
        (".xlsx", ".xlsm", ".xlsb", ".xltx"),
        (f"{_OFFICE}.spreadsheetml.sheet", "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
        "each sheet under a heading with its name, as tables: values as they were saved and are shown, with units and "
        "exponents, merged cells repeated; not hidden sheets, charts and comments",
    ),
    Format(
        "odt",
        "OpenDocument text",
        (".odt", ".ott"),
        ("application/vnd.oasis.opendocument.text",),
        "headings, paragraphs, lists with their numbers, tables with merged cells repeated, notes, exponents",
    ),
    Format(
        "ods",
        "OpenDocument spreadsheet",
        (".ods", ".ots"),
        ("application/vnd.oasis.opendocument.spreadsheet",),
        "as of Excel",
    ),
    Format(
        "odp",
        "OpenDocument presentation",
        (".odp", ".otp"),
        ("application/vnd.oasis.opendocument.presentation",),
        "as of PowerPoint, but not charts",
    ),
    Format(
        "rtf",
        "RTF",
        (".rtf",),
        ("application/rtf", "text/rtf"),
        "paragraphs, headings with an outline level, lists with their numbers, tables, footnotes, text boxes, "
        "exponents; not headers, footers, pictures, deleted and hidden text",
    ),
    Format(
        "epub",
        "EPUB",
        (".epub",),
        ("application/epub+zip",),
        "the chapters in reading order, each as HTML is read",
    ),
    Format(
        "mail",
        "mail",
        (".eml",),
        ("message/rfc822",),
        "subject, sender, recipients, date, the text; attachments as documents of their own, those of attached mails "
        "and archives, too, three deep",
    ),
    Format(
        "mailbox",
        "mailbox",
        (".mbox",),
        ("application/mbox",),
        "each mail under a heading with its subject, as above",
    ),
    Format(
        "outlook",
        "Outlook mail",
        (".msg",),
        ("application/vnd.ms-outlook",),
        "as of a mail, but not mails of Outlook's own form that are attached",
    ),
    Format(
        "tnef",
        "Outlook's winmail.dat",
        (".tnef",),
        ("application/ms-tnef", "application/vnd.ms-tnef"),
        "the subject and the text, if it has them; attachments as documents of their own",
    ),
    Format(
        "archive",
        "archive",
        (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz"),
        (
            *("application/zip", "application/x-zip-compressed", "application/x-tar", "application/gzip"),
            *("application/x-gzip", "application/x-bzip2", "application/x-xz"),
        ),
        "a list of its files, which are documents of their own, those of archives and mails in it, too, three deep",
    ),
    Format(
        "mhtml",
        "web archive",
        (".mhtml", ".mht"),
        ("multipart/related", "application/x-mimearchive"),
        "the page, as HTML is read",
    ),
    Format(
        "notebook",
        "Jupyter notebook",
        (".ipynb",),
        ("application/x-ipynb+json",),
        "Markdown as it is, code, and the first 4,000 characters of what each output says",
    ),
    Format(
        "csv",
        "CSV",
        (".csv",),
        ("text/csv", "application/csv"),
        "a table with the first row as its header; commas, semicolons, tabs, bars and what is rarer are told apart",
    ),
    Format("tsv", "TSV", (".tsv", ".tab"), ("text/tab-separated-values",), "a table with the first row as its header"),
    Format(
        "json",
        "JSON",
        (".json", ".geojson"),
        ("application/json",),
        "records with the same short fields as a table, anything else as a list of `name: value`",
    ),
    Format(
        "jsonl",
        "JSON lines",
        (".jsonl", ".ndjson"),
        ("application/jsonl", "application/x-ndjson"),
        "as of JSON; a file that `trivium ingest` is given by name holds a document in each line instead",
    ),
    Format(
        "xml",
        "XML",
        (".xml", ".rss", ".atom"),
        ("application/xml", "text/xml"),
        "text as paragraphs, elements with nothing but text as `name: value`, attributes; records of one name "
        "as a table",
    ),
    Format(
        "subtitles",
        "subtitles",
        (".srt", ".vtt"),
        ("application/x-subrip", "text/vtt"),
        "what is said and who says it, with the time each half minute",
    ),
    Format(
        "rst",
        "reStructuredText",
        (".rst",),
        ("text/x-rst", "text/prs.fallenstein.rst"),
        "headings, tables, notes, code; the rest as it is",
    ),
    Format("org", "Org", (".org",), ("text/org",), "headings, tables, notes, code; the rest as it is"),
    Format(
        "latex",
        "LaTeX",
        (".tex", ".latex"),
        ("application/x-tex", "text/x-tex"),
        "headings, items with their numbers, tables, footnotes, captions, quantities, formulas of a few signs; others "
        "as they are written",
    ),
    Format("code", "source code", _CODE_ENDINGS, (), "everything, as it is"),
    Format(
        "picture",
        "scans and other pictures",
        (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"),
        ("image/png", "image/jpeg", "image/tiff", "image/bmp", "image/webp", "image/gif"),
        "what text recognition reads, as of PDF; from folders they are taken only by name",
        "ocr",
    ),
)

_BY_NAME = {key: each for each in FORMATS for key in (*each.endings, *each.media_types)}
"""Endings begin with a dot, media types have a slash in them: they cannot be mistaken for each other."""


def format_named(ending_or_media_type: str) -> Format | None:
    """Find a format by an ending (`.pdf`) or a media type (`application/pdf`), whatever their case; None if unknown."""
    return _BY_NAME.get(ending_or_media_type.lower())


def known_endings(*extras: str) -> tuple[str, ...]:
    """The endings of all that can be read, in the registry's order; of what needs an extra, with these extras."""
    return tuple(ending for each in FORMATS if not each.extra or each.extra in extras for ending in each.endings)


def names_of_formats() -> str:
    """What can be read without extras, for people: `plain text, Markdown, ... and source code`."""
    titles = [each.title for each in FORMATS if not each.extra]
    return f"{', '.join(titles[:-1])} and {titles[-1]}"
