"""bf16 of a cross-encoder: judged once by pairs and their order, and served only if it passes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trivium_encoders import PairScorer, half_precision
from trivium_encoders.description import Family, describe
from trivium_encoders.judgement import JudgedModel
from trivium_encoders.quality import violations
from trivium_encoders.quality_texts import QualityTexts
from trivium_encoders.resolution import resolve
from trivium_encoders.runtimes import choice
from trivium_encoders.runtimes.torch import TorchRuntime

TEXT = "cat dog bird sees hears chases sleeps red green blue small big one two three four five the a of and in"
WORDS = TEXT.split()


@pytest.fixture
def processor_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that multiplies bf16; one that does not computes in fp32 what is asked for in bf16."""
    monkeypatch.setattr(choice, "multiplies_bf16", lambda: True)


def _report(cache: Path) -> dict[str, Any]:
    [path] = cache.glob("openvino-bf16/*/report.json")
    report: dict[str, Any] = json.loads(path.read_text())
    return report


@pytest.mark.usefixtures("processor_with_bf16")
async def test_load_cross_encoder_is_judged_in_bf16_by_pairs_once(load: Any, tiny_models: Any, tmp_path: Path) -> None:
    scorer = await load(PairScorer, tiny_models.cross_encoder(), cache_dir=tmp_path)
    report = _report(tmp_path)
    assert set(report["numbers"]) >= {"top_10_overlap", "ndcg_10", "largest_score_difference"}
    assert scorer.info.precision == ("fp32" if report["violations"] else "bf16")
    assert scorer.info.runtime == "openvino"


@pytest.mark.usefixtures("processor_with_bf16")
async def test_load_cross_encoder_whose_order_bf16_changes_runs_in_fp32_and_says_so(
    load: Any,
    tiny_models: Any,
    cache_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "openvino").symlink_to(cache_dir / "openvino")
    verdicts = iter(["top_10_overlap is 0.5000, less than 0.92"])
    monkeypatch.setattr(half_precision, "run_child", lambda *_, **__: next(verdicts))  # asked once
    for _ in range(2):
        caplog.clear()
        scorer = await load(PairScorer, tiny_models.cross_encoder(), cache_dir=tmp_path)
        assert scorer.info.precision == "fp32"
        assert "top_10_overlap is 0.5000, less than 0.92" in caplog.text


def test_compare_pairs_tells_a_model_of_other_order_from_itself(tiny_models: Any) -> None:
    choose = np.random.default_rng(3)
    texts = QualityTexts(
        tuple(" ".join(choose.choice(WORDS, size=4)) for _ in range(4)),
        tuple(" ".join(choose.choice(WORDS, size=12)) for _ in range(20)),
    )
    one, other = (describe(resolve(str(tiny_models.cross_encoder(labels)))) for labels in (1, 2))
    judged = JudgedModel(one, Family.PAIR, 48)
    runtime, stranger = (
        TorchRuntime(model, judged.head, precision="fp32", device="cpu", session_count=1) for model in (one, other)
    )
    assert not violations(*judged.compare(runtime, runtime, texts))
    assert violations(*judged.compare(runtime, stranger, texts))
