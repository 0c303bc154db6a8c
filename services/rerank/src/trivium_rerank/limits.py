"""What the service accepts."""

from collections.abc import Sequence
from dataclasses import dataclass

from trivium_model_service.texts import TextLimits, is_blank
from trivium_serving.errors import InvalidField, TooLarge


@dataclass(frozen=True, slots=True)
class Limits(TextLimits):
    """The limits of one call."""

    max_query_characters: int
    """Longest query, in characters (code points)."""

    def check(self, query: str, texts: Sequence[str]) -> None:
        """Accepts a call, or says which limit it breaks.

        Raises:
            InvalidField: The query is blank (BLANK_QUERY), or there are no passages (NO_TEXTS).
            TooLarge: The query is too long (QUERY_TOO_LONG), or as of `check_texts`.
        """
        if is_blank(query):
            raise InvalidField("query", "query is blank; ask something.", reason="BLANK_QUERY")
        if len(query) > self.max_query_characters:
            raise TooLarge(
                f"query has {len(query)} characters, and a query has at most {self.max_query_characters}. Shorten it.",
                reason="QUERY_TOO_LONG",
                field="query",
            )
        self.check_texts(texts, noun="passage", advice="Send the best candidates only.", query=query)
