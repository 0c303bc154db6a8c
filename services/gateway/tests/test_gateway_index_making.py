"""What an index is made with: what it says of itself, and what its name is."""

import pytest
from trivium_gateway.domain.indexes import IndexBeside, IndexMaking, IndexRole
from trivium_gateway.domain.names import physical_name
from trivium_gateway.domain.settings import CollectionSettings
from trivium_gateway.domain.sparse_weights import SparseWeights
from trivium_serving.errors import InvalidField


def test_makings_and_names_without_them_are_what_they_were() -> None:
    made = IndexMaking("m", "f" * 64, 8, 3, "1a2b3c4d")
    assert "learned" not in IndexBeside(IndexRole.NEXT, made).to_text()
    assert physical_name("a", made.fingerprint, 3, "", made.generation) == "a__d86ccaf05ee4"
    assert physical_name("a", made.fingerprint, 3, "", made.generation, "ab") != "a__d86ccaf05ee4"
    assert made.vectors == made.fingerprint


def test_late_chunking_beside_them_is_refused() -> None:
    with pytest.raises(InvalidField, match="Leave late_chunking out") as caught:
        CollectionSettings(late_chunking=True, learned_sparse=True).check()
    assert caught.value.field == "settings.learned_sparse"


@pytest.mark.parametrize(
    ("indices", "values"),
    [
        ([3, 3], [1.0, 1.0]),
        ([4, 3], [1.0, 1.0]),
        ([3], []),
        ([-1], [1.0]),
        ([2**32], [1.0]),
        ([3], [0.0]),
        ([3], [1e39]),
    ],
)
def test_sparse_vector_that_is_none_is_told(indices: list[int], values: list[float]) -> None:
    assert not SparseWeights(indices, values).is_possible()
    assert SparseWeights([0, 2**32 - 1], [0.5, 3.0]).is_possible()
