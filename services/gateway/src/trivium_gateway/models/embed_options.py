"""How texts of a caller are embedded."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from trivium.embed.v1 import embed_service_pb2 as pb

__all__ = ["EmbedOptions", "EmbedRole"]


class EmbedRole(StrEnum):
    """What a text is for."""

    QUERY = "query"
    DOCUMENT = "document"


_ROLES = {EmbedRole.QUERY: pb.EMBED_ROLE_QUERY, EmbedRole.DOCUMENT: pb.EMBED_ROLE_DOCUMENT}


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """How to embed texts.

    Attributes:
        role: What they are for.
        dimension: Numbers per vector; None for as many as the model has.
        truncate: Whether to cut a text that is longer than the model reads, instead of refusing it.
        sparse: Whether to give learned sparse vectors as well.
    """

    role: EmbedRole = EmbedRole.DOCUMENT
    dimension: int | None = None
    truncate: bool = False
    sparse: bool = False

    def request(self, texts: Sequence[str]) -> pb.EmbedRequest:
        """Make the request for some texts."""
        return pb.EmbedRequest(
            texts=texts,
            role=_ROLES[self.role],
            truncate=self.truncate,
            dimension=self.dimension or 0,
            sparse=self.sparse,
        )
