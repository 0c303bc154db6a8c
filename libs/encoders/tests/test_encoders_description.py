"""Models described from their own files."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trivium_encoders import ModelDamaged, ModelUnsupported
from trivium_encoders.catalog import Prompts
from trivium_encoders.description import Family, ModelDescription, describe
from trivium_encoders.digests import DigestCache
from trivium_encoders.fingerprint import fingerprint
from trivium_encoders.head_files import POOLING_MODES
from trivium_encoders.pooling import TextHead
from trivium_encoders.resolution import ModelFolder, resolve

BERT = {"architectures": ["BertModel"], "hidden_size": 32, "max_position_embeddings": 512}


def described(folder: Path, name: str = "", /, **files: Any) -> ModelDescription:
    """Describes a folder with a bare transformer's config and these files (`__` for `/`, without `.json`)."""
    for file, content in ({"config": BERT} | files).items():
        path = folder / f"{file.replace('__', '/')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return describe(ModelFolder(name or str(folder), folder))


def modules(*kinds: str) -> list[dict[str, str]]:
    """A modules.json of the older form."""
    paths = {kind: "" if kind == "Transformer" else f"{index}_{kind}" for index, kind in enumerate(kinds)}
    return [{"path": paths[kind], "type": f"sentence_transformers.models.{kind}"} for kind in kinds]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("intfloat/e5-large-v2", Prompts("query: ", "passage: ")),
        ("/models/e5-base-v2/", Prompts("query: ", "passage: ")),
        ("intfloat/multilingual-e5-small", Prompts("query: ", "passage: ")),
        ("BAAI/bge-small-en-v1.5", Prompts("Represent this sentence for searching relevant passages: ", "")),
        ("BAAI/bge-m3", Prompts()),
        ("someone/not-e5-large-v2", Prompts()),
    ],
)
def test_describe_prompts_that_models_do_not_ship_come_from_the_catalog(
    tmp_path: Path, name: str, expected: Prompts
) -> None:
    assert described(tmp_path, name).prompts == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"prompts": {"query": "Q: ", "document": "D: "}}, Prompts("Q: ", "D: ")),
        ({"prompts": {"query": "Q: ", "passage": "P: "}}, Prompts("Q: ", "P: ")),
        ({"prompts": {"query": "Q: ", "corpus": "C: "}}, Prompts("Q: ", "C: ")),
        ({"prompts": {"s2s": "S: "}, "default_prompt_name": "s2s"}, Prompts("S: ", "S: ")),
        ({"prompts": {"query": "Q: ", "x": "X: "}, "default_prompt_name": "x"}, Prompts("Q: ", "X: ")),
        ({"prompts": {"query": "", "document": ""}}, Prompts("query: ", "passage: ")),
    ],
)
def test_describe_shipped_prompts_go_before_the_catalogs(
    tmp_path: Path, options: dict[str, Any], expected: Prompts
) -> None:
    assert described(tmp_path, "intfloat/e5-large-v2", config_sentence_transformers=options).prompts == expected


@pytest.mark.parametrize(
    ("sentence", "tokenizer", "expected"),
    [
        ({"max_seq_length": 256}, {"model_max_length": 512}, 256),
        ({}, {"model_max_length": 384}, 384),
        ({}, {"model_max_length": 1e30}, 512),
        ({"max_seq_length": None}, {}, 512),
    ],
)
def test_describe_maximum_length(
    tmp_path: Path, sentence: dict[str, Any], tokenizer: dict[str, Any], expected: int
) -> None:
    model = described(tmp_path, sentence_bert_config=sentence, tokenizer_config=tokenizer)
    assert model.max_tokens == expected


@pytest.mark.parametrize(
    ("kinds", "known"),
    [
        (("Dense",), True),
        (("Dense", "MultiVectorMask", "Normalize"), True),
        (("Dense", "Normalize", "MultiVectorMask"), True),
        (("Dense", "MultiVectorMask"), False),  # sentence-transformers would compare vectors of any length
        (("MultiVectorMask", "Dense", "Normalize"), False),
        (("Dense", "LayerNorm", "MultiVectorMask", "Normalize"), False),
    ],
)
def test_describe_late_interaction_of_unknown_modules_takes_its_own(
    tmp_path: Path, kinds: tuple[str, ...], known: bool
) -> None:
    entries = modules("Transformer", *kinds)
    configs: dict[str, Any] = {f"{entry['path']}__config": {} for entry in entries[1:]}
    dense = next(entry["path"] for entry in entries if entry["type"].endswith("Dense"))
    configs[f"{dense}__config"] = {"activation_function": "torch.nn.modules.linear.Identity"}
    (tmp_path / dense).mkdir()
    (tmp_path / dense / "model.safetensors").touch()
    options = {"model_type": "MultiVectorEncoder"}
    model = described(tmp_path, modules=entries, config_sentence_transformers=options, **configs)
    assert bool(model.obstacle_to(Family.TOKEN)) != known


def test_describe_older_pooling_flags(tmp_path: Path) -> None:
    flags = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}
    model = described(tmp_path, modules=modules("Transformer", "Pooling"), **{"1_Pooling__config": flags})
    assert model.pooling == ("cls", "max")
    assert not model.obstacle_to(Family.TEXT)


@pytest.mark.parametrize(
    ("files", "family"),
    [
        ({}, Family.TEXT),
        ({"config": BERT | {"architectures": ["XLMRobertaForSequenceClassification"]}}, Family.PAIR),
        ({"config_sentence_transformers": {"model_type": "CrossEncoder"}}, Family.PAIR),
        ({"config_sentence_transformers": {"model_type": "MultiVectorEncoder"}}, Family.TOKEN),
        (
            {"modules": modules("Transformer", "Dense"), "config_sentence_transformers": {"model_type": "ColBERT"}}
            | {"1_Dense__config": {}},
            Family.TOKEN,
        ),
    ],
)
def test_describe_family(tmp_path: Path, files: dict[str, Any], family: Family) -> None:
    assert described(tmp_path, **files).family is family


def test_describe_unknown_modules_are_an_obstacle_to_vectors_but_not_to_tokens(tmp_path: Path) -> None:
    model = described(tmp_path, modules=modules("Transformer", "WeightedLayerPooling", "Normalize"))
    assert model.obstacle_to(Family.TEXT) == "its modules are Transformer, WeightedLayerPooling, Normalize"
    assert model.obstacle_to(Family.TOKEN) == ""
    assert model.normalized


def test_describe_model_with_a_decoder_is_an_obstacle(tmp_path: Path) -> None:
    model = described(tmp_path, config=BERT | {"is_encoder_decoder": True})
    assert "decoder" in model.obstacle_to(Family.TOKEN)


def test_describe_broken_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(ModelDamaged, match=r"config\.json cannot be read as JSON"):
        describe(ModelFolder("broken", tmp_path))


def test_describe_static_embedding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text(json.dumps([{"path": "", "type": "x.StaticEmbedding"}]))
    with pytest.raises(ModelUnsupported, match="does not begin with a transformer"):
        describe(ModelFolder("static", tmp_path))


@pytest.mark.parametrize("include_prompt", [True, False])
@pytest.mark.parametrize("mode", POOLING_MODES)
def test_head_pools_as_sentence_transformers(tmp_path: Path, mode: str, include_prompt: bool) -> None:
    import torch
    from sentence_transformers.sentence_transformer.modules import Pooling

    pooling = {"pooling_mode": [mode, "mean"], "embedding_dimension": 32, "include_prompt": include_prompt}
    model = described(tmp_path, modules=modules("Transformer", "Pooling"), **{"1_Pooling__config": pooling})
    lengths, prompt = [9, 4, 7], 0 if include_prompt else 3
    hidden = np.random.default_rng(1).standard_normal((3, 9, 32), np.float32)
    mask = np.arange(9) < np.array(lengths)[:, None]
    features = {
        "token_embeddings": torch.from_numpy(hidden),
        "attention_mask": torch.from_numpy(mask.astype(np.int64)),
        "prompt_length": 3,
    }
    expected = Pooling(32, (mode, "mean"), include_prompt)(features)["sentence_embedding"].numpy()
    views = [hidden[row, :length] for row, length in enumerate(lengths)]
    found = np.stack(TextHead(model)(views, [prompt] * 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert TextHead(model).dimension == 64


def test_fingerprint_follows_what_decides_vectors_and_nothing_else(tiny_models: Any, tmp_path: Path) -> None:
    def print_of(folder: Path, max_tokens: int = 48) -> str:
        model = describe(ModelFolder(str(folder), folder))
        return fingerprint(model, max_tokens=max_tokens, dimension=16, cache=DigestCache(tmp_path / "digests"))

    original = tiny_models.sentence("cls")
    copies = {}
    for name in ("same", "prompt", "tokenizer", "weights", "linear", "pooling"):
        copies[name] = tmp_path / name
        shutil.copytree(original, copies[name])
    (copies["same"] / "README.md").write_text("another readme")
    _replace(copies["prompt"] / "config_sentence_transformers.json", "query: ", "Query: ")
    _replace(copies["tokenizer"] / "tokenizer.json", "sleeps", "dreams")
    _replace(copies["pooling"] / "1_Pooling/config.json", '"cls"', '"mean"')
    for name, file in (("weights", "model.safetensors"), ("linear", "2_Dense/model.safetensors")):
        content = bytearray((copies[name] / file).read_bytes())
        content[-1] ^= 1
        (copies[name] / file).write_bytes(content)
    prints = {name: print_of(folder) for name, folder in copies.items()}
    assert prints.pop("same") == print_of(original)
    changed = [*prints.values(), print_of(original, max_tokens=32), print_of(original)]
    assert len(set(changed)) == len(changed)


def test_fingerprint_models_that_differ_in_their_own_head_alone_differ(tiny_models: Any, tmp_path: Path) -> None:
    def print_of(folder: Path) -> str:
        model = describe(ModelFolder(str(folder), folder))
        assert model.head_obstacle
        return fingerprint(model, max_tokens=48, dimension=32, cache=DigestCache(tmp_path / "digests"))

    for original, file in (
        (tiny_models.with_layer_norm(), "2_LayerNorm/model.safetensors"),
        (tiny_models.multi_vector(), "1_Dense/model.safetensors"),
        (tiny_models.multi_vector(), "3_Normalize/config.json"),
    ):
        copy = tmp_path / original.name / file.replace("/", "-")
        shutil.copytree(original, copy)
        assert print_of(copy) == print_of(original)
        content = bytearray((copy / file).read_bytes())
        content[-2] ^= 1
        (copy / file).write_bytes(content)
        assert print_of(copy) != print_of(original)


def test_fingerprint_of_the_default_model_stays_what_collections_carry(tmp_path: Path) -> None:
    model = describe(resolve("all-MiniLM-L6-v2"))
    found = fingerprint(model, max_tokens=256, dimension=384, cache=DigestCache(tmp_path / "digests"))
    assert found == "1257289f160a12cdd322cdfc438e50289b6cbab299f6011c3fe9c576c98b4fc5"


def test_digest_cache_large_file_that_changes_is_read_again(tmp_path: Path) -> None:
    cache, path = DigestCache(tmp_path / "digests"), tmp_path / "weights"
    path.write_bytes(b"a" * (17 << 20))
    first = cache.digests([path])
    assert cache.digests([path]) == first
    path.write_bytes(b"b" * (17 << 20))
    assert cache.digests([path]) != first


def test_digest_that_cannot_be_remembered_is_computed_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, path = tmp_path / "digests", tmp_path / "weights"
    path.write_bytes(b"a" * (17 << 20))
    folder.write_text("a file where the folder should be, as on a disk that takes no more")
    assert DigestCache(folder).digests([path]) == DigestCache(tmp_path / "other").digests([path])
    assert "cannot be remembered" in caplog.text


def _replace(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))
