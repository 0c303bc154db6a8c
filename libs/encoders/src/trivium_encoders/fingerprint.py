"""What decides a model's vectors, in 64 digits."""

from pathlib import Path

from trivium_encoders.description import SENTENCE_CONFIGS, ModelDescription
from trivium_encoders.digests import DigestCache, text_digest
from trivium_encoders.errors import ModelDamaged
from trivium_encoders.model_files import read_modules

_TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model")


def weight_files(folder: Path) -> list[Path]:
    """The files with a module's weights, in order of their names: safetensors, or else torch's own format."""
    found = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    return [path for path in found if path.is_file()]


def weights_digest(model: ModelDescription, cache: DigestCache) -> str:
    """The SHA-256 over the weights of the transformer alone and its configuration.

    Raises:
        ModelDamaged: The model has no weights.
    """
    files = weight_files(model.transformer_folder)
    if not files:
        raise ModelDamaged(f"model {model.name} has no weights in {model.transformer_folder}; fetch it again")
    return text_digest(cache.digests([*files, model.transformer_folder / "config.json"]))


def fingerprint(model: ModelDescription, *, max_tokens: int, dimension: int, cache: DigestCache) -> str:
    """The SHA-256 over weights, tokenizer, pooling, prompts, normalisation, dimension and maximum length.

    Two models with one fingerprint give the same vectors up to the precision of the runtime; the folder's place and
    name are not in it.
    """
    layers = [path for folder in model.module_folders[1:] for path in weight_files(folder)]
    return text_digest(
        {
            "weights": weights_digest(model, cache),
            "layers": cache.digests(layers),
            "activations": [layer.activation for layer in model.dense],
            "tokenizer": _tokenizer(model, cache),
            "lower_case": model.lower_case,
            "pooling": list(model.pooling),
            "pools_prompt": model.pools_prompt,
            "prompts": {"query": model.prompts.query, "document": model.prompts.document},
            "normalized": model.normalized,
            "dimension": dimension,
            "max_tokens": max_tokens,
            "modules": _own_head(model, cache),
        }
    )


def token_fingerprint(model: ModelDescription, *, max_tokens: int, cache: DigestCache) -> str:
    """The SHA-256 over all that decides the token vectors of an embedding model: what comes before any pooling."""
    own = {"token_linear": cache.digests([model.token_linear])} if model.token_linear else {}
    return text_digest(_of_tokens(model, max_tokens, cache) | own)


def lexical_fingerprint(model: ModelDescription, *, max_tokens: int, cache: DigestCache) -> str:
    """The SHA-256 over all that decides the sparse vectors of an embedding model that also weighs tokens; empty for
    any other."""
    if model.lexical_linear is None:
        return ""
    own = {"lexical_linear": cache.digests([model.lexical_linear])}
    return text_digest(_of_tokens(model, max_tokens, cache) | own)


def _of_tokens(model: ModelDescription, max_tokens: int, cache: DigestCache) -> dict[str, object]:
    return {
        "weights": weights_digest(model, cache),
        "tokenizer": _tokenizer(model, cache),
        "lower_case": model.lower_case,
        "prompts": {"query": model.prompts.query, "document": model.prompts.document},
        "max_tokens": max_tokens,
    }


def _tokenizer(model: ModelDescription, cache: DigestCache) -> list[str]:
    """The digest of the first of the files that a tokenizer may be in."""
    files = [model.transformer_folder / name for name in _TOKENIZER_FILES]
    return cache.digests([path for path in files if path.is_file()][:1])


def _own_head(model: ModelDescription, cache: DigestCache) -> object:
    """What follows the transformer of a model that runs with its own modules, and how one that was trained for late
    interaction reads: the files that say so, by their places.

    Empty for every other model: the rest of the fingerprint knows its head.
    """
    if not model.head_obstacle and model.late is None:
        return []
    modules = read_modules(model.folder)
    if not modules and model.late is None:
        return []
    folders = [model.folder / module["path"] for module in modules]
    files = [model.folder / "modules.json", model.folder / "config_sentence_transformers.json"]
    if model.late is not None:
        files += [model.transformer_folder / name for name in (*SENTENCE_CONFIGS, "artifact.metadata")]
    if model.sparse is not None:
        files += [path / "router_config.json" for path in folders]
        folders += model.sparse.others
    files += [path for folder in folders if folder != model.transformer_folder for path in folder.rglob("*")]
    found = sorted({path for path in files if path.is_file()})
    names = [path.relative_to(model.folder).as_posix() for path in found]
    return dict(zip(names, cache.digests(found), strict=True))
