"""A cross-encoder of ms-marco-MiniLM-L-12-v2's shape, made of the default model's weights.

The real one is a download. Speed depends on the shape alone (BERT, 12 layers of 384, 12 heads, one label); whether the
order of the passages is kept depends on scores that differ as a trained model's do. So: the default model's six layers
twice over, its embeddings and pooler, and a last layer fitted by least squares to that model's own cosines between
query and passage, stretched to the spread that ms-marco's logits have. It is no good reranker.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = 12
LOGITS_SPREAD = 4.0
"""Standard deviation of the logits over the pairs."""
RIDGE = 1.0
MAX_LENGTH = 512


def write_cross_encoder(encoder: Path, folder: Path, pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Writes the model as sentence-transformers saves one.

    Args:
        encoder: The default model's folder.
        folder: Where to write to.
        pairs: Queries and passages, some hundred, to fit the last layer to.

    Returns:
        `fit`: the correlation of the fitted scores with the cosines, over these pairs.
    """
    import torch
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

    source = BertModel.from_pretrained(encoder)
    config = BertConfig.from_pretrained(encoder, num_hidden_layers=LAYERS, num_labels=1)
    model = BertForSequenceClassification(config).eval()
    layers = source.config.num_hidden_layers
    model.bert.embeddings.load_state_dict(source.embeddings.state_dict(), strict=False)
    model.bert.pooler.load_state_dict(source.pooler.state_dict())
    for number, layer in enumerate(model.bert.encoder.layer):
        layer.load_state_dict(source.encoder.layer[number % layers].state_dict())

    tokenizer = AutoTokenizer.from_pretrained(encoder)
    bi_encoder = SentenceTransformer(str(encoder), device="cpu")
    queries, passages = ([pair[side] for pair in pairs] for side in (0, 1))
    cosines = (
        bi_encoder.encode(queries, convert_to_tensor=True) * bi_encoder.encode(passages, convert_to_tensor=True)
    ).sum(1)
    with torch.no_grad():
        pooled = torch.cat(
            [
                model.bert(
                    **tokenizer(
                        *map(list, zip(*pairs[at : at + 32], strict=True)),
                        padding=True,
                        truncation=True,
                        max_length=MAX_LENGTH,
                        return_tensors="pt",
                    )
                ).pooler_output
                for at in range(0, len(pairs), 32)
            ]
        ).double()
        centre, wanted = pooled.mean(0), cosines.double() - cosines.double().mean()
        features = pooled - centre
        gram = features.T @ features + RIDGE * torch.eye(features.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(gram, features.T @ wanted)
        fitted = features @ weights
        weights *= LOGITS_SPREAD / fitted.std()
        model.classifier.weight.copy_(weights.unsqueeze(0))
        model.classifier.bias.copy_(-(centre @ weights).unsqueeze(0))
    unfinished = folder.with_suffix(".transformer")
    model.save_pretrained(unfinished)
    tokenizer.save_pretrained(unfinished)
    CrossEncoder(str(unfinished), max_length=MAX_LENGTH, device="cpu").save_pretrained(str(folder))
    shutil.rmtree(unfinished)
    return {"fit": float(torch.corrcoef(torch.stack([fitted, wanted]))[0, 1])}
