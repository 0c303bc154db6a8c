"""Every limit on what the gateway accepts, in one place."""

import unicodedata
from dataclasses import dataclass

from trivium_serving.errors import InvalidField, TooLarge

__all__ = [
    "GatewayLimits",
    "check_candidates",
    "check_document_count",
    "check_document_id",
    "check_page_size",
    "check_queries",
    "check_query",
    "check_title",
    "check_top_n",
    "check_unicode",
    "check_uri",
    "is_blank",
]

_UNSEEN = ("Cc", "Cf", "Zl", "Zp", "Zs")


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """The limits. What crosses one is refused with an error that names it."""

    max_query_characters: int = 8_000
    """Longest query or question, in code points."""
    max_collections: int = 16
    """Most collections that a question is asked in at once."""
    max_queries: int = 10
    """Most further queries that a caller may send along with a question."""
    max_history_messages: int = 64
    """Most earlier turns that come with a question."""
    max_history_characters: int = 64_000
    """Longest history, all turns together, in code points."""
    max_body_bytes: int = 32 * 1024 * 1024
    """Largest body of an HTTP request."""
    max_mcp_body_bytes: int = 4 * 1024 * 1024
    """Largest body of a request of the Model Context Protocol."""
    max_filter_bytes: int = 65_536
    """Largest filter, as JSON in UTF-8."""
    max_filter_conditions: int = 32
    """Most conditions on fields in a filter, those within `not`, `any` and `all` included."""
    max_filter_depth: int = 10
    """Most levels of a filter: one, and one for each `not`, `any` and `all` within another."""
    max_filter_values: int = 1_000
    """Most values in one list of a filter."""
    max_top_n: int = 100
    """Most passages in an answer."""
    max_candidates: int = 1_000
    """Most candidates of a search."""
    max_section_characters: int = 8_000
    """Most of a section that a passage is read with, in code points: no chunk is longer."""
    max_embed_texts: int = 2_048
    """Most texts that a caller may have embedded at once."""
    max_embed_text_characters: int = 100_000
    """Longest of them, in code points."""
    max_embed_bytes: int = 16_000_000
    """Largest size of them together, in UTF-8."""
    max_rerank_texts: int = 1_000
    """Most texts that a caller of its own texts may have reranked at once."""
    max_rerank_text_characters: int = 100_000
    """Longest of them, in code points."""
    max_rerank_bytes: int = 16_000_000
    """Largest size of them together, in UTF-8; a little less than the rerank service takes with the query."""
    max_page_size: int = 1_000
    """Most documents on a page."""
    max_documents_per_request: int = 1_000
    """Most documents in one HTTP request."""
    max_documents_per_stream: int = 100_000
    """Most documents in one gRPC stream."""
    max_jobs: int = 1_000
    """Most jobs of one tenant that are kept. For one more, the one is forgotten that ended longest ago."""
    max_job_documents: int = 100_000
    """Most documents in one job."""
    max_job_age_seconds: int = 604_800
    """How long a job is kept after it has ended."""
    max_document_bytes: int = 10 * 1024 * 1024
    """Largest document: a file's bytes, a text's UTF-8, and the text that comes out of a file."""
    max_chunks_per_document: int = 20_000
    """Most pieces of one document."""
    max_id_characters: int = 512
    """Longest document id, in code points."""
    max_title_characters: int = 500
    """Longest title, in code points. A longer one that a file brings along is cut."""
    max_uri_characters: int = 2_048
    """Longest uri, in code points."""
    max_metadata_keys: int = 64
    """Most metadata keys of one document."""
    max_metadata_depth: int = 8
    """Most levels of objects in the metadata of one document, the metadata themselves included."""
    max_metadata_key_characters: int = 64
    """Longest metadata key, those of the objects around it and dots between included, in code points."""
    max_metadata_list_values: int = 256
    """Most values in one list of the metadata."""
    max_metadata_bytes: int = 16_384
    """Largest metadata of one document, as JSON in UTF-8."""
    max_collection_metadata_keys: int = 256
    """Most metadata keys of one collection, all documents together: each has an index of its own."""
    max_readers_per_document: int = 100
    """Most readers that one document names."""
    max_reader_characters: int = 200
    """Longest name of a reader, in code points."""
    max_feedback: int = 10_000
    """Most feedback that is kept of one tenant."""
    max_feedback_bytes: int = 32 << 20
    """About how many bytes of it, as JSON."""
    max_feedback_characters: int = 8_000
    """Longest comment, or corrected answer, in code points."""
    max_feedback_documents: int = 100
    """Most documents that feedback names."""
    max_pdf_pages: int = 5_000
    """Most pages of a PDF, and slides, sheets, chapters or mails of other files."""
    max_parse_seconds: float = 60.0
    """Most processor time to extract the text of one file, however large."""
    max_parse_memory_bytes: int = 1024 * 1024 * 1024
    """Most memory for that."""
    max_scanned_pages: int = 200
    """Most pages of one file that are read by text recognition."""
    max_scanned_page_seconds: float = 20.0
    """Most processor time for each of them, beside that for the file; they may share it."""
    max_scan_memory_bytes: int = 2 * 1024 * 1024 * 1024
    """Most memory of a process that reads them."""
    max_parse_waiting_calls: int = 64
    """Most calls whose files wait for it; those of one caller may be half of them."""


def check_query(field: str, text: str, limits: GatewayLimits) -> None:
    """Refuse a query or question that is blank or too long.

    Args:
        field: Its name in the request, `query` or `question`.
        text: The query.
        limits: What is allowed.

    Raises:
        InvalidField: It is blank (EMPTY_QUERY), or cannot be written in UTF-8.
        TooLarge: It is too long (QUERY_TOO_LONG).
    """
    if len(text) > limits.max_query_characters:
        raise TooLarge(
            f"The {field} has {len(text)} characters; at most {limits.max_query_characters} are allowed.",
            reason="QUERY_TOO_LONG",
            field=field,
        )
    check_unicode(field, text)
    if is_blank(text):
        raise InvalidField(field, f"The {field} is blank.", reason="EMPTY_QUERY")


def check_queries(count: int, limits: GatewayLimits) -> None:
    """Refuse too many further queries.

    Raises:
        TooLarge: There are.
    """
    if count > limits.max_queries:
        raise TooLarge(f"There are {count} queries; at most {limits.max_queries} are allowed.", field="queries")


def is_blank(text: str) -> bool:
    """Whether a text has nothing but spaces and characters that nobody sees."""
    return all(unicodedata.category(character) in _UNSEEN for character in text)


def check_top_n(top_n: int, limits: GatewayLimits) -> None:
    """Refuse a number of passages that is out of range.

    Raises:
        InvalidField: It is.
    """
    _check_range("top_n", top_n, limits.max_top_n)


def check_candidates(candidates: int, limits: GatewayLimits) -> None:
    """Refuse a number of candidates that is out of range.

    Raises:
        InvalidField: It is.
    """
    _check_range("candidates", candidates, limits.max_candidates)


def check_page_size(page_size: int, limits: GatewayLimits) -> None:
    """Refuse a page size that is out of range.

    Raises:
        InvalidField: It is.
    """
    _check_range("page_size", page_size, limits.max_page_size)


def check_document_count(count: int, max_documents: int) -> None:
    """Refuse a call with too many documents.

    Raises:
        TooLarge: There are (TOO_MANY_DOCUMENTS).
    """
    if count > max_documents:
        raise TooLarge(
            f"The call has more than {max_documents} documents. Send them in several calls.",
            reason="TOO_MANY_DOCUMENTS",
            field="documents",
        )


def check_document_id(document_id: str, limits: GatewayLimits) -> None:
    """Refuse a document id that is empty, too long, or has control characters. Anything else is fine.

    Raises:
        InvalidField: It is not a possible id.
    """
    _check_line("id", document_id, limits.max_id_characters)
    if not document_id:
        raise InvalidField("id", "The document id is empty.")


def check_title(title: str, limits: GatewayLimits) -> None:
    """Refuse a title that is too long or has control characters.

    Raises:
        InvalidField: It is.
    """
    _check_line("title", title, limits.max_title_characters)


def check_uri(uri: str, limits: GatewayLimits) -> None:
    """Refuse a uri that is too long or has control characters.

    Raises:
        InvalidField: It is.
    """
    _check_line("uri", uri, limits.max_uri_characters)


def check_unicode(field: str, text: str) -> None:
    """Refuse half of a surrogate pair, which JSON can say and UTF-8 cannot.

    Raises:
        InvalidField: There is one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidField(
            field, f"{field} has half of a surrogate pair at character {error.start}, which is no text."
        ) from None


def _check_range(field: str, value: int, maximum: int) -> None:
    if not 1 <= value <= maximum:
        raise InvalidField(field, f"{field} is {value}; it must lie between 1 and {maximum}.")


def _check_line(field: str, text: str, maximum: int) -> None:
    if len(text) > maximum:
        raise InvalidField(field, f"The {field} has {len(text)} characters; at most {maximum} are allowed.")
    check_unicode(field, text)
    wrong = next((character for character in text if unicodedata.category(character) in ("Cc", "Zl", "Zp")), None)
    if wrong is not None:
        raise InvalidField(field, f"The {field} has a control character, U+{ord(wrong):04X}, which it must not have.")
