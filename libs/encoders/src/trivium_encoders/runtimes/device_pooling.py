"""Pooling, linear layers and normalisation where the transformer's output is, so that only vectors travel back."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from trivium_encoders.pooling import LEAST_NORM, TextHead


class DevicePooling:
    """What `TextHead` does, in torch.

    Args:
        head: The head.
        device: Where the transformer's output is.
    """

    def __init__(self, head: TextHead, device: str) -> None:
        self._modes = [_POOLINGS[mode] for mode in head.modes]
        self._normalized = head.normalized
        self._device = device
        self._layers = [
            (
                torch.from_numpy(layer.weight).to(device),
                None if layer.bias is None else torch.from_numpy(layer.bias).to(device),
                layer.activation,
            )
            for layer in head.layers
        ]

    def __call__(
        self, tokens: torch.Tensor, lengths: Sequence[int], prompt_tokens: Sequence[int]
    ) -> list[NDArray[np.float32]]:
        """One vector per text.

        Args:
            tokens: `[all tokens, hidden]`, the texts end to end without padding.
            lengths: Tokens of each text.
            prompt_tokens: How many of its first tokens the pooling leaves out.
        """
        texts = _Texts(tokens.float(), lengths, prompt_tokens, self._device)
        parts = [mode(texts) for mode in self._modes]
        rows = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        for weight, bias, activation in self._layers:
            rows = torch.nn.functional.linear(rows, weight, bias)
            rows = torch.tanh(rows) if activation == "tanh" else rows
        if self._normalized:
            rows = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(LEAST_NORM)
        return list(rows.cpu().numpy())


class _Texts:
    """Token embeddings of some texts, and where each begins to count."""

    def __init__(self, tokens: torch.Tensor, lengths: Sequence[int], skipped: Sequence[int], device: str) -> None:
        self.tokens = tokens
        self.lengths = torch.tensor(lengths, device=device)
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.skipped = torch.minimum(torch.tensor(skipped, device=device), self.lengths - 1)
        places = torch.arange(len(tokens), device=device)
        self.positions = places - self.starts.repeat_interleave(self.lengths)
        self.counts = self.positions >= self.skipped.repeat_interleave(self.lengths)

    def sums(self, weights: torch.Tensor) -> torch.Tensor:
        """`[texts, hidden]`: the weighted sums of each text's tokens, added in their order."""
        return self._reduced(self.tokens * weights[:, None], "sum")

    def total(self, weights: torch.Tensor) -> torch.Tensor:
        """`[texts, 1]`: the sums of weights."""
        return self._reduced(weights[:, None], "sum")

    def largest(self) -> torch.Tensor:
        """`[texts, hidden]`: the largest of each number over the tokens that count."""
        return self._reduced(self.tokens.masked_fill(~self.counts[:, None], float("-inf")), "max")

    def _reduced(self, values: torch.Tensor, how: str) -> torch.Tensor:
        return torch.segment_reduce(values, how, lengths=self.lengths, axis=0)


def _mean(texts: _Texts) -> torch.Tensor:
    weights = texts.counts.float()
    return texts.sums(weights) / texts.total(weights)


def _mean_sqrt(texts: _Texts) -> torch.Tensor:
    weights = texts.counts.float()
    return texts.sums(weights) / texts.total(weights).sqrt()


def _weighted_mean(texts: _Texts) -> torch.Tensor:
    weights = texts.counts * (texts.positions + 1.0)
    return texts.sums(weights) / texts.total(weights)


_POOLINGS: dict[str, Callable[[_Texts], torch.Tensor]] = {
    "cls": lambda texts: texts.tokens[texts.starts + texts.skipped],
    "max": _Texts.largest,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": lambda texts: texts.tokens[texts.starts + texts.lengths - 1],
}
