"""The real default model, and tiny random ones that the tests write in the formats of real ones."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from trivium_encoders import EncoderOptions, PairScorer, TextEncoder, TokenEncoder

# Shared by all runs and services, so that the default model is converted once per clone; the tiny models, whose
# weights are the same in every run, as well.
CACHE_DIR = Path(__file__).resolve().parents[3] / ".data" / "cache"

# One token a line, as BERT's vocab.txt has them.
TINY_VOCABULARY = """
[PAD] [UNK] [CLS] [SEP] [MASK] . , : ? ! a an the of and or in on cat dog bird sees hears chases sleeps query passage
red green blue small big ##s ##ing ##ed one two three four five
"""

TINY_TEXTS = [
    "the cat sees a small bird.",
    "dog",
    "one two three four five, and the big red dog chases the cat in the green!",
    "query: the bird hears",
    "The Cat sleeping on the blue dogs and the small bird seeing the cat or the dog.",
]

AnyEncoder = TypeVar("AnyEncoder", TextEncoder, PairScorer, TokenEncoder)
Load = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> "TinyModels":
    """Tiny random models, written once per run."""
    return TinyModels(tmp_path_factory.mktemp("models"))


class TinyModels:
    """Writes a model the first time it is asked for, with sentence-transformers itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def transformer(self, name: str = "bert", label_count: int = 0) -> Path:
        """A bare BERT of two layers, with a classification head if it has labels."""
        folder = self._folder / f"{name}-{label_count}"
        if folder.exists():
            return folder
        import torch
        from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer

        folder.mkdir()
        vocabulary = folder / "vocab.txt"
        words = TINY_VOCABULARY.split()
        vocabulary.write_text("\n".join(words))
        torch.manual_seed(sum(name.encode()) + label_count)
        config = BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
            initializer_range=0.3,
        )
        config.num_labels = label_count or 2
        model = BertForSequenceClassification(config) if label_count else BertModel(config)
        model.save_pretrained(folder)
        BertTokenizer(str(vocabulary), model_max_length=64).save_pretrained(folder)
        return folder

    def sentence(self, pooling: str = "cls") -> Path:
        """A sentence embedding model with prompts, a linear layer and normalisation."""
        folder = self._folder / f"sentence-{pooling}"
        if folder.exists():
            return folder
        import torch
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer

        transformer = Transformer(str(self.transformer()), max_seq_length=48)
        torch.manual_seed(8)  # after the transformer was made, or not made again: the rest is the same either way
        modules = [
            transformer,
            Pooling(32, pooling),
            Dense(32, 16),
            Normalize(),
        ]
        prompts = {"query": "query: ", "document": "passage: "}
        SentenceTransformer(modules=modules, prompts=prompts).save(str(folder))
        return folder

    def with_layer_norm(self) -> Path:
        """A sentence embedding model with a module that only sentence-transformers can run."""
        folder = self._folder / "layer-norm"
        if folder.exists():
            return folder
        from sentence_transformers import SentenceTransformer
        from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling, Transformer

        modules = [Transformer(str(self.transformer())), Pooling(32, "mean"), LayerNorm(32)]
        prompts = {"query": "query: ", "document": "passage: "}
        SentenceTransformer(modules=modules, prompts=prompts).save(str(folder))
        return folder

    def cross_encoder(self, label_count: int = 1, activation: str = "Sigmoid") -> Path:
        """A cross-encoder as sentence-transformers saves it."""
        folder = self._folder / f"cross-{label_count}-{activation}"
        if folder.exists():
            return folder
        import torch
        from sentence_transformers import CrossEncoder

        model = CrossEncoder(
            str(self.transformer("cross", label_count)), activation_fn=getattr(torch.nn, activation)(), device="cpu"
        )
        model.save(str(folder))
        return folder

    def multi_vector(self) -> Path:
        """A late-interaction model with a projection, a list of tokens that documents skip, and one of those that they
        keep, which its own modules alone can read."""
        folder = self._folder / "multi-vector"
        if folder.exists():
            return folder
        import torch
        from sentence_transformers import MultiVectorEncoder
        from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
        from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Transformer

        torch.manual_seed(5)
        per_token: dict[str, Any] = {"module_input_name": "token_embeddings", "module_output_name": "token_embeddings"}
        modules = [
            Transformer(str(self.transformer())),
            Dense(32, 8, bias=False, activation_function=torch.nn.Identity(), **per_token),
            MultiVectorMask(skiplist_words=[".", ","], keep_only_token_ids=list(range(100))),
            Normalize(**per_token),
        ]
        MultiVectorEncoder(modules=modules).save(str(folder))
        return folder


@pytest.fixture(scope="session")
def tiny_texts() -> list[str]:
    """Texts in the tiny models' vocabulary, of different lengths."""
    return TINY_TEXTS


@pytest.fixture(scope="session")
def cache_dir() -> Path:
    """The cache that runs share."""
    return CACHE_DIR


@pytest_asyncio.fixture
async def load() -> AsyncIterator[Load]:
    """Loads an encoder with a registry of its own; closes it after the test."""
    loaded: list[Any] = []

    async def _load(kind: type[AnyEncoder], model: Path | str = "all-MiniLM-L6-v2", **options: Any) -> AnyEncoder:
        settings = dataclasses.replace(EncoderOptions(str(model), cache_dir=CACHE_DIR), **options)
        encoder = await kind.load(settings, registry=CollectorRegistry(), service="test")
        loaded.append(encoder)
        return encoder

    yield _load
    for encoder in loaded:
        await encoder.close()
