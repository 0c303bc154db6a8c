"""int8: quantised once, judged against the original, kept only if it passes, and never served in silence."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trivium_encoders import PairScorer, QuantizationFailed, Role, TextEncoder
from trivium_encoders.cores import multiplies_int8
from trivium_encoders.quality import SCORE_LIMITS, VECTOR_LIMITS, ranking_numbers, vector_numbers, violations
from trivium_encoders.quality_texts import OWN_TEXTS, read_quality_texts

TEXT = "cat dog bird sees hears chases sleeps red green blue small big one two three four five the a of and in"
WORDS = TEXT.split()


@pytest.fixture(scope="session")
def tiny_quality_texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Queries and passages in the tiny models' vocabulary; the same in every run, so that entries are found again."""
    path = tmp_path_factory.mktemp("int8") / "texts.jsonl"
    choice = np.random.default_rng(7)
    lines = [{"query": " ".join(choice.choice(WORDS, size=4))} for _ in range(20)]
    lines += [{"passage": " ".join(choice.choice(WORDS, size=int(size)))} for size in choice.integers(5, 40, size=60)]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    return path


def _reports(cache: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in cache.glob("openvino-int8/*/report.json")]


def _weights(cache: Path) -> list[Path]:
    return list(cache.glob("openvino-int8/*/model.bin"))


@pytest.mark.skipif(not multiplies_int8(), reason="int8 products overflow on a processor without VNNI or AMX")
async def test_load_int8_serves_near_vectors_says_so_and_makes_a_damaged_entry_again(
    load: Any, tiny_models: Any, tiny_texts: list[str], tiny_quality_texts: Path, tmp_path: Path, cache_dir: Path
) -> None:
    model = tiny_models.sentence("mean")
    exact = await load(TextEncoder, model, precision="fp32", runtime="openvino")
    shutil.copytree(cache_dir / "openvino", tmp_path / "openvino")
    # One worker makes the same batches every time; in int8, a text's company moves its vector a little.
    options = {"precision": "int8", "int8_texts": tiny_quality_texts, "cache_dir": tmp_path, "workers": 1}
    encoder = await load(TextEncoder, model, **options)

    assert (encoder.info.runtime, encoder.info.precision) == ("openvino", "int8")
    assert encoder.info.fingerprint != exact.info.fingerprint
    [expected, found] = [(await one.encode(tiny_texts, role=Role.DOCUMENT)).vectors for one in (exact, encoder)]
    assert (expected * found).sum(axis=1).min() > 0.97
    assert not np.array_equal(expected, found)

    [report] = _reports(tmp_path)
    assert report["violations"] == []
    assert report["attempts"][-1]["numbers"]["mean_cosine"] >= VECTOR_LIMITS["mean_cosine"].least
    assert report["versions"]["nncf"]

    [weights] = _weights(tmp_path)
    weights.write_bytes(weights.read_bytes()[:100])
    again = await load(TextEncoder, model, **options)
    assert (await again.encode(tiny_texts)).vectors.shape == found.shape
    assert len(weights.read_bytes()) > 100


async def test_load_int8_that_changes_the_model_too_much_is_refused_with_numbers(
    load: Any, tiny_models: Any, tiny_quality_texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = {"precision": "int8", "int8_texts": tiny_quality_texts, "cache_dir": tmp_path}
    with pytest.raises(QuantizationFailed, match=r"ndcg_10 is .*, less than .*Use precision auto") as caught:
        await load(PairScorer, tiny_models.cross_encoder(), **scorer)

    [report] = _reports(tmp_path)
    assert [attempt["recipe"] for attempt in report["attempts"]] == ["all", "without contractions"]
    assert report["violations"]
    assert "report.json" in str(caught.value)
    assert not _weights(tmp_path)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: pytest.fail(f"looked for {name}: not from the cache"))
    with pytest.raises(QuantizationFailed, match="ndcg_10"):
        await load(PairScorer, tiny_models.cross_encoder(), **scorer)


async def test_load_int8_without_nncf_says_what_to_install(
    load: Any, tiny_models: Any, tiny_quality_texts: Path, cache_dir: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    await load(TextEncoder, tiny_models.sentence("mean"))
    shutil.copytree(cache_dir / "openvino", tmp_path / "openvino")
    monkeypatch.setattr("trivium_encoders.quantization.importlib.util.find_spec", lambda name: None)
    with pytest.raises(QuantizationFailed, match=r"pip install 'nncf"):
        await load(
            TextEncoder,
            tiny_models.sentence("mean"),
            precision="int8",
            int8_texts=tiny_quality_texts,
            cache_dir=tmp_path,
        )


async def test_load_int8_where_only_torch_can_run_is_refused(load: Any, tiny_models: Any) -> None:
    with pytest.raises(QuantizationFailed, match="int8 runs on OpenVINO"):
        await load(TextEncoder, tiny_models.with_layer_norm(), precision="int8")
    with pytest.raises(QuantizationFailed, match="the runtime is torch"):
        await load(TextEncoder, tiny_models.sentence(), precision="int8", runtime="torch")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "line 1 of"),
        ('{"query": "a"}\n{"question": "b"}', "line 2 of"),
        ('{"query": " "}', "line 1 of"),
        ('["query"]', "line 1 of"),
        ('{"query": "a"}', "has 1 queries and 0 passages"),
        (None, "cannot be read"),
    ],
)
def test_read_quality_texts_bad_file_is_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "texts.jsonl"
    if content is not None:
        path.write_text(content)
    with pytest.raises(QuantizationFailed, match=message):
        read_quality_texts(path)


def test_read_quality_texts_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    with path.open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(QuantizationFailed, match="larger than 16 MiB"):
        read_quality_texts(path)


def test_own_texts_are_many_of_several_languages_and_judged_ones_are_held_out() -> None:
    calibration, judgement = read_quality_texts(OWN_TEXTS)
    assert len(calibration.queries) + len(judgement.queries) > 50
    assert not set(calibration.queries) & set(judgement.queries)
    assert not set(calibration.passages) & set(judgement.passages)
    for texts in (calibration, judgement):
        assert sum("\u4e00" <= text[0] <= "\u9fff" for text in texts.passages) >= 5
        assert any(
            "```" in text or "SELECT" in text or "curl" in text or "yields" in text.lower() for text in texts.passages
        )


def test_ranking_numbers_of_equal_reversed_and_half_shared_orders() -> None:
    scores = np.arange(40, dtype=np.float32)[None]
    assert ranking_numbers(scores, scores * 2) == {"top_10_overlap": 1.0, "ndcg_10": 1.0}
    assert ranking_numbers(scores, -scores) == {"top_10_overlap": 0.0, "ndcg_10": 0.0}
    moved = scores.copy()
    moved[0, 35:] = -1  # the first five are gone, so the second five lead
    numbers = ranking_numbers(scores, moved)
    assert numbers["top_10_overlap"] == 0.5
    assert 0 < numbers["ndcg_10"] < 0.5


def test_violations_names_every_crossed_limit_and_takes_nan_for_one() -> None:
    good = {"mean_score_difference": 0.0, "largest_score_difference": 0.1, "top_10_overlap": 1.0, "ndcg_10": 1.0}
    assert violations(good, SCORE_LIMITS) == []
    assert violations(good | {"largest_score_difference": 0.3}, SCORE_LIMITS) == [
        "largest_score_difference is 0.3000, more than 0.2"
    ]
    broken = np.full(4, np.nan, dtype=np.float32)
    numbers = vector_numbers([np.eye(4, dtype=np.float32)[0]] * 20, [broken] * 20, 5)
    assert len(violations(numbers, VECTOR_LIMITS)) >= 2
