"""A model that was trained for late interaction, in ColBERT's own layout, behind the service."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trivium.rerank.v1 import rerank_service_pb2 as pb

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "needles of a tree in winter"
TEXTS = ["a tree has needles", "winter", "boats, and more boats", "the needles of the tree, in winter"]


@pytest.fixture(scope="module")
def colbert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers with random weights and a projection to 16 numbers."""
    import torch
    from safetensors.torch import load_file, save_file
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("colbert")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] [unused0] [unused1] a the of in and has more boats tree needles winter , ."
    (folder / "vocab.txt").write_text("\n".join(words.split()))
    tokenizer = BertTokenizer(str(folder / "vocab.txt"), model_max_length=32)
    tokenizer.save_pretrained(folder)
    sizes: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    torch.manual_seed(5)
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, initializer_range=0.5, **sizes)
    BertModel(config).save_pretrained(folder)
    tensors = {f"bert.{name}": tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(tensors | {"linear.weight": torch.randn(16, 32)}, folder / "model.safetensors", {"format": "pt"})
    saved = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(saved | {"architectures": ["HF_ColBERT"]}))
    (folder / "artifact.metadata").write_text(json.dumps({"query_maxlen": 16, "doc_maxlen": 32}))
    return folder


async def test_rerank_by_colbert_orders_by_its_plain_sum(serve_rerank: Any, colbert_folder: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    model = MultiVectorEncoder(str(colbert_folder), device="cpu", local_files_only=True)
    vectors = model.encode_document(TEXTS, show_progress_bar=False)
    sums = model.similarity(model.encode_query([QUERY], show_progress_bar=False), vectors).numpy()[0]

    async with serve_rerank(model=str(colbert_folder), runtime="torch", precision="fp32") as service:
        response = await service.stub.Rerank(pb.RerankRequest(query=QUERY, texts=TEXTS))
        described = await service.stub.GetModel(pb.GetModelRequest())

    assert [one.index for one in response.rankings] == np.argsort(-sums).tolist()
    scores = [one.score for one in sorted(response.rankings, key=lambda one: one.index)]
    # A query has 16 tokens, and vectors of passages are kept in 8 bits.
    assert scores == pytest.approx(((1 + sums / 16) / 2).tolist(), abs=0.003)
    assert response.score_kind == pb.SCORE_KIND_SIMILARITY
    assert not any(one.HasField("maxsim") for one in response.rankings)
    assert described.model.token_fingerprint == ""  # embed has no codes of it, so nobody need send any
