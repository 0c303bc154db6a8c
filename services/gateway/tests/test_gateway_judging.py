"""How surely passages answer a question in a language that the default model cannot read: by its words."""

from __future__ import annotations

import pytest
from trivium_gateway.answering.judging import calibrated, judged
from trivium_gateway.domain.answerability import UnanswerableReason
from trivium_gateway.domain.chunks import Chunk
from trivium_gateway.domain.passages import Passage, Scores
from trivium_gateway.domain.settings import AS_THE_GATEWAY

TITLE = "中文检索：分词与混合搜索"
TEXTS = (
    "中文句子里没有空格，因此检索系统必须先决定从哪里把句子切成词。如果按空格切分，整句话会变成一个词。",
    "混合检索同时走两条路线。第一条是稠密检索：把问题变成向量，再找方向相近的段落。第二条是稀疏检索：统计共有的词。",
    "简体字和繁体字是不同的字符。如果文档里两种字体都有，应当在导入之前统一转换成一种。",
)


def _found(question: str) -> tuple[Passage, ...]:
    chunks = [Chunk("zh.md", place, TITLE, "", text, 0, len(text), "1", 3, {}) for place, text in enumerate(TEXTS)]
    passages = [Passage(str(one.index), one, 0.5, Scores(fused=1.0, dense_weight=0.0)) for one in chunks]
    return calibrated(question, passages, "of a model", by_model=False, settings=AS_THE_GATEWAY)


@pytest.mark.parametrize(
    "question", ["中文分词对检索有什么影响？", "混合检索有哪两条路线？", "简体字和繁体字应当如何处理？"]
)
async def test_question_in_chinese_about_what_is_there_is_not_refused(question: str) -> None:
    answerability = await judged(question, _found(question), AS_THE_GATEWAY)

    assert {one.scores.calibration for one in _found(question)} == {"words/chinese"}
    assert answerability.answerable
    assert not answerability.refuses
    assert answerability.confidence is not None
    assert answerability.confidence > 0.2


@pytest.mark.parametrize("question", ["秘鲁的首都是哪里？", "红楼梦的作者是谁？", "飞机起飞之前应当检查哪些部件？"])
async def test_question_in_chinese_about_something_else_is_refused(question: str) -> None:
    answerability = await judged(question, _found(question), AS_THE_GATEWAY)

    assert answerability.refuses
    assert answerability.reason is UnanswerableReason.WEAK_EVIDENCE


MINILM = "1257289f160a12cdd322cdfc438e50289b6cbab299f6011c3fe9c576c98b4fc5"
MANUALS = (
    "The warranty of the KX-200 lasts 36 months from delivery. Filters of it are excluded.",
    "The KX-200 costs 1,450 euros. Dealers of the KX-200 pay 1,160 euros.",
)


def _found_by_vectors(question: str) -> tuple[Passage, ...]:
    """What is found of prices, as near as the default model finds them for questions about another product."""
    chunks = [Chunk("kx.md", place, "KX", "", text, 0, len(text), "1", 3, {}) for place, text in enumerate(MANUALS)]
    scores = Scores(dense=0.44, fused=1.0, dense_weight=1.0, rerank=0.72, rerank_weight=1.0, maxsim=0.45)
    passages = [Passage(str(one.index), one, 0.5, scores) for one in chunks]
    return calibrated(question, passages, MINILM, by_model=True, settings=AS_THE_GATEWAY)


@pytest.mark.parametrize(
    ("question", "refused"),
    [
        ("How long does the warranty of the KX-200 last?", False),
        ("How long does the warranty of the KX-900 last?", True),
        ("How much does the KX-200 cost?", False),
        ("How much does the KX-900 cost?", True),
        ("How long does the warranty of a ThinkPad last?", True),
        ("How much does a Salesforce licence cost?", True),
    ],
)
async def test_question_about_a_product_that_no_passage_names_is_refused(question: str, refused: bool) -> None:
    answerability = await judged(question, _found_by_vectors(question), AS_THE_GATEWAY)

    assert answerability.refuses is refused
    assert answerability.answerable is not refused


async def test_question_whether_it_does_what_no_passage_names_is_not_stated() -> None:
    named = await judged("Does the KX-200 support Bluetooth?", _found_by_vectors("KX-200"), AS_THE_GATEWAY)
    stated = await judged(
        "Does the warranty of the KX-200 last 36 months?", _found_by_vectors("KX-200"), AS_THE_GATEWAY
    )

    assert named.reason is UnanswerableReason.NOT_STATED
    assert not named.refuses
    assert stated.answerable


async def test_number_is_covered_however_it_is_written() -> None:
    text = "整机保修36个月，自交货之日起计算。易损件不在保修范围内。"
    chunk = Chunk("zh.md", 0, "保修条款", "", text, 0, len(text), "1", 3, {})
    passages = [Passage("0", chunk, 0.5, Scores(fused=1.0, dense_weight=0.0))]
    confidences = set()
    for asked in (
        "36个月的保修从什么时候开始计算？",
        "三十六个月的保修从什么时候开始计算？",
        "三十六個月的保修從什麼時候開始計算？",
    ):
        found = calibrated(asked, passages, "of a model", by_model=False, settings=AS_THE_GATEWAY)
        answerability = await judged(asked, found, AS_THE_GATEWAY)
        assert answerability.answerable
        confidences.add(answerability.confidence)

    assert len(confidences) == 1
