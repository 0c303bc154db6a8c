"""A cross-encoder of ms-marco-MiniLM-L-12-v2's shape, made of the default model's weights.

The real one is a download. Speed depends on the shape alone (BERT, 12 layers of 384, 12 heads, one label); whether the
order of passages is kept depends on scores that differ. So: each of the default model's six layers twice, its
embeddings and pooler, and a last layer along the direction in which a query's passages differ most, stretched to
logits with a trained model's spread. Its order means nothing: only whether another runtime finds the same one does.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = 12
LOGITS_SPREAD = 3.0
"""Standard deviation of the logits over the passages of a query."""
MAX_LENGTH = 512


def write_cross_encoder(encoder: Path, folder: Path, questions: list[tuple[str, list[str]]]) -> dict[str, Any]:
    """Writes the model as sentence-transformers saves one.

    Args:
        encoder: The default model's folder.
        folder: Where to write to.
        questions: Some queries and their passages, from which the last layer is derived.
    """
    import torch
    from sentence_transformers import CrossEncoder
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

    source = BertModel.from_pretrained(encoder)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    config = BertConfig.from_pretrained(encoder, num_hidden_layers=LAYERS, num_labels=1)
    model = BertForSequenceClassification(config).eval()
    copies = LAYERS // source.config.num_hidden_layers
    model.bert.embeddings.load_state_dict(source.embeddings.state_dict(), strict=False)
    model.bert.pooler.load_state_dict(source.pooler.state_dict())
    for number, layer in enumerate(model.bert.encoder.layer):
        layer.load_state_dict(source.encoder.layer[number // copies].state_dict())

    cut = {"padding": True, "truncation": True, "max_length": MAX_LENGTH, "return_tensors": "pt"}
    with torch.no_grad():
        pooled = torch.stack(
            [
                model.bert(**tokenizer([query] * len(passages), passages, **cut)).pooler_output
                for query, passages in questions
            ]
        )
        differences = (pooled - pooled.mean(1, keepdim=True)).flatten(0, 1)
        direction = torch.linalg.svd(differences, full_matrices=False)[2][0]
        weights = direction * LOGITS_SPREAD / (differences @ direction).std()
        model.classifier.weight.copy_(weights.unsqueeze(0))
        model.classifier.bias.copy_(-(pooled.flatten(0, 1).mean(0) @ weights).unsqueeze(0))
    unfinished = folder.with_suffix(".transformer")
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    CrossEncoder(str(unfinished), max_length=MAX_LENGTH, device="cpu").save_pretrained(str(folder))
    shutil.rmtree(unfinished)
    return {}
