"""The whole service inside the test's process, with its real model, behind a real port."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from model_services.running import DATA_DIR, RunningService, Serve, server_of
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from trivium_rerank.app import FULL_NAME, RerankApp
from trivium_rerank.settings import RerankSettings

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz", "tree", "needles", "winter"]

_serve = server_of(RerankApp, RerankSettings, RerankServiceStub, FULL_NAME)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Where the converted model is."""
    return DATA_DIR


@pytest.fixture(scope="session")
def serve_rerank() -> Serve:
    """Starts a service with the settings given; `warm=False` leaves it loading."""
    return _serve


@pytest.fixture(scope="session")
def cross_encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights and one output, as sentence-transformers saves a CrossEncoder."""
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    torch.manual_seed(5)
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("cross-encoder")
    (source / "vocab.txt").write_text("\n".join(WORDS))
    tokenizer = BertTokenizer(str(source / "vocab.txt"), model_max_length=32)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=32,
        initializer_range=0.5,  # wide, so that the scores differ
    )
    config.num_labels = 1
    BertForSequenceClassification(config).save_pretrained(source)
    tokenizer.save_pretrained(source)
    CrossEncoder(str(source), max_length=32, device="cpu").save_pretrained(str(folder))
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rerank_service() -> AsyncIterator[RunningService]:
    """A service with the default settings, shared by the tests of a module."""
    async with _serve() as service:
        yield service
