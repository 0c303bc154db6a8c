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
    """

    name: str
    title: str
    endings: tuple[str, ...]
    media_types: tuple[str, ...]
    keeps: str


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
        "the main content: paragraphs, headings, lists, tables, code",
    ),
    Format(
        "pdf",
        "PDF",
        (".pdf",),
        ("application/pdf", "application/x-pdf"),
        "lines, tables, headings, pages, form values; no running headers and footers",
    ),
    Format("code", "source code", _CODE_ENDINGS, (), "everything, as it is"),
)

_BY_NAME = {key: each for each in FORMATS for key in (*each.endings, *each.media_types)}
"""Endings begin with a dot, media types have a slash in them: they cannot be mistaken for each other."""


def format_named(ending_or_media_type: str) -> Format | None:
    """Find a format by an ending (`.pdf`) or a media type (`application/pdf`), whatever their case; None if unknown."""
    return _BY_NAME.get(ending_or_media_type.lower())


def known_endings() -> tuple[str, ...]:
    """The endings of all that can be read, in the registry's order."""
    return tuple(ending for each in FORMATS for ending in each.endings)


def names_of_formats() -> str:
    """What can be read, for people: `plain text, Markdown, ... and source code`."""
    titles = [each.title for each in FORMATS]
    return f"{', '.join(titles[:-1])} and {titles[-1]}"
