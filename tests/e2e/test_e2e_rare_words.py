"""What only words tell from the others: one of a thousand, and passages that the vectors do not read."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from e2e.stack import Stack

_KINDS = ("PPR-{}{}{}{}", "PPR{}{}{}{}{}", "fiscal {}{}{}{}", "v{}.{}{}.{}{}", "20{}{}-{}{}-{}{}")
"""Ids with and without hyphens, years, versions and dates."""
_PARTS = ("cover", "cable gland", "inlet filter", "control board", "pump housing", "alarm horn", "label", "drain valve")
_CHANGES = ("becomes grey", "is moved to the left side", "gets a new gasket", "receives a second coat of varnish")
_PLANTS = ("Turin", "Lyon", "Graz", "Leeds", "Malmo")


def _made_up_ids(count: int) -> list[str]:
    draw = random.Random(7)
    made: dict[str, None] = {}
    while len(made) < count:
        made.setdefault(_KINDS[len(made) % len(_KINDS)].format(*(draw.randrange(10) for _ in range(6))))
    return list(made)


@pytest.fixture(scope="module")
def ids(stack: Stack) -> list[str]:
    """Fills the stack, and gives the documents' ids, each of which stands in one text."""
    draw, made = random.Random(1), _made_up_ids(1000)
    documents = [
        {
            "id": one,
            "text": f"Change {one}: The {draw.choice(_PARTS)} {draw.choice(_CHANGES)}. "
            f"Requested by the plant in {draw.choice(_PLANTS)}.",
        }
        for one in made
    ]
    for start in range(0, len(documents), 100):
        assert {one["status"] for one in stack.ingest(*documents[start : start + 100])} == {"indexed"}
    return made


@pytest.mark.parametrize(("rerank", "within"), [(False, 1), (True, 5)], ids=["search", "reranked"])
def test_exact_rare_match_is_found_for_thirty_of_thirty(
    stack: Stack, ids: list[str], rerank: bool, within: int
) -> None:
    missed = {}
    for one in ids[::33][:30]:
        body = stack.http.post("/v1/retrieve", json={"query": one, "rerank": rerank}).json()
        found = [passage["document_id"] for passage in body["passages"][:within]]
        if one not in found:
            missed[one] = found
    assert missed == {}


_CHINESE = (
    "长江大桥于1968年建成通车，全长4589米。",
    "这座博物馆收藏了三千多件青铜器。",
    "高速铁路从北京开往上海只要四个半小时。",
    "水泵的阀门每六个月检查一次。",
    "图书馆周一闭馆，其余日子九点开门。",
    "大桥的维护由铁路部门负责。",
    "工厂去年生产了十二万辆自行车。",
    "阀门漏水时先关闭总开关。",
)


@pytest.fixture(scope="module")
def chinese(stack: Stack) -> str:
    """A collection of Chinese passages."""
    documents = [{"id": str(number), "text": text} for number, text in enumerate(_CHINESE)]
    stack.http.post("/v1/collections", json={"name": "chinese"})
    stack.http.post("/v1/documents", json={"documents": documents, "collection": "chinese"})
    return "chinese"


@pytest.mark.parametrize(
    ("query", "right"), [("水泵的阀门多久检查一次？", 3), ("长江大桥哪一年建成？", 0), ("图书馆周一开门吗？", 4)]
)
def test_question_that_the_vectors_cannot_read_is_ordered_by_its_words(
    stack: Stack, chinese: str, query: str, right: int
) -> None:
    asked = {"query": query, "collection": chinese, "top_n": len(_CHINESE)}

    for rerank in (False, True):
        passages = stack.http.post("/v1/retrieve", json=asked | {"rerank": rerank}).json()["passages"]
        assert passages[0]["document_id"] == str(right)
        assert {passage["scores"]["dense_weight"] for passage in passages} == {0.0}
        if not rerank:
            by_words = [passage["scores"]["sparse"] or 0.0 for passage in passages]
            assert by_words == sorted(by_words, reverse=True)
