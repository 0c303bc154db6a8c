"""How Qdrant keeps the vectors of a collection, and how they are then searched. A Qdrant server alone can choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trivium_gateway.domain.settings import Quantisation
from trivium_gateway.qdrant.generated import qdrant
from trivium_gateway.qdrant.points import DENSE

if TYPE_CHECKING:
    from trivium_gateway.domain.settings import CollectionSettings

__all__ = ["search_params", "storage_change"]

_OVERSAMPLING = 2.0
"""So many times as many are found by a smaller form as are judged again, or it would miss some."""


def storage_change(
    physical: str, before: CollectionSettings, after: CollectionSettings
) -> qdrant.UpdateCollection | None:
    """The request that has a collection keep its vectors otherwise; None if they are kept so already."""
    if before.storage == after.storage:
        return None
    quantisation, on_disk = after.storage
    diff = qdrant.VectorParamsDiff(on_disk=on_disk, quantization_config=_quantised(quantisation))
    vectors = qdrant.VectorsConfigDiff(params_map=qdrant.VectorParamsDiffMap(map={DENSE: diff}))
    return qdrant.UpdateCollection(collection_name=physical, vectors_config=vectors)


def search_params(settings: CollectionSettings) -> qdrant.SearchParams | None:
    """How the vectors of a collection are searched; None where they are as they are."""
    if not settings.is_quantised:
        return None
    rescore = settings.rescore is not False
    quantised = qdrant.QuantizationSearchParams(rescore=rescore, oversampling=_OVERSAMPLING if rescore else None)
    return qdrant.SearchParams(quantization=quantised)


def _quantised(quantisation: Quantisation) -> qdrant.QuantizationConfigDiff:
    # The smaller form stays in memory, wherever the vectors are: that is what it is for.
    if quantisation is Quantisation.SCALAR:
        scalar = qdrant.ScalarQuantization(type=qdrant.QuantizationType.Int8, quantile=0.99, always_ram=True)
        return qdrant.QuantizationConfigDiff(scalar=scalar)
    if quantisation is Quantisation.BINARY:
        return qdrant.QuantizationConfigDiff(binary=qdrant.BinaryQuantization(always_ram=True))
    return qdrant.QuantizationConfigDiff(disabled=qdrant.Disabled())
