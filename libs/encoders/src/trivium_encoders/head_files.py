"""What follows a model's transformer, read from its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium_encoders.model_files import read_json

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
_ACTIVATIONS = {"torch.nn.modules.linear.Identity": "identity", "torch.nn.modules.activation.Tanh": "tanh"}
_TOKEN_ACTIVATIONS = _ACTIVATIONS | {
    "torch.nn.modules.activation.GELU": "gelu",
    "torch.nn.modules.activation.ReLU": "relu",
    "torch.nn.modules.activation.SiLU": "silu",
}


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """A linear layer after the pooling, or of each token."""

    folder: Path
    """Where its weights are."""
    activation: str
    """`identity`, `tanh`, and for tokens `gelu`, `relu` or `silu`."""
    residual: bool = False
    """Whether its input is added to its output, through a product of its own where the widths differ."""


@dataclass(frozen=True, slots=True)
class HeadFiles:
    """What follows the transformer."""

    pooling: tuple[str, ...] = ()
    """How token embeddings become one vector."""
    pools_prompt: bool = True
    """Whether the prompt's tokens count in the pooling."""
    dense: tuple[DenseLayer, ...] = ()
    """Linear layers, in order."""
    normalized: bool = False
    """Whether vectors are brought to unit length."""
    obstacle: str = ""
    """Why only the model's own modules can do it; empty when this description is enough."""


def pair_head(modules: Sequence[Mapping[str, str]]) -> HeadFiles:
    """What follows a cross-encoder's transformer: nothing, for its classification head is part of that."""
    return HeadFiles(obstacle="" if len(modules) < 2 else "it has modules after its classification head")


def text_head(folder: Path, modules: Sequence[Mapping[str, str]]) -> HeadFiles:
    """What follows the transformer of a sentence embedding model."""
    if not modules:
        return HeadFiles(("mean",))
    names = [module["type"] for module in modules]
    normalized = names[-1] == "Normalize"
    dense_count = len(names) - 2 - normalized
    if names != ["Transformer", "Pooling", *["Dense"] * dense_count, *["Normalize"] * normalized]:
        return HeadFiles(normalized=normalized, obstacle=f"its modules are {', '.join(names)}")
    pooling = read_json(folder / modules[1]["path"] / "config.json")
    modes = _pooling_modes(pooling)
    layers, obstacle = _layers(folder, modules, _of_texts)
    if unknown := [mode for mode in modes if mode not in POOLING_MODES]:
        obstacle = obstacle or f"its pooling is {', '.join(unknown)}"
    return HeadFiles(modes, bool(pooling.get("include_prompt", True)), layers, normalized, obstacle)


def token_head(folder: Path, modules: Sequence[Mapping[str, str]]) -> HeadFiles:
    """What follows the transformer of a model that was trained for late interaction.

    PyLate lists the linear layers alone, and ColBERT's own files no modules at all: its one layer lies in the file of
    the transformer.
    """
    if not modules:
        has_weights = (folder / "model.safetensors").is_file()
        own = (DenseLayer(folder, "identity"),) if has_weights else ()
        return HeadFiles(dense=own, normalized=True, obstacle="" if own else "its weights are no safetensors")
    names = [module["type"] for module in modules]
    dense = [name for name in names if name == "Dense"]
    rest = [name for name in names if name != "Dense"]
    mask, unit = "MultiVectorMask", "Normalize"
    known = (["Transformer"], ["Transformer", mask, unit], ["Transformer", unit, mask])
    layers, obstacle = _layers(folder, modules, _of_tokens)
    if names[1 : len(dense) + 1] != dense or rest not in known:
        obstacle = f"its modules are {', '.join(names)}"
    return HeadFiles(dense=layers, normalized=True, obstacle=obstacle)


def _layers(folder: Path, modules: Sequence[Mapping[str, str]], takes: "_Takes") -> tuple[tuple[DenseLayer, ...], str]:
    """The linear layers among some modules, and why they cannot be computed; empty if they can."""
    found = [_dense(folder / module["path"], takes) for module in modules if module["type"] == "Dense"]
    obstacle = "its linear layers have an unusual activation, input or residual connection" if None in found else ""
    return tuple(layer for layer in found if layer), obstacle


@dataclass(frozen=True, slots=True)
class _Takes:
    """What a linear layer may be."""

    source: str
    activations: Mapping[str, str]
    residual: bool


_of_texts = _Takes("sentence_embedding", _ACTIVATIONS, residual=False)
_of_tokens = _Takes("token_embeddings", _TOKEN_ACTIVATIONS, residual=True)


def _dense(folder: Path, takes: _Takes) -> DenseLayer | None:
    """A linear layer, or None for one that is more than is taken."""
    config = read_json(folder / "config.json")
    activation = takes.activations.get(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    residual = bool(config.get("use_residual"))
    source = config.get("module_input_name") or takes.source
    plain = source == takes.source and config.get("module_output_name") in (None, source)
    if not activation or not plain or (residual and not takes.residual):
        return None
    return DenseLayer(folder, activation, residual) if (folder / "model.safetensors").is_file() else None


def _pooling_modes(config: Mapping[str, Any]) -> tuple[str, ...]:
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return (mode,) if isinstance(mode, str) else tuple(mode)
    older = {"cls_token": "cls", "max_tokens": "max", "mean_tokens": "mean", "weightedmean_tokens": "weightedmean"}
    names = {f"pooling_mode_{key}": mode for key, mode in older.items()}
    names |= {f"pooling_mode_{mode}": mode for mode in ("mean_sqrt_len_tokens", "lasttoken")}
    modes = tuple(mode for mode in POOLING_MODES for key, name in names.items() if name == mode and config.get(key))
    return modes or ("mean",)
