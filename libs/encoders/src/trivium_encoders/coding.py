"""From a text's token vectors to its token codes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.punctuation import telling
from trivium_encoders.token_codes import CodeForm, encode
from trivium_encoders.tokenization import TokenIds


@dataclass(frozen=True, slots=True, eq=False)
class Coding:
    """How the tokens of one model's texts are packed."""

    form: CodeForm
    """Bits a number."""
    token_fingerprint: str
    """The model's (`EncoderInfo.token_fingerprint`)."""
    punctuation: NDArray[np.int32]
    """Ids of the tokens that are left out, unless a text has nothing else."""
    layer: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None
    """Makes token vectors of the transformer's output; None where that is them."""

    def code(self, token_ids: NDArray[np.int32], vectors: NDArray[np.float32]) -> bytes:
        """The code of a text, given its tokens without the special ones.

        Args:
            token_ids: `[tokens]`.
            vectors: `[tokens, dimension]`, rows of any length.
        """
        kept = telling(token_ids, self.punctuation)
        return encode(token_ids[kept], vectors[kept], form=self.form, token_fingerprint=self.token_fingerprint)

    def code_output(self, tokens: TokenIds, output: NDArray[np.float32]) -> bytes:
        """The code of a text, given its tokens as the model reads them and the transformer's output for them."""
        words = ~tokens.special
        vectors = output[words]
        return self.code(tokens.ids[words], self.layer(vectors) if self.layer else vectors)
