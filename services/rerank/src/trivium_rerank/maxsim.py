"""Late interaction: scores passages by how well each token of the query is met by some token of the passage."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from trivium_encoders import TokenCodes, TokenMatrix, best_matches


def matches(query: TokenMatrix, passages: Sequence[TokenCodes]) -> NDArray[np.float32]:
    """How near each token of the query comes to some token of each passage: cosines, `[passages, query tokens]`."""
    if len(query.token_ids) == 0 or not passages:
        return np.zeros((len(passages), 0), dtype=np.float32)
    found: NDArray[np.float32] = best_matches(query.vectors, passages)
    return found


def score_passages(
    query: TokenMatrix,
    passages: Sequence[TokenCodes],
    cosines: NDArray[np.float32] | None = None,
    *,
    by_rarity: bool = True,
) -> NDArray[np.float32]:
    """Scores the passages of one call.

    For query tokens i with vectors q_i and passage tokens j with vectors p_j, all of unit length,

        s(q, p) = sum_i w_i max_j <q_i, p_j> / sum_i w_i        w_i = ln(1 + (n - n_i + 0.5) / (n_i + 0.5))

    where n_i of the n passages contain the very token i: MaxSim of ColBERT (Khattab and Zaharia, 2020,
    https://arxiv.org/abs/2004.12832), its sum weighted by the inverse document frequency of Robertson and Spärck Jones
    in the form that is never negative. A word that all candidates share says little about which is best, and the
    candidates of the call alone are enough to know it. A model that was trained for the plain sum has weights of its
    own in its vectors, and all w_i are 1. The mean, a cosine, is mapped from [-1, 1] into [0, 1].

    Args:
        query: Its tokens.
        passages: Codes of the query's dimension.
        cosines: What `matches` gives for them, if that is known already.
        by_rarity: Whether rare tokens weigh more.

    Returns:
        `[passages]`, in [0, 1], in the order of the passages. A passage or a query without tokens scores 0.
    """
    if len(query.token_ids) == 0 or not passages:
        return np.zeros(len(passages), dtype=np.float32)
    found = matches(query, passages) if cosines is None else cosines
    weights = rarity(query.token_ids, passages) if by_rarity else np.ones(len(query.token_ids), np.float32)
    means: NDArray[np.float32] = found @ (weights / weights.sum())
    return np.clip((1 + means) / 2, 0, 1)


def mean_matches(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each passage's row of `matches`, which compares between queries; 0 without tokens."""
    return cosines.mean(axis=1) if cosines.shape[1] else np.zeros(len(cosines), np.float32)


def rarity(query_ids: NDArray[np.int32], passages: Sequence[TokenCodes]) -> NDArray[np.float32]:
    """The weight of each query token, `[query tokens]`; all above 0.

    Of one passage alone nothing is rare, and all weigh alike.
    """
    if len(passages) == 1:
        return np.ones(len(query_ids), np.float32)
    filled = [passage.token_ids for passage in passages if len(passage.token_ids)]
    containing = np.zeros(len(query_ids), dtype=np.float32)
    if filled:
        starts = np.cumsum([0, *map(len, filled[:-1])])
        equal = query_ids[:, np.newaxis] == np.concatenate(filled)
        containing += np.logical_or.reduceat(equal, starts, axis=1).sum(axis=1)
    return np.log1p((len(passages) - containing + 0.5) / (containing + 0.5))
