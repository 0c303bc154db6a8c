"""Tiny learned sparse models of random weights, in the files of real ones."""

from pathlib import Path
from typing import Any, Literal

# The first four stand for the special tokens, which have the names and places of the architecture's.
WORDS = """
[PAD] [UNK] [CLS] [SEP] . , : ? ! a an the of and or in on cat dog bird sees hears chases sleeps query passage red green
blue small big one two three four five
""".split()  # noqa: SIM905
_BERTS = ("[CLS]", "[SEP]", "[PAD]", "[UNK]")

Kind = Literal["splade", "doc", "m3"]


def write_sparse_model(kind: Kind, folder: Path) -> Path:
    """Writes a model.

    Args:
        kind: `splade`, whose masked language model (BERT) reads queries and documents; `doc`, DistilBERT with a table
            for queries; or `m3`, an embedding model (XLM-RoBERTa) with the layers of BGE-M3 beside it.
        folder: Where; made.

    Returns:
        The model's folder.
    """
    import torch
    from sentence_transformers import SentenceTransformer, SparseEncoder
    from sentence_transformers.base.modules import Router, Transformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding, SpladePooling
    from transformers import AutoTokenizer

    bare, model = folder / "bare", folder / kind
    bare.mkdir(parents=True)
    torch.manual_seed(4)
    _transformer(kind).save_pretrained(bare)
    _tokenizer(kind).save_pretrained(bare)
    if kind == "m3":
        SentenceTransformer(modules=[Transformer(str(bare)), Pooling(32, "cls"), Normalize()]).save(str(model))
        torch.save(torch.nn.Linear(32, 1).half().state_dict(), model / "sparse_linear.pt")
        torch.save(torch.nn.Linear(32, 16).state_dict(), model / "colbert_linear.pt")
        return model
    masked = Transformer(str(bare), transformer_task="fill-mask", max_seq_length=24)
    if kind == "splade":
        SparseEncoder(modules=[masked, SpladePooling("max")]).save(str(model))
        return model
    tokenizer: Any = AutoTokenizer.from_pretrained(bare)
    table = SparseStaticEmbedding(tokenizer, torch.rand(len(WORDS)) * 5, frozen=True)
    pooling = SpladePooling("max", activation_function="log1p_relu")
    SparseEncoder(modules=[Router.for_query_document([table], [masked, pooling])]).save(str(model))
    return model


def _transformer(kind: Kind) -> Any:
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        DistilBertConfig,
        DistilBertForMaskedLM,
        XLMRobertaConfig,
        XLMRobertaModel,
    )

    both: dict[str, Any] = {
        "vocab_size": len(WORDS),
        "max_position_embeddings": 66,
        "initializer_range": 0.3,
        "tie_word_embeddings": False,
    }
    if kind == "doc":
        return DistilBertForMaskedLM(DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64, **both))
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    if kind == "splade":
        return BertForMaskedLM(BertConfig(**sizes, **both))
    special: dict[str, Any] = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1}
    return XLMRobertaModel(XLMRobertaConfig(**sizes, **special, **both))


def _tokenizer(kind: Kind) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    first, last, pad, unknown = ("<s>", "</s>", "<pad>", "<unk>") if kind == "m3" else _BERTS
    special = (first, pad, last, unknown) if kind == "m3" else (pad, unknown, first, last)
    vocabulary = {word: place for place, word in enumerate((*special, *WORDS[len(special) :]))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    used = [(first, vocabulary[first]), (last, vocabulary[last])]
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=used)
    made: Any = PreTrainedTokenizerFast
    return made(
        tokenizer_object=tokenizer,
        unk_token=unknown,
        pad_token=pad,
        cls_token=first,
        sep_token=last,
        model_max_length=64,
        model_input_names=["input_ids", "attention_mask"],
    )
