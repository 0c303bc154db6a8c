"""What the service accepts."""

from collections.abc import Sequence
from dataclasses import dataclass

from trivium_model_service.texts import TextLimits, is_blank
from trivium_serving.errors import InvalidField


@dataclass(frozen=True, slots=True)
class Limits(TextLimits):
    """The limits of one call."""

    max_codes_bytes: int = 48 << 20
    """Most bytes of the token codes and sparse vectors of an answer: with the vectors they stay under what a message
    may have."""

    def check(self, texts: Sequence[str]) -> None:
        """Accepts the texts of a call, or says which limit they break.

        Raises:
            InvalidField, TooLarge: As `check_texts`.
        """
        self.check_texts(texts, noun="text", advice="Send them in several calls.")


def refuse_blank(texts: Sequence[str]) -> None:
    """Refuses texts that have nothing to embed: empty ones, and those of whitespace and control characters alone.

    Raises:
        InvalidField: One is blank (BLANK_TEXT).
    """
    for index, text in enumerate(texts):
        if is_blank(text):
            raise InvalidField(
                f"texts[{index}]", f"texts[{index}] is blank; leave it out of the call.", reason="BLANK_TEXT"
            )
