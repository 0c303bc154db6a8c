"""Writes a tiny but real Llama, or a large one: a tokenizer of its own, random weights.

It recites one text for ever: the layers compute what they always do, and the output matrix knows which token follows
which. So every answer has exactly the length that was asked for, is text that a person can read, and holds citations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import transformers
from tokenizers import ByteLevelBPETokenizer

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = 4096
_VOCABULARY = 4096
_SPECIAL = ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>")
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# Each is one token, and occurs once: a token knows what follows it, and nothing else.
_RECITED = (
    " The", " question", " is", " embedded", " and", " passages", " are", " found", " by", " vectors", " or", " words",
    " [", "1", "]", ".", " Then", " a", " second", " model", " reads", " both", " together", ",", " sorts", " what",
    " came", " first", " 【", "2", "】", ";", " nothing", " leaves", " before", " it", " was", " checked", "!",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """What a Llama's layers measure."""

    layers: int
    hidden: int
    heads: int
    intermediate: int


TINY = Shape(2, 128, 2, 256)
LLAMA_7B = Shape(32, 4096, 32, 11_008)
"""meta-llama/Llama-2-7b's, but for the vocabulary."""


def write(folder: Path, corpus: Path, shape: Shape = TINY, device: str = "cpu") -> None:
    """Writes model and tokenizer into a folder.

    Args:
        folder: Where to.
        corpus: A folder of texts in Markdown, which the tokenizer learns its words from.
        shape: What the layers measure.
        device: Where the weights are made, for torch.
    """
    trained = ByteLevelBPETokenizer()
    texts = [path.read_text(encoding="utf-8") for path in sorted(corpus.glob("*.md"))]
    trained.train_from_iterator(texts, vocab_size=_VOCABULARY, special_tokens=list(_SPECIAL), show_progress=False)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, eos_token="<|end|>", additional_special_tokens=list(_SPECIAL[1:])
    )
    tokenizer.chat_template = _CHAT_TEMPLATE
    tokenizer.add_tokens(list(_RECITED))
    tokenizer.save_pretrained(folder)
    _model(tokenizer, shape, device).save_pretrained(folder)


def _model(tokenizer: transformers.PreTrainedTokenizerFast, shape: Shape, device: str) -> transformers.LlamaForCausalLM:
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=CONTEXT,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = transformers.LlamaForCausalLM(config)
    tokens = tokenizer.convert_tokens_to_ids(list(_RECITED))
    start = tokenizer.convert_tokens_to_ids("<|assistant|>")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings = torch.nn.functional.normalize(torch.randn(len(tokenizer), shape.hidden, device=device))
        model.model.embed_tokens.weight.copy_(embeddings)
        model.lm_head.weight.zero_()
        for before, after in zip([start, *tokens], [*tokens, tokens[0]], strict=True):
            model.lm_head.weight[after] += 4 * embeddings[before]
    return model.bfloat16()
