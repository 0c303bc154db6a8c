"""Models with the shapes of published ones and random weights: what they cost is the same, and nothing is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_VOCABULARY = 30_522


@dataclass(frozen=True, slots=True)
class Shape:
    """A BERT."""

    layers: int
    hidden: int
    heads: int
    max_tokens: int

    def flops(self, lengths: list[int]) -> float:
        """Operations of a forward pass over texts of these lengths, without padding: with weights, and attention."""
        weights = 12 * self.hidden**2 * self.layers  # 4 of attention, 8 of the two between hidden and 4 x hidden
        return sum(2 * weights * length + 4 * self.layers * self.hidden * length**2 for length in lengths)


MINILM = Shape(6, 384, 12, 256)
"""sentence-transformers/all-MiniLM-L6-v2"""
E5_LARGE = Shape(24, 1024, 16, 512)
"""intfloat/e5-large-v2, and BAAI/bge-reranker-large but for its vocabulary"""
TINY = Shape(2, 32, 2, 256)


def write_encoder(folder: Path, shape: Shape, corpus: Path) -> None:
    """Writes an embedding model as sentence-transformers saves one: mean pooling, normalised.

    Args:
        folder: Where to.
        shape: Its shape.
        corpus: A folder of texts in Markdown, which the tokenizer learns its words from.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, BertTokenizer

    trained = BertWordPieceTokenizer()
    texts = (path.read_text(encoding="utf-8") for path in sorted(corpus.glob("*.md")))
    trained.train_from_iterator(texts, vocab_size=_VOCABULARY, show_progress=False)
    bare = folder / "bare"
    bare.mkdir(parents=True)
    trained.save_model(str(bare))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=_VOCABULARY if shape is not TINY else trained.get_vocab_size(),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
    )
    BertModel(config).save_pretrained(bare)
    BertTokenizer(str(bare / "vocab.txt"), model_max_length=shape.max_tokens).save_pretrained(bare)
    modules = [Transformer(str(bare), max_seq_length=shape.max_tokens), Pooling(shape.hidden, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"))
