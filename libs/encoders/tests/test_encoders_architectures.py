"""Every architecture of the catalog: a tiny random model of its shape and files, against sentence-transformers.

The references are `SentenceTransformer.encode` and `CrossEncoder.predict`, given the prompts by hand where the model's
files lack them.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from trivium_encoders import EncoderError, ModelUnsupported, PairScorer, Role, TextEncoder, TokenEncoder

VOCABULARY = """
a an the of and or in on cat dog bird sees hears chases sleeps query passage red green blue small big one two three four
five yes no instruct
"""
WORDS = VOCABULARY.split()
TEXTS = [
    "the cat sees a small bird",
    "dog",
    "one two three four five and the big red dog chases the cat in the green",
    "the bird hears",
    "cat dog " * 60,
]
QUERY = "the small bird sees the cat"
SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.3,
}
MAX_TOKENS = 48
QWEN_PROMPT = "instruct one two query "


@dataclass(frozen=True)
class Shape:
    """An architecture: what of it the loading code sees."""

    config: str
    """The class of its config in transformers."""
    special: tuple[str, ...]
    """Its special tokens: padding, unknown, first, last."""
    options: dict[str, Any]
    """What its config has beyond SIZES."""
    template: tuple[str, str]
    """How its tokenizer frames a text and a pair."""
    takes_types: bool = False
    """Whether its tokenizer makes token types."""
    padding_side: str = "right"
    """Where its own tokenizer pads."""


_BERT_FRAME = ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1")
BERT = Shape("BertConfig", ("[PAD]", "[UNK]", "[CLS]", "[SEP]"), {}, _BERT_FRAME, takes_types=True)
XLM_ROBERTA = Shape(
    "XLMRobertaConfig",
    ("<s>", "<pad>", "</s>", "<unk>"),
    {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1},
    ("<s> $A </s>", "<s> $A </s> </s> $B </s>"),
)
MODERN_BERT = Shape(
    "ModernBertConfig",
    ("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
    {"pad_token_id": 0, "cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
    | {"local_attention": 8, "initializer_cutoff_factor": 2.0},
    ("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]"),
)
DEBERTA = Shape(
    "DebertaV2Config",
    ("[PAD]", "[UNK]", "[CLS]", "[SEP]"),
    {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16, "type_vocab_size": 0}
    | {"share_att_key": True, "norm_rel_ebd": "layer_norm", "position_biased_input": False},
    _BERT_FRAME,
    takes_types=True,
)
QWEN3 = Shape(
    "Qwen3Config",
    ("<|endoftext|>", "<|unknown|>", "<|im_start|>", "<|im_end|>"),
    {"num_key_value_heads": 1, "head_dim": 16, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 0},
    ("$A <|endoftext|>", "$A $B:1 <|endoftext|>:1"),
    padding_side="left",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a bare transformer of a shape, with its tokenizer; gives the folder."""

    def write(shape: Shape, kind: str, name: str, labels: tuple[str, ...] = ("LABEL_0",)) -> Path:
        import transformers

        folder = tmp_path_factory.mktemp("model") / name
        _tokenizer(shape).save_pretrained(folder)
        options = SIZES | {"vocab_size": len(shape.special) + len(WORDS), "max_position_embeddings": MAX_TOKENS + 2}
        config = getattr(transformers, shape.config)(**(options | shape.options))
        if kind == "AutoModelForSequenceClassification":
            config.num_labels = len(labels)
            config.id2label = dict(enumerate(labels))
        torch.manual_seed(7)
        getattr(transformers, kind).from_config(config).save_pretrained(folder)
        return folder

    return write


def _tokenizer(shape: Shape) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate((*shape.special, *WORDS))}
    unknown = next(token for token in shape.special if "unk" in token.lower())
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    single, pair = shape.template
    used = [(token, vocabulary[token]) for token in shape.special]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=used)
    padding = next((token for token in shape.special if "pad" in token.lower()), shape.special[0])
    names = ["input_ids", *["token_type_ids"] * shape.takes_types, "attention_mask"]
    made: Any = PreTrainedTokenizerFast
    return made(
        tokenizer_object=tokenizer,
        unk_token=unknown,
        pad_token=padding,
        model_max_length=MAX_TOKENS,
        padding_side=shape.padding_side,
        model_input_names=names,
    )


def _sentence_model(
    transformer: Path, folder: Path, pooling: str, *, normalized: bool, prompts: dict[str, str], dimension: int = 32
) -> Path:
    """Saves a transformer as a sentence embedding model."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

    modules = [Transformer(str(transformer), max_seq_length=MAX_TOKENS), Pooling(32, pooling)]
    if dimension != 32:
        modules.append(Dense(32, dimension, activation_function=torch.nn.Identity()))
    modules += [Normalize()] * normalized
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder))
    return folder


def _encoded(folder: Path, texts: list[str], prompt: str) -> NDArray[np.float32]:
    """What sentence-transformers makes of texts."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    vectors: NDArray[np.float32] = model.encode(texts, prompt=prompt, show_progress_bar=False)
    return vectors


@dataclass(frozen=True)
class Case:
    """An embedding model of the catalog."""

    name: str
    shape: Shape
    pooling: str
    normalized: bool
    query: str = ""
    document: str = ""
    shipped: bool = False
    """Whether its own files have the prompts."""
    runtime: str = "torch"
    dimension: int = 32
    """Other than the transformer's if a linear layer follows."""


_MXBAI = "Represent this sentence for searching relevant passages: "
EMBEDDING = [
    Case("all-MiniLM-L6-v2-like", BERT, "mean", True, runtime="openvino"),
    Case("e5-large-v2", BERT, "mean", True, "query: ", "passage: "),
    Case("bge-large-en-v1.5", BERT, "cls", True, _MXBAI, ""),
    Case("mxbai-embed-large-v1", BERT, "cls", False, _MXBAI, ""),
    Case("mdbr-leaf-ir", BERT, "mean", True, _MXBAI, "", shipped=True, runtime="openvino", dimension=64),
    Case("multilingual-e5-large", XLM_ROBERTA, "mean", True, "query: ", "passage: "),
    Case("bge-m3", XLM_ROBERTA, "cls", True),
    Case("gte-modernbert-base", MODERN_BERT, "cls", False),
    Case("gte-modernbert-base", MODERN_BERT, "cls", False, runtime="openvino"),
    Case("granite-embedding-small-english-r2", MODERN_BERT, "cls", True, runtime="openvino"),
    Case("Qwen3-Embedding-0.6B", QWEN3, "lasttoken", True, QWEN_PROMPT, "", shipped=True),
    Case("Qwen3-Embedding-0.6B", QWEN3, "lasttoken", True, QWEN_PROMPT, "", shipped=True, runtime="openvino"),
]


@pytest.mark.parametrize("case", EMBEDDING, ids=lambda case: f"{case.name}-{case.runtime}")
async def test_encode_architecture_equals_sentence_transformers(
    load: Any, written: Callable[..., Path], tmp_path: Path, case: Case
) -> None:
    transformer = written(case.shape, "AutoModel", "transformer")
    prompts = {"query": case.query, "document": case.document} if case.shipped else {}
    folder = _sentence_model(
        transformer,
        tmp_path / case.name,
        case.pooling,
        normalized=case.normalized,
        prompts=prompts,
        dimension=case.dimension,
    )

    encoder = await load(TextEncoder, folder, runtime=case.runtime, precision="fp32")

    assert encoder.info.runtime == case.runtime
    assert (encoder.info.dimension, encoder.info.normalized) == (case.dimension, case.normalized)
    for role, prompt in ((Role.QUERY, case.query), (Role.DOCUMENT, case.document)):
        found = await encoder.encode(TEXTS, role=role, truncate=True)
        expected = _encoded(folder, TEXTS, prompt)
        np.testing.assert_allclose(found.vectors, expected, atol=2e-4)
        assert found.token_counts[-1] == MAX_TOKENS
    if case.normalized:
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    if case.query != case.document:
        assert np.abs(_encoded(folder, TEXTS, case.query) - expected).max() > 0.01


@pytest.mark.parametrize(
    ("name", "shape", "runtime"),
    [
        ("ms-marco-MiniLM-L12-v2", BERT, "torch"),
        ("bge-reranker-base", XLM_ROBERTA, "openvino"),
        ("bge-reranker-v2-m3", XLM_ROBERTA, "torch"),
        ("gte-reranker-modernbert-base", MODERN_BERT, "torch"),
        ("mxbai-rerank-base-v1", DEBERTA, "torch"),
    ],
)
async def test_score_architecture_equals_cross_encoder(
    load: Any, written: Callable[..., Path], tmp_path: Path, name: str, shape: Shape, runtime: str
) -> None:
    from sentence_transformers import CrossEncoder

    folder = written(shape, "AutoModelForSequenceClassification", name)
    scorer = await load(PairScorer, folder, runtime=runtime, precision="fp32")

    scored = await scorer.score(QUERY, TEXTS)

    assert scorer.info.runtime == runtime
    pairs = [(QUERY, text) for text in TEXTS]
    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    logits = model.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
    np.testing.assert_allclose(scored.scores, 1 / (1 + np.exp(-logits.astype(np.float64))), atol=1e-4)
    assert scored.scores.std() > 1e-3


_INFERENCE = ("contradiction", "ENTAILMENT", "neutral")


@pytest.mark.parametrize(
    ("name", "shape", "labels", "runtime"),
    [
        ("nli-deberta-v3-base", DEBERTA, _INFERENCE, "torch"),
        ("mDeBERTa-v3-base-xnli", DEBERTA, ("entailment", "neutral", "contradiction"), "torch"),
        ("nli-of-two", BERT, ("entailment", "not_entailment"), "openvino"),
        ("nli-roberta", XLM_ROBERTA, _INFERENCE, "openvino"),
    ],
)
async def test_score_of_inference_model_is_the_chance_that_the_query_follows_from_the_text(
    load: Any, written: Callable[..., Path], name: str, shape: Shape, labels: tuple[str, ...], runtime: str
) -> None:
    from sentence_transformers import CrossEncoder

    folder = written(shape, "AutoModelForSequenceClassification", name, labels)
    scorer = await load(PairScorer, folder, runtime=runtime, precision="fp32")
    claims = [QUERY, "cat dog " * 60]
    model = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    entailment = [label.lower() for label in labels].index("entailment")

    for claim in claims:  # texts of which one is too long, with a claim that fits and one that does not
        scored = await scorer.score(claim, TEXTS)
        pairs = [(text, claim) for text in TEXTS]
        expected = model.predict(pairs, apply_softmax=True, show_progress_bar=False)[:, entailment]
        np.testing.assert_allclose(scored.scores, expected, atol=2e-4)

    assert scorer.infers
    assert scored.scores.std() > 1e-3


async def test_score_language_model_saved_as_cross_encoder_equals_cross_encoder(
    load: Any, written: Callable[..., Path], tmp_path: Path
) -> None:
    from sentence_transformers import CrossEncoder

    bare = written(QWEN3, "AutoModelForCausalLM", "Qwen3-Reranker-0.6B")
    folder = tmp_path / "reranker"
    model = CrossEncoder(str(bare), device="cpu", local_files_only=True)
    model.save(str(folder))
    scorer = await load(PairScorer, folder, runtime="torch", precision="fp32")

    scored = await scorer.score(QUERY, TEXTS)

    pairs = [(QUERY, text) for text in TEXTS]
    expected = model.predict(pairs, activation_fn=torch.nn.Sigmoid(), show_progress_bar=False)
    np.testing.assert_allclose(scored.scores, expected, atol=1e-4)
    assert scored.scores.std() > 1e-3


async def test_load_language_model_as_scorer_is_refused(load: Any, written: Callable[..., Path]) -> None:
    folder = written(QWEN3, "AutoModelForCausalLM", "Qwen3-Reranker-0.6B")
    with pytest.raises(ModelUnsupported, match="not a cross-encoder"):
        await load(PairScorer, folder)


async def test_load_model_with_code_of_its_own_is_refused(
    load: Any, written: Callable[..., Path], tmp_path: Path
) -> None:
    folder = _sentence_model(
        written(BERT, "AutoModel", "transformer"), tmp_path / "jina", "mean", normalized=True, prompts={}
    )
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "custom_st.Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelUnsupported, match=r"custom_st\.Transformer.*never run"):
        await load(TextEncoder, folder)


@pytest.mark.parametrize("kind", [PairScorer, TokenEncoder, TextEncoder])
async def test_load_transformer_with_a_class_of_its_own_is_refused(
    load: Any, written: Callable[..., Path], tmp_path: Path, kind: Any
) -> None:
    """As jina-reranker-v3: a Qwen3 and a projection, which without its code would load as a bare Qwen3."""
    folder = tmp_path / "jina-reranker-v3"
    shutil.copytree(written(QWEN3, "AutoModel", "qwen3"), folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"architectures": ["JinaForRanking"], "auto_map": {"AutoModel": "modeling.JinaForRanking"}}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelUnsupported, match=r"modeling\.JinaForRanking.*never run"):
        await load(kind, folder)


@pytest.mark.parametrize("runtime", ["openvino", "torch"])
async def test_load_weights_under_other_names_are_refused(
    load: Any, written: Callable[..., Path], tmp_path: Path, runtime: str
) -> None:
    folder = tmp_path / "renamed"
    shutil.copytree(written(BERT, "AutoModel", "transformer"), folder)
    tensors = load_file(folder / "model.safetensors")
    renamed = {name.replace("attention.self", "mixer"): tensor for name, tensor in tensors.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"lack .*attention\.self"):
        await load(TextEncoder, folder, runtime=runtime)
