"""Which tokens say nothing in late interaction."""

import string

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.tokenization import TextTokenizer, TokenIds

_PUNCTUATION = string.punctuation + "，。？！；：、（）《》〈〉「」『』【】“”‘’…—–·¿¡«»"
# In no vocabulary, so that it shows what an unknown character becomes.
_UNKNOWN = "\U00013000"


def punctuation_ids(tokenizer: TextTokenizer) -> NDArray[np.int32]:
    """The tokens that stand for a punctuation mark, sorted; found by putting each mark after a letter."""
    texts = ["a", f"a{_UNKNOWN}", *(f"a{mark}" for mark in _PUNCTUATION)]
    plain, unknown, *marked = map(_words, tokenizer.encode(texts, prompt="", truncate=False))
    found = {int(ids[-1]) for ids in marked if len(ids) == len(plain) + 1} - set(unknown.tolist())
    return np.array(sorted(found), dtype=np.int32)


def telling(token_ids: NDArray[np.int32], punctuation: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which tokens of a text take part: all but punctuation, or all if there is nothing else."""
    words = np.isin(token_ids, punctuation, invert=True)
    return words if words.any() else np.ones(len(token_ids), dtype=np.bool_)


def _words(tokens: TokenIds) -> NDArray[np.int32]:
    return tokens.ids[~tokens.special]
