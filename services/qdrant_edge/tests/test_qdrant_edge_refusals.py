"""What is not supported is refused by name, and never silently ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from qdrant_client import grpc as qdrant
from trivium_qdrant_edge.collections_servicer import CollectionsServicer
from trivium_qdrant_edge.points_servicer import PointsServicer
from trivium_qdrant_edge.settings import QdrantEdgeSettings, limits_of
from trivium_serving.admission import Admission
from trivium_serving.errors import InvalidField, NotFound, TriviumError, Unimplemented

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from trivium_qdrant_edge.database import Database

VECTOR = qdrant.VectorInput(dense=qdrant.DenseVector(data=[1.0, 0.0, 0.0, 0.0]))
NEAREST = qdrant.Query(nearest=VECTOR)
GEO = qdrant.GeoPoint(lon=1.0, lat=2.0)


@pytest.fixture
def points(database: Database) -> PointsServicer:
    """The servicer of points."""
    admission = Admission(service="test", registry=CollectorRegistry(), max_requests=9, max_tokens=1 << 30)
    return PointsServicer(database, limits_of(QdrantEdgeSettings()), admission)


@pytest.fixture
def collections(database: Database) -> CollectionsServicer:
    """The servicer of collections."""
    return CollectionsServicer(database)


def query(**fields: Any) -> qdrant.QueryPoints:
    return qdrant.QueryPoints(**{"collection_name": "docs", "query": NEAREST, "using": "dense", **fields})


def count(**condition: Any) -> qdrant.CountPoints:
    return qdrant.CountPoints(collection_name="docs", filter=qdrant.Filter(must=[qdrant.Condition(**condition)]))


def field_count(**condition: Any) -> qdrant.CountPoints:
    return count(field=qdrant.FieldCondition(key="place", **condition))


def upsert(vector: qdrant.Vector, **fields: Any) -> qdrant.UpsertPoints:
    vectors = qdrant.Vectors(vectors=qdrant.NamedVectors(vectors={"dense": vector}))
    point = qdrant.PointStruct(id=qdrant.PointId(num=1), vectors=vectors)
    return qdrant.UpsertPoints(collection_name="docs", points=[point], **fields)


def index(**fields: Any) -> qdrant.CreateFieldIndexCollection:
    return qdrant.CreateFieldIndexCollection(collection_name="docs", field_name="x", **fields)


DENSE = qdrant.Vector(dense=qdrant.DenseVector(data=[1.0, 0.0, 0.0, 0.0]))
DOCUMENT = qdrant.Document(text="a", model="sentence-transformers/all-minilm-l6-v2")
SHARD_KEY = qdrant.ShardKeySelector(shard_keys=[qdrant.ShardKey(keyword="a")])

POINT_REQUESTS: dict[str, tuple[str, Message, str]] = {
    "recommend": ("Query", query(query=qdrant.Query(recommend=qdrant.RecommendInput(positive=[VECTOR]))), "recommend"),
    "context": ("Query", query(query=qdrant.Query(context=qdrant.ContextInput())), "context"),
    "formula": ("Query", query(query=qdrant.Query(formula=qdrant.Formula())), "formula"),
    "mmr": (
        "Query",
        query(query=qdrant.Query(nearest_with_mmr=qdrant.NearestInputWithMmr(nearest=VECTOR))),
        "nearest_with_mmr",
    ),
    "text_query": ("Query", query(query=qdrant.Query(text=qdrant.TextQuery(query="a"))), "text"),
    "nearest_to_a_point": (
        "Query",
        query(query=qdrant.Query(nearest=qdrant.VectorInput(id=qdrant.PointId(num=1)))),
        "`id`",
    ),
    "multi_vector_query": (
        "Query",
        query(query=qdrant.Query(nearest=qdrant.VectorInput(multi_dense=qdrant.MultiDenseVector()))),
        "`multi_dense`",
    ),
    "other_model_in_a_query": (
        "Query",
        query(query=qdrant.Query(nearest=qdrant.VectorInput(document=DOCUMENT))),
        "all-minilm",
    ),
    "lookup_from": ("Query", query(lookup_from=qdrant.LookupLocation(collection_name="x")), "`lookup_from`"),
    "shard_key": ("Query", query(shard_key_selector=SHARD_KEY), "`shard_key_selector`"),
    "in_a_prefetch": (
        "Query",
        query(prefetch=[qdrant.PrefetchQuery(lookup_from=qdrant.LookupLocation(collection_name="x"))]),
        "`lookup_from`",
    ),
    "quantization": (
        "Query",
        query(params=qdrant.SearchParams(quantization=qdrant.QuantizationSearchParams(rescore=True))),
        "`quantization`",
    ),
    "in_a_batch": (
        "QueryBatch",
        qdrant.QueryBatchPoints(collection_name="docs", query_points=[query(shard_key_selector=SHARD_KEY)]),
        "`shard_key_selector`",
    ),
    "geo_radius": ("Count", field_count(geo_radius=qdrant.GeoRadius(center=GEO, radius=1.0)), "`geo_radius`"),
    "slice": ("Count", count(slice=qdrant.SliceCondition(total=2, index=1)), "`slice`"),
    "multi_vector": ("Upsert", upsert(qdrant.Vector(multi_dense=qdrant.MultiDenseVector())), "`multi_dense`"),
    "other_model": ("Upsert", upsert(qdrant.Vector(document=DOCUMENT)), "all-minilm"),
    "image": ("Upsert", upsert(qdrant.Vector(image=qdrant.Image(model="clip"))), "`image`"),
    "upsert_with_shard_key": ("Upsert", upsert(DENSE, shard_key_selector=SHARD_KEY), "`shard_key_selector`"),
    "geo_index": ("CreateFieldIndex", index(field_type=qdrant.FieldType.FieldTypeGeo), "FieldTypeGeo"),
    "text_index_with_stemmer": (
        "CreateFieldIndex",
        index(
            field_index_params=qdrant.PayloadIndexParams(
                text_index_params=qdrant.TextIndexParams(
                    tokenizer=qdrant.TokenizerType.Word,
                    stemmer=qdrant.StemmingAlgorithm(snowball=qdrant.SnowballParams(language="english")),
                )
            )
        ),
        "`stemmer`",
    ),
}


@pytest.mark.parametrize(("rpc", "request_", "named"), POINT_REQUESTS.values(), ids=POINT_REQUESTS.keys())
async def test_request_with_what_is_not_supported_is_refused_by_name(
    points: PointsServicer, database: Database, rpc: str, request_: Message, named: str
) -> None:
    with pytest.raises(Unimplemented) as caught:
        await getattr(points, rpc)(request_, None)

    assert named in caught.value.message
    assert database.collection("docs").points_count() == 0


def params(**fields: Any) -> qdrant.VectorsConfig:
    return qdrant.VectorsConfig(params=qdrant.VectorParams(**{"size": 4, "distance": qdrant.Distance.Cosine, **fields}))


CREATE_REQUESTS: dict[str, tuple[dict[str, Any], str]] = {
    "sharding": ({"sharding_method": qdrant.ShardingMethod.Custom}, "sharding method"),
    "quantization": ({"quantization_config": qdrant.QuantizationConfig()}, "`quantization_config`"),
    "strict_mode": ({"strict_mode_config": qdrant.StrictModeConfig(enabled=True)}, "`strict_mode_config`"),
    "wal": ({"wal_config": qdrant.WalConfigDiff(wal_capacity_mb=1)}, "`wal_config`"),
    "datatype": ({"vectors_config": params(datatype=qdrant.Datatype.Uint8)}, "Uint8"),
    "multi_vector": (
        {"vectors_config": params(multivector_config=qdrant.MultiVectorConfig())},
        "`multivector_config`",
    ),
    "hnsw_memory": ({"hnsw_config": qdrant.HnswConfigDiff(memory=qdrant.Memory.Cold)}, "`memory`"),
    "optimizer_threads": (
        {"optimizers_config": qdrant.OptimizersConfigDiff(flush_interval_sec=1)},
        "`flush_interval_sec`",
    ),
}


@pytest.mark.parametrize(("fields", "named"), CREATE_REQUESTS.values(), ids=CREATE_REQUESTS.keys())
async def test_collection_with_what_is_not_supported_is_refused_by_name(
    collections: CollectionsServicer, database: Database, fields: dict[str, Any], named: str
) -> None:
    request = qdrant.CreateCollection(**{"collection_name": "new", "vectors_config": params(), **fields})

    with pytest.raises(Unimplemented) as caught:
        await collections.Create(request, None)

    assert named in caught.value.message
    assert [collection.name for collection in database.collections()] == ["docs"]


async def test_collection_update_of_more_than_metadata_is_refused_by_name(collections: CollectionsServicer) -> None:
    request = qdrant.UpdateCollection(collection_name="docs", hnsw_config=qdrant.HnswConfigDiff(m=4))

    with pytest.raises(Unimplemented, match="`hnsw_config`"):
        await collections.Update(request, None)


@pytest.mark.parametrize("service", ["Collections", "Points"])
async def test_every_rpc_of_the_service_answers_or_refuses_by_name(
    points: PointsServicer, collections: CollectionsServicer, service: str
) -> None:
    served, refused = set(), {}
    servicer: Any = points if service == "Points" else collections
    descriptor = qdrant.UpsertPoints.DESCRIPTOR.file.pool.FindServiceByName(f"qdrant.{service}")
    for method in descriptor.methods:
        request = getattr(qdrant, method.input_type.name)()
        try:
            await getattr(servicer, method.name)(request, None)
            served.add(method.name)
        except Unimplemented as error:
            refused[method.name] = error.message
        except (NotFound, InvalidField):
            served.add(method.name)

    assert all(f"the RPC {service}/{name} is not supported" in text for name, text in refused.items())
    assert refused.keys() == {
        "Points": {
            "UpdateVectors", "DeleteVectors", "CreateVectorName", "DeleteVectorName", "Search", "SearchBatch",
            "SearchGroups", "Recommend", "RecommendBatch", "RecommendGroups", "Discover", "DiscoverBatch",
            "UpdateBatch", "QueryGroups", "SearchMatrixPairs", "SearchMatrixOffsets",
        },
        "Collections": {
            "CollectionClusterInfo", "UpdateCollectionClusterSetup", "CreateShardKey", "DeleteShardKey",
            "ListShardKeys",
        },
    }[service]  # fmt: skip
    assert served | refused.keys() == {method.name for method in descriptor.methods}


@pytest.mark.parametrize(
    ("rpc", "request_", "text"),
    [
        ("Upsert", upsert(qdrant.Vector(dense=qdrant.DenseVector(data=[float("nan")] * 4))), "finite"),
        ("Upsert", qdrant.UpsertPoints(collection_name="docs"), "Empty update request"),
        (
            "Upsert",
            qdrant.UpsertPoints(collection_name="docs", points=[qdrant.PointStruct(id=qdrant.PointId(num=1))]),
            "Expected some vectors",
        ),
        ("Count", field_count(range=qdrant.Range(gte=float("nan"))), "not a number"),
        ("Count", field_count(match=qdrant.Match()), "match without a value"),
        ("Query", query(query=qdrant.Query()), "query without content"),
        ("Query", query(with_payload=qdrant.WithPayloadSelector()), "with_payload"),
        ("Delete", qdrant.DeletePoints(collection_name="docs"), "give ids or a filter"),
        ("CreateFieldIndex", index(), "of which type"),
        (
            "QueryBatch",
            qdrant.QueryBatchPoints(collection_name="docs", query_points=[query(collection_name="other")]),
            "a batch is for one collection",
        ),
    ],
)
async def test_request_that_makes_no_sense_is_invalid(
    points: PointsServicer, rpc: str, request_: Message, text: str
) -> None:
    with pytest.raises(InvalidField, match=text):
        await getattr(points, rpc)(request_, None)


async def test_error_of_a_bad_point_names_its_place(points: PointsServicer) -> None:
    request = upsert(DENSE)
    request.points.add(id=qdrant.PointId(num=2)).vectors.vectors.vectors["dense"].dense.data.extend([1.0])

    with pytest.raises(TriviumError) as caught:
        await points.Upsert(request, None)

    assert caught.value.field == "points[1].vectors.dense"
