"""Models that were trained for late interaction, in each layout of their files, against sentence-transformers.

The reference is `MultiVectorEncoder`, whose queries are filled up, marked and cut as the files say.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from trivium_encoders import CodeForm, EncoderError, ModelUnsupported, Role, TextEncoder, TokenEncoder, decode_codes

VOCABULARY = """
a an the of and or in on cat dog bird sees hears chases sleeps red green blue small big one two three four five
. , : ? ! [unused0] [unused1] query passage
"""
WORDS = VOCABULARY.split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = [
    "the cat sees a small bird.",
    "Dog",
    "one two, three four five: and the big red dog chases the cat in the green!",
    "",
    "cat dog, " * 30,
]
QUERY_LENGTH, DOCUMENT_LENGTH = 14, 30
_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.3,
    "max_position_embeddings": 64,
    "vocab_size": len(SPECIAL) + len(WORDS) + 2,
    "pad_token_id": 0,
}
_IDENTITY, _GELU = "torch.nn.modules.linear.Identity", "torch.nn.modules.activation.GELU"


@dataclass(frozen=True)
class Layer:
    """A linear layer behind the transformer, as PyLate lists it."""

    width_in: int
    width_out: int
    activation: str = _IDENTITY
    residual: bool = False


@dataclass(frozen=True)
class Case:
    """A model of the catalog: what of it the loading code sees."""

    name: str
    config: str
    """The class of the transformer's config."""
    layers: tuple[Layer, ...]
    options: dict[str, Any]
    """What config_sentence_transformers.json has beyond lengths; for ColBERT's own layout, artifact.metadata."""
    sentence: dict[str, Any] = field(default_factory=dict)
    """What sentence_bert_config.json has."""
    runtimes: tuple[str, ...] = ("torch",)
    precision: torch.dtype = torch.float32


_MODERN_BERT = "ModernBertConfig"
CASES = [
    Case(
        "answerai-colbert-small-v1",
        "BertConfig",
        (),
        {"query_maxlen": QUERY_LENGTH, "doc_maxlen": DOCUMENT_LENGTH, "attend_to_mask_tokens": False}
        | {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "mask_punctuation": True},
        runtimes=("torch", "openvino"),
    ),
    Case(
        "answerai-colbert-small-v1-by-pylate",
        "BertConfig",
        (Layer(32, 12),),
        {"query_prefix": "[unused0]", "document_prefix": "[unused1]", "attend_to_expansion_tokens": False}
        | {"query_length": QUERY_LENGTH, "document_length": DOCUMENT_LENGTH, "skiplist_words": [".", "?", "nowhere"]},
    ),
    Case(
        "mxbai-edge-colbert-v0-17m",
        _MODERN_BERT,
        (Layer(32, 48, _GELU), Layer(48, 48, _GELU, residual=True), Layer(48, 12, residual=True)),
        {"query_prefix": "[Q] ", "document_prefix": "[D] ", "attend_to_expansion_tokens": True}
        | {"query_length": QUERY_LENGTH, "document_length": DOCUMENT_LENGTH},
        sentence={"max_seq_length": DOCUMENT_LENGTH - 1, "do_lower_case": True},
        runtimes=("torch", "openvino"),
    ),
    Case(
        "LateOn",
        _MODERN_BERT,
        (Layer(32, 16),),
        {"query_prefix": "[Q] ", "document_prefix": "[D] ", "attend_to_expansion_tokens": False}
        | {"query_length": QUERY_LENGTH, "document_length": DOCUMENT_LENGTH, "skiplist_words": []}
        | {"prompts": {"query": "query ", "document": "[D] passage "}},
        sentence={"max_seq_length": DOCUMENT_LENGTH - 1},
        precision=torch.bfloat16,
    ),
    Case(
        "unexpanded",
        "BertConfig",
        (Layer(32, 16, "torch.nn.modules.activation.SiLU"), Layer(16, 8, "torch.nn.modules.activation.ReLU")),
        {"query_prefix": "nothing: ", "do_query_expansion": False, "query_length": QUERY_LENGTH},
        sentence={"max_seq_length": 40},
    ),
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Path]:
    """Writes a tiny random model in the layout of a case."""
    folders: dict[str, Path] = {}

    def write(case: Case) -> Path:
        if case.name not in folders:
            folders[case.name] = tmp_path_factory.mktemp("model") / case.name
            _write(case, folders[case.name])
        return folders[case.name]

    return write


def _write(case: Case, folder: Path) -> None:
    import transformers

    _tokenizer(folder, by_pylate=case.config == _MODERN_BERT)
    special = {"cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
    more = special | {"local_attention": 8, "initializer_cutoff_factor": 2.0} if case.config == _MODERN_BERT else {}
    torch.manual_seed(7)
    config = getattr(transformers, case.config)(**(_SIZES | more))
    made: Any = transformers.AutoModel
    made.from_config(config).save_pretrained(folder)
    if not case.layers:
        _as_colbert(folder, case.options)
        return
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for index, layer in enumerate(case.layers, start=1):
        modules.append(
            {"idx": index, "name": str(index), "path": f"{index}_Dense", "type": "pylate.models.Dense.Dense"}
        )
        _layer(folder / f"{index}_Dense", layer, case.precision)
    _json(folder / "modules.json", modules)
    _json(folder / "sentence_bert_config.json", case.sentence)
    _json(folder / "config_sentence_transformers.json", {"model_type": "ColBERT", "prompts": {}} | case.options)


def _tokenizer(folder: Path, *, by_pylate: bool) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    if not by_pylate:
        tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    frame = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", frame)
    if by_pylate:
        tokenizer.add_tokens(["[Q] ", "[D] "])
    made: Any = PreTrainedTokenizerFast
    names = ["input_ids", "attention_mask"] if by_pylate else ["input_ids", "token_type_ids", "attention_mask"]
    made(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
        model_input_names=names,
    ).save_pretrained(folder)


def _as_colbert(folder: Path, metadata: dict[str, Any]) -> None:
    """ColBERT's own layout: the projection lies among the transformer's weights."""
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    tensors["linear.weight"] = torch.randn(12, 32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    _json(folder / "config.json", config | {"architectures": ["HF_ColBERT"]})
    _json(folder / "artifact.metadata", metadata)


def _layer(folder: Path, layer: Layer, precision: torch.dtype) -> None:
    folder.mkdir()
    tensors = {"linear.weight": torch.randn(layer.width_out, layer.width_in).to(precision)}
    if layer.residual and layer.width_in != layer.width_out:
        tensors["residual.weight"] = torch.randn(layer.width_out, layer.width_in).to(precision)
    save_file(tensors, folder / "model.safetensors")
    config = {"in_features": layer.width_in, "out_features": layer.width_out, "bias": False}
    residual = {"use_residual": True} if layer.residual else {}
    _json(folder / "config.json", config | {"activation_function": layer.activation} | residual)


def _json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))


def _reference(folder: Path) -> Any:
    from sentence_transformers import MultiVectorEncoder

    return MultiVectorEncoder(str(folder), device="cpu", local_files_only=True)


def _expected(model: Any, texts: list[str], role: Role) -> list[NDArray[np.float32]]:
    encode = model.encode_query if role is Role.QUERY else model.encode_document
    vectors: list[NDArray[np.float32]] = encode(texts, convert_to_numpy=True, show_progress_bar=False)
    return vectors


@pytest.mark.parametrize(
    ("case", "runtime"),
    [(case, runtime) for case in CASES for runtime in case.runtimes],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
async def test_encode_late_interaction_model_equals_sentence_transformers(
    load: Any, written: Callable[[Case], Path], case: Case, runtime: str
) -> None:
    folder = written(case)
    encoder = await load(TokenEncoder, folder, runtime=runtime, precision="fp32")
    model = _reference(folder)

    for role in Role:
        encoded = await encoder.encode(TEXTS, role=role, truncate=True)
        expected = _expected(model, TEXTS, role)
        assert [matrix.vectors.shape for matrix in encoded.matrices] == [vectors.shape for vectors in expected]
        for matrix, vectors in zip(encoded.matrices, expected, strict=True):
            np.testing.assert_allclose(matrix.vectors, vectors, atol=2e-4)
            assert len(matrix.token_ids) == len(matrix.vectors)
    assert (encoder.info.runtime, encoder.info.dimension) == (runtime, expected[0].shape[1])
    assert encoder.is_trained


async def test_encode_model_in_sentence_transformers_own_layout_equals_it(
    load: Any, written: Callable[[Case], Path], tmp_path: Path
) -> None:
    """A query is filled up to a least length, and a longer one stays whole; queries skip tokens, too."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Transformer

    per_token: dict[str, Any] = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
    transformer = Transformer(str(written(CASES[1])), query_expansion={"strategy": "min", "length": 10, "attend": True})
    torch.manual_seed(5)
    modules = [
        transformer,
        Dense(32, 8, bias=True, activation_function=torch.nn.Tanh(), **per_token),
        MultiVectorMask(skiplist_words=["."], skiplist_tasks=["query", "document"]),
        Normalize(**per_token),
    ]
    model = MultiVectorEncoder(modules=modules, device="cpu", prompts={"query": "query ", "document": "passage "})
    model.save(str(tmp_path / "own"))
    encoder = await load(TokenEncoder, tmp_path / "own", runtime="torch", precision="fp32")

    for role in Role:
        encoded = await encoder.encode(TEXTS, role=role, truncate=True)
        for matrix, vectors in zip(encoded.matrices, _expected(model, TEXTS, role), strict=True):
            np.testing.assert_allclose(matrix.vectors, vectors, atol=2e-4)


async def test_encode_query_does_not_depend_on_its_batch(load: Any, written: Callable[[Case], Path]) -> None:
    encoder = await load(TokenEncoder, written(CASES[0]), runtime="torch", precision="fp32")
    together = (await encoder.encode(TEXTS, role=Role.QUERY)).matrices
    for text, matrix in zip(TEXTS, together, strict=True):
        alone = (await encoder.encode([text], role=Role.QUERY)).matrices[0]
        np.testing.assert_allclose(matrix.vectors, alone.vectors, atol=1e-5)
        assert len(matrix.vectors) == QUERY_LENGTH


async def test_coding_keeps_what_the_model_compares(load: Any, written: Callable[[Case], Path]) -> None:
    """A model without a list of punctuation was trained to compare punctuation as well."""
    encoder = await load(TokenEncoder, written(CASES[3]), runtime="torch", precision="fp32")
    matrix = (await encoder.encode(["the cat, a bird."])).matrices[0]
    codes = decode_codes(encoder.coding(CodeForm.BYTES).code(matrix.token_ids, matrix.vectors))
    assert (
        len(codes.rows) == len(matrix.token_ids) == 10  # [CLS] [D] passage the cat , a bird . [SEP]
    )
    assert encoder.telling(matrix).token_ids.tolist() == matrix.token_ids.tolist()


async def test_fingerprint_tells_how_queries_are_read(load: Any, written: Callable[[Case], Path]) -> None:
    folder = written(CASES[1])
    before = (await load(TokenEncoder, folder, runtime="torch")).info.fingerprint
    path = folder / "config_sentence_transformers.json"
    options = path.read_text()
    _json(path, json.loads(options) | {"attend_to_expansion_tokens": True})
    try:
        assert (await load(TokenEncoder, folder, runtime="torch")).info.fingerprint != before
    finally:
        path.write_text(options)


async def test_load_late_interaction_model_as_text_encoder_is_refused(
    load: Any, written: Callable[[Case], Path]
) -> None:
    with pytest.raises(ModelUnsupported, match="late-interaction model"):
        await load(TextEncoder, written(CASES[1]))


async def test_load_model_without_a_layer_for_late_interaction_is_refused(
    load: Any, written: Callable[[Case], Path], tmp_path: Path
) -> None:
    """sentence-transformers would add a random one."""
    import shutil

    folder = tmp_path / "bare"
    shutil.copytree(written(CASES[1]), folder)
    modules = json.loads((folder / "modules.json").read_text())
    _json(folder / "modules.json", modules[:1])
    with pytest.raises(ModelUnsupported, match="no layer of its own"):
        await load(TokenEncoder, folder)
    (folder / "modules.json").unlink()
    with pytest.raises(EncoderError, match=r"linear\.weight"):
        await load(TokenEncoder, folder)
