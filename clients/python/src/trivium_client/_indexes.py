"""The indexes of collections, and how they are made anew."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

IndexRole: TypeAlias = Literal["next", "previous", "left"]
"""What the index beside the one that answers is there for: `next` is filled, to take the other's place; `previous`
answered before, and can again; `left` was gone back from, and what it alone has is brought back."""


@dataclass(frozen=True, slots=True)
class IndexBeside:
    """The index of a collection beside the one that answers.

    Attributes:
        role: What it is there for.
        model: The embedding model whose vectors it holds.
        model_fingerprint: That model's fingerprint.
    """

    role: IndexRole
    model: str
    model_fingerprint: str


@dataclass(frozen=True, slots=True)
class IndexComparison:
    """How two indexes of a collection answer the same questions, by nDCG@10 of the documents that answer them.

    Attributes:
        model_before: The embedding model of the index before.
        model_after: That of the new one.
        made_count: Questions that were made of the collection's own documents.
        labelled_count: Questions whose documents people have named in feedback.
        before: The mean of the index before.
        after: The mean of the new one.
        low: The lower end of the 95% interval of the difference.
        high: The upper end; below 0 the new one finds less by more than chance.
        failed_count: Documents that the new index cannot take.
        failed: Some of them, each with the reason.
    """

    model_before: str
    model_after: str
    made_count: int
    labelled_count: int
    before: float
    after: float
    low: float
    high: float
    failed_count: int = 0
    failed: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReindexProgress:
    """How far a collection is that is made anew from its stored text.

    Attributes:
        done: Whether it is searched by its new index.
        done_count: How many of its pieces are there, roughly.
        total_count: How many it has, roughly.
        held: Whether the new index is there and does not answer, because it finds less than the one before.
        same_model: Whether the model makes the vectors that the collection has, so that there was nothing to do.
        comparison: How its index and the one before answer the same questions; None if they were not compared.
    """

    done: bool
    done_count: int
    total_count: int
    held: bool = False
    same_model: bool = False
    comparison: IndexComparison | None = None


@dataclass(frozen=True, slots=True)
class ReindexEstimate:
    """What it would take to give a collection another embedding model.

    Attributes:
        model: The model.
        piece_count: Pieces of documents, as they are cut now.
        seconds: How long the model takes for them, at the rate of some that were just embedded.
        bytes: What the second index takes of the disk, about, and of memory to have all of it there.
        same_model: Whether the model makes the vectors that the collection has, so that there is nothing to do.
        token_count: How many tokens the model reads for them, about; 0 from a gateway that does not say.
    """

    model: str
    piece_count: int
    seconds: float
    bytes: int
    same_model: bool
    token_count: int = 0
