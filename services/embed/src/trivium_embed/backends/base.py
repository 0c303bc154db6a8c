"""What a backend has to do."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import CodeForm, Encoded, EncoderInfo, PartedText, Priority, Role


class EmbeddingBackend(Protocol):
    """Computes vectors with one model. Loaded and warm from the moment it exists."""

    @property
    def name(self) -> str:
        """The backend's name, as the settings know it."""

    @property
    def info(self) -> EncoderInfo:
        """The model's description."""

    @property
    def overhead_tokens(self) -> int:
        """Tokens that the model adds to every document: special tokens and the document prompt."""

    @property
    def healthy(self) -> bool:
        """Whether it can compute now."""

    async def embed(
        self,
        texts: Sequence[str],
        *,
        role: Role,
        truncate: bool,
        priority: Priority,
        deadline: float | None,
        codes: CodeForm | None = None,
        sparse: bool = False,
    ) -> Encoded:
        """Embeds texts. Cancelling the awaiting task takes the work out of the queue.

        Args:
            texts: The texts, none of them blank.
            role: What they are for.
            truncate: Cut a text that is longer than the model reads, instead of refusing the call.
            priority: Which waiting work goes first.
            deadline: When to give up, on the event loop's clock in seconds; None for never.
            codes: In which form to give the vectors of the texts' tokens as well, by a model that has a
                `token_fingerprint`; None for none.
            sparse: Whether to give learned sparse vectors as well, by a model that has a `sparse_fingerprint`.

        Raises:
            TooLarge: A text is longer than the model reads (TEXT_TOO_LONG); the field names it.
            DeadlineExceeded: The deadline passed while the texts waited.
            Unavailable: What computes broke down, and is being replaced.
        """

    def fingerprint_of(self, dimension: int) -> str:
        """Identity of the model's vectors when they are cut to so many numbers, fewer than its own."""

    async def tokenize(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Says where tokens start: per text ascending offsets in code points, special tokens and prompt left out."""

    async def read_shares(self, texts: Sequence[str]) -> list[float]:
        """Says what share of each text's letters the model can read, from 0 to 1; nothing if that cannot be known."""

    async def close(self) -> None:
        """Fails what waits, and frees everything."""


@runtime_checkable
class LateChunkingBackend(EmbeddingBackend, Protocol):
    """A backend that reads texts whole, and gives vectors of their parts where `info.pools_parts` says so."""

    async def embed_parts(
        self,
        texts: Sequence[PartedText],
        *,
        priority: Priority,
        deadline: float | None,
        codes: CodeForm | None = None,
    ) -> Encoded:
        """Embeds the parts of documents. Cancelling the awaiting task takes the work out of the queue.

        Args:
            texts: The documents, each with a part; no part blank.
            priority, deadline, codes: As for `embed`.

        Returns:
            The vectors of the parts of all texts, and their codes; and how many tokens were computed for each text.

        Raises:
            TooLarge: A part is longer than the model reads (TEXT_TOO_LONG); the field names its text.
            TriviumError: As for `embed`.
        """
