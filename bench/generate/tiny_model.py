"""Writes a tiny but real Llama: two layers of hidden size 128 with two heads, a tokenizer of its own, random weights.

It recites one text for ever: the layers compute what they always do, and the output matrix knows which token follows
which. So every answer has exactly the length that was asked for, is text that a person can read, and holds citations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import transformers
from tokenizers import ByteLevelBPETokenizer

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = 4096
_VOCABULARY = 4096
_HIDDEN = 128
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


def write(folder: Path, corpus: Path) -> None:
    """Writes model and tokenizer into a folder.

    Args:
        folder: Where to.
        corpus: A folder of texts in Markdown, which the tokenizer learns its words from.
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
    _model(tokenizer).save_pretrained(folder)


def _model(tokenizer: transformers.PreTrainedTokenizerFast) -> transformers.LlamaForCausalLM:
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=_HIDDEN,
        intermediate_size=2 * _HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(config)
    tokens = tokenizer.convert_tokens_to_ids(list(_RECITED))
    start = tokenizer.convert_tokens_to_ids("<|assistant|>")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings = torch.nn.functional.normalize(torch.randn(len(tokenizer), _HIDDEN))
        model.model.embed_tokens.weight.copy_(embeddings)
        model.lm_head.weight.zero_()
        for before, after in zip([start, *tokens], [*tokens, tokens[0]], strict=True):
            model.lm_head.weight[after] += 4 * embeddings[before]
    return model.bfloat16()
