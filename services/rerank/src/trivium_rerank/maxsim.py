"""Late interaction: scores passages by how well each token of the query is met by some token of the passage."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TextTokens:
    """What is kept of a passage or a query."""

    token_ids: NDArray[np.int32]
    """`[tokens]`, ids in the model's vocabulary."""
    vectors: NDArray[np.float16 | np.float32]
    """`[tokens, dimension]`, rows of unit length. Of passages in half precision, which halves the memory and changes no
    score by more than 0.001."""
    token_count: int
    """Tokens that the model read, special tokens and punctuation included."""

    @property
    def nbytes(self) -> int:
        """Memory of the arrays, in bytes."""
        return self.token_ids.nbytes + self.vectors.nbytes


def score_passages(
    query_ids: NDArray[np.int32], query_vectors: NDArray[np.float32], passages: Sequence[TextTokens]
) -> NDArray[np.float32]:
    """Scores the passages of one call.

    For query tokens i with vectors q_i and passage tokens j with vectors p_j, all of unit length,

        s(q, p) = sum_i w_i max_j <q_i, p_j> / sum_i w_i        w_i = ln(1 + (n - n_i + 0.5) / (n_i + 0.5))

    where n_i of the n passages contain the very token i: MaxSim of ColBERT (Khattab and Zaharia, 2020,
    https://arxiv.org/abs/2004.12832), its sum weighted by the inverse document frequency of Robertson and Spärck Jones
    in the form that is never negative. A word that all candidates share says little about which is best, and the
    candidates of the call alone are enough to know it. The mean, a cosine, is mapped from [-1, 1] into [0, 1].

    Args:
        query_ids: `[query tokens]`, ids in the model's vocabulary.
        query_vectors: `[query tokens, dimension]`, rows of unit length.
        passages: The passages; at least one.

    Returns:
        `[passages]`, in [0, 1], in the order of the passages. A passage or a query without tokens scores 0.
    """
    scores = np.zeros(len(passages), dtype=np.float32)
    if len(query_ids) == 0:
        return scores
    weights = _rarity(query_ids, passages)
    weights /= weights.sum()
    for index, passage in enumerate(passages):
        if len(passage.token_ids) > 0:
            similarities = query_vectors @ passage.vectors.astype(np.float32).T
            scores[index] = (1 + similarities.max(axis=1) @ weights) / 2
    return np.clip(scores, 0, 1)


def _rarity(query_ids: NDArray[np.int32], passages: Sequence[TextTokens]) -> NDArray[np.float32]:
    """The weight of each query token, `[query tokens]`; all above 0."""
    containing = np.zeros(len(query_ids), dtype=np.float32)
    for passage in passages:
        containing += (query_ids[:, np.newaxis] == passage.token_ids).any(axis=1)
    return np.log1p((len(passages) - containing + 0.5) / (containing + 0.5))
