"""Texts laid end to end in one row, so that a GPU computes no padding.

transformers hands the bounds of the texts down to a function for attention that this module registers: torch's own
kernel for texts of different lengths on a GPU (no flash-attn package is needed), one text after the other on a CPU,
which is the reference for tests. Not every architecture passes the bounds on or takes positions from outside, so a
module is packed only after `packs_faithfully` has compared it with its padded self. Written without a GPU at hand: on
CPUs it is tested, the GPU's kernel has never run here.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AttentionInterface

ATTENTION = "trivium_packed"

_ROBERTA = ("roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "data2vec-text")
_LEAST_COSINE = 0.999
_PROBE_LENGTHS = (7, 190, 33)  # one longer than ModernBERT's window of 128


def first_position(config: Any) -> int:
    """The position of a text's first token: RoBERTa and its kin count from after the padding token's id."""
    return int(config.pad_token_id) + 1 if config.model_type in _ROBERTA else 0


def packed_output(module: Any, rows: Sequence[np.ndarray[Any, Any]], device: str) -> list[torch.Tensor]:
    """Token embeddings `[tokens, hidden]` of each text.

    Args:
        module: A transformer whose attention is `ATTENTION`.
        rows: Token ids of each text.
        device: Where the module is.
    """
    lengths = [len(row) for row in rows]
    start = first_position(module.config)
    ids = np.concatenate(rows).astype(np.int64)
    positions = np.concatenate([np.arange(start, start + length) for length in lengths])
    bounds = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)).to(device)
    longest = max(lengths)
    output = module(
        input_ids=on_device(ids[None], device),
        position_ids=on_device(positions[None], device),
        cu_seq_lens_q=bounds,
        cu_seq_lens_k=bounds,
        max_length_q=longest,
        max_length_k=longest,
    ).last_hidden_state[0]
    return list(output.split(lengths))


def packs_faithfully(module: Any, device: str) -> bool:
    """Whether a transformer computes the same packed as padded; leaves it with `ATTENTION` if so, else as it was."""
    before = module.config._attn_implementation
    config = module.config
    room = int(getattr(config, "max_position_embeddings", 0) or 512) - first_position(config)
    choice = np.random.default_rng(1)
    rows = [choice.integers(0, config.vocab_size, size=min(length, room)) for length in _PROBE_LENGTHS]
    if config.pad_token_id is not None:  # inside a text RoBERTa would count no position for it
        rows = [
            np.where(row == config.pad_token_id, (config.pad_token_id + 1) % config.vocab_size, row) for row in rows
        ]
    try:
        with torch.inference_mode():
            expected = [module(input_ids=on_device(row[None], device)).last_hidden_state[0] for row in rows]
            module.set_attn_implementation(ATTENTION)
            found = packed_output(module, rows, device)
        pairs = zip(expected, found, strict=True)
        least = min(float(functional.cosine_similarity(one.float(), other.float()).min()) for one, other in pairs)
        faithful = least >= _LEAST_COSINE
    except (RuntimeError, ValueError, TypeError, AttributeError, NotImplementedError, IndexError, ImportError):
        faithful = False
    if not faithful:
        module.set_attn_implementation(before)
    return faithful


def on_device(array: np.ndarray[Any, Any], device: str) -> torch.Tensor:
    """A copy on the device; to a GPU through pinned memory, so that the copy does not wait for earlier work."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device == "cuda" else tensor.to(device)


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention within each text of a row; `[1, heads, tokens, width]` to `[1, tokens, heads, width]`."""
    if cu_seq_lens_q is None or max_length_q is None or softcap is not None or s_aux is not None:
        raise NotImplementedError(
            "this architecture does not pass on what packing needs, or has more than plain attention"
        )
    causal = bool(getattr(module, "is_causal", False)) if is_causal is None else is_causal
    if query.is_cuda:
        from torch.nn.attention.varlen import varlen_attn

        reach = -1 if sliding_window is None else sliding_window - 1
        rows = [part[0].transpose(0, 1).contiguous() for part in (query, key, value)]
        output: Any = varlen_attn(
            rows[0],
            rows[1],
            rows[2],
            cu_seq_lens_q,
            cu_seq_lens_q,
            max_length_q,
            max_length_q,
            scale=scaling,
            window_size=(reach, 0 if causal else reach),
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return output[None], None
    bounds = cu_seq_lens_q.tolist()
    outputs = [
        functional.scaled_dot_product_attention(
            query[:, :, start:end],
            key[:, :, start:end],
            value[:, :, start:end],
            attn_mask=_within_reach(end - start, sliding_window, causal=causal),
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        for start, end in pairwise(bounds)
    ]
    return torch.cat(outputs, dim=2).transpose(1, 2), None


def _within_reach(length: int, sliding_window: int | None, *, causal: bool) -> torch.Tensor | None:
    """Which tokens see which, `[length, length]`; None if all see all."""
    if sliding_window is None and not causal:
        return None
    distance = torch.arange(length)[:, None] - torch.arange(length)[None]
    seen = torch.ones_like(distance, dtype=torch.bool) if sliding_window is None else distance.abs() < sliding_window
    return seen & (distance >= 0) if causal else seen


AttentionInterface.register(ATTENTION, _attention)
