"""Token embeddings to what the caller wants, text by text.

Each text's tokens are handled alone, without the padding of its batch, so that no result depends on its batch-mates.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.description import ModelDescription
from trivium_encoders.errors import ModelDamaged, ModelUnsupported
from trivium_encoders.head_files import DenseLayer
from trivium_encoders.torch_files import read_state
from trivium_encoders.weights import read_tensors

_LINEAR = frozenset({"linear.weight", "linear.bias", "residual.weight"})

LEAST_NORM = 1e-12
"""Rows that are shorter stay as they are."""

Vectors = NDArray[np.float32]


class Head(Protocol):
    """What follows the transformer."""

    @property
    def dimension(self) -> int:
        """Numbers in a row of its results."""
        ...

    def __call__(self, outputs: Sequence[Vectors], prompt_tokens: Sequence[int]) -> list[Vectors]:
        """Turns the transformer's output for some texts into their results.

        Args:
            outputs: For each text `[tokens, hidden]`, padding left out, or `[labels]` of a classification head. They
                are views that do not outlive the call.
            prompt_tokens: For each text, how many of its first tokens (the prompt's) the pooling leaves out.
        """
        ...


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer with its activation, and perhaps its input added to what it gives."""

    weight: Vectors
    bias: Vectors | None
    activation: str
    residual: bool = False
    residual_weight: Vectors | None = None

    def __call__(self, rows: Vectors) -> Vectors:
        result: Vectors = rows @ self.weight.T
        if self.bias is not None:
            result += self.bias
        result = _ACTIVATIONS[self.activation](result)
        if self.residual:
            result = result + (rows if self.residual_weight is None else rows @ self.residual_weight.T)
        return result


class TextHead:
    """Pooling, linear layers and normalisation: one vector per text."""

    def __init__(self, model: ModelDescription) -> None:
        self.modes = model.pooling
        self.layers = [_read_linear(layer) for layer in model.dense]
        self.normalized = model.normalized
        pooled = model.hidden_size * len(self.modes)
        self._dimension = int(self.layers[-1].weight.shape[0]) if self.layers else pooled

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return self._dimension

    def __call__(self, outputs: Sequence[Vectors], prompt_tokens: Sequence[int]) -> list[Vectors]:
        """One `[dimension]` vector per text."""
        rows = np.empty((len(outputs), outputs[0].shape[-1] * len(self.modes)), dtype=np.float32)
        modes = [_POOLINGS[mode] for mode in self.modes]
        for row, tokens, skipped in zip(rows, outputs, prompt_tokens, strict=True):
            parts = [mode(tokens, min(skipped, len(tokens) - 1)) for mode in modes]
            row[:] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        for layer in self.layers:
            rows = layer(rows)
        return list(unit_rows(rows) if self.normalized else rows)


class TokenHead:
    """The layers of a model that was trained for late interaction, and normalisation: one unit vector per token."""

    def __init__(self, model: ModelDescription) -> None:
        # What follows the pooling of a sentence embedding model is for its texts, and not for their tokens.
        self._layers = [_read_linear(layer) for layer in model.dense] if model.late else own_token_layers(model)
        self._dimension = int(self._layers[-1].weight.shape[0]) if self._layers else model.hidden_size

    @property
    def dimension(self) -> int:
        """Numbers per vector."""
        return self._dimension

    def __call__(self, outputs: Sequence[Vectors], prompt_tokens: Sequence[int]) -> list[Vectors]:
        """One `[tokens, dimension]` matrix per text."""
        return [unit_rows(self._projected(tokens)) for tokens in outputs]

    def _projected(self, tokens: Vectors) -> Vectors:
        for layer in self._layers:
            tokens = layer(tokens)
        return tokens


class ScoreHead:
    """Logits to one score in [0, 1].

    One label: the logistic function, whatever activation the model's config names, because models that were trained
    for ranking name none and rank by logits. Two labels: the probability of the second. A model for natural language
    inference: the probability that the second text follows from the first.
    """

    def __init__(self, model: ModelDescription) -> None:
        self._entailment = model.entailment_label
        if self._entailment is None and model.label_count not in (1, 2):
            raise ModelUnsupported(
                f"model {model.name} has {model.label_count} labels: it classifies, it does not rank; choose another"
            )

    @property
    def dimension(self) -> int:
        """One score."""
        return 1

    def __call__(self, outputs: Sequence[Vectors], prompt_tokens: Sequence[int]) -> list[Vectors]:
        """One `[1]` score per pair."""
        logits = np.stack(outputs).astype(np.float64)
        if self._entailment is not None:
            chances = np.exp(logits - logits.max(axis=1, keepdims=True))
            of_one = chances[:, self._entailment] / chances.sum(axis=1)
            return list(of_one.astype(np.float32)[:, np.newaxis])
        margin = logits[:, -1:] if logits.shape[1] == 1 else logits[:, 1:] - logits[:, :1]
        # Written with tanh, which does not overflow.
        return list((0.5 * (1.0 + np.tanh(0.5 * margin))).astype(np.float32))


def unit_rows(rows: Vectors) -> Vectors:
    """The rows brought to unit length, in new memory; a row of zeros stays."""
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    result: Vectors = rows / np.maximum(norms, LEAST_NORM)
    return result


def _weighted_mean(tokens: Vectors, skipped: int) -> Vectors:
    weights = np.arange(skipped + 1, len(tokens) + 1, dtype=np.float32)
    result: Vectors = weights @ tokens[skipped:] / weights.sum()
    return result


_POOLINGS: dict[str, Callable[[Vectors, int], Vectors]] = {
    "cls": lambda tokens, skipped: tokens[skipped],
    "max": lambda tokens, skipped: tokens[skipped:].max(axis=0),
    "mean": lambda tokens, skipped: tokens[skipped:].mean(axis=0),
    "mean_sqrt_len_tokens": lambda tokens, skipped: tokens[skipped:].sum(axis=0) / (len(tokens) - skipped) ** 0.5,
    "weightedmean": _weighted_mean,
    "lasttoken": lambda tokens, skipped: tokens[-1],
}


def _gelu(values: Vectors) -> Vectors:
    """x times the normal distribution at x, which is computed to 1e-7 (Abramowitz and Stegun, 1964, 7.1.26)."""
    scaled: Vectors = np.abs(values) * np.float32(0.5**0.5)
    step = 1 / (1 + np.float32(0.3275911) * scaled)
    series = np.zeros_like(scaled)
    for factor in (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = step * (np.float32(factor) + series)
    error = np.sign(values) * (1 - series * np.exp(-scaled * scaled))
    result: Vectors = values * (1 + error) / 2
    return result


def _silu(values: Vectors) -> Vectors:
    # Written with tanh, which does not overflow.
    result: Vectors = values * (1 + np.tanh(values / 2)) / 2
    return result


_ACTIVATIONS: dict[str, Callable[[Vectors], Vectors]] = {
    "identity": lambda values: values,
    "tanh": np.tanh,
    "gelu": _gelu,
    "relu": lambda values: np.maximum(values, 0),
    "silu": _silu,
}


def own_token_layers(model: ModelDescription) -> list[Linear]:
    """The layer that makes an embedding model's own token vectors, as a list; empty for a model without one."""
    return [read_layer_beside(model.token_linear)] if model.token_linear else []


def read_layer_beside(path: Path) -> Linear:
    """A linear layer in a file of torch's own format, `[outputs, hidden]`.

    Raises:
        ModelDamaged: It cannot be read.
    """
    try:
        state = read_state(path)
        weight, bias = state["weight"], state["bias"]
    except (OSError, KeyError, ValueError) as error:
        raise ModelDamaged(f"the linear layer {path} cannot be read ({error!r}); fetch the model again") from error
    return Linear(weight, bias, "identity")


def _read_linear(layer: DenseLayer) -> Linear:
    try:
        tensors = read_tensors(layer.folder / "model.safetensors", _LINEAR)
        weight = tensors["linear.weight"]
    except (OSError, KeyError, ValueError) as error:
        raise ModelDamaged(
            f"the linear layer in {layer.folder} cannot be read ({error!r}); fetch the model again"
        ) from error
    widens = layer.residual and weight.shape[0] != weight.shape[1]
    if widens and "residual.weight" not in tensors:
        raise ModelDamaged(f"the linear layer in {layer.folder} lacks residual.weight; fetch the model again")
    return Linear(
        weight,
        tensors.get("linear.bias"),
        layer.activation,
        layer.residual,
        tensors["residual.weight"] if widens else None,
    )
