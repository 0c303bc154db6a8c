"""What the autoscalers follow rises under load and falls after it: a real Prometheus, asked as the adapter asks."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import yaml
from e2e.stack import wait_until
from telemetry.prometheus import ROOT, Prometheus, running_prometheus
from trivium.embed.v1 import embed_service_pb2 as embed_pb
from trivium.embed.v1.embed_service_pb2_grpc import EmbedServiceStub
from trivium.gateway.v1 import gateway_service_pb2 as gateway_pb
from trivium.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from trivium.generate.v1 import generate_service_pb2 as generate_pb
from trivium.generate.v1.generate_service_pb2_grpc import GenerateServiceStub
from trivium.rerank.v1 import rerank_service_pb2 as rerank_pb
from trivium.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from telemetry.conftest import WatchedStack

_FOLDER = ROOT / "deploy" / "k8s" / "components" / "autoscaling"
_NAMESPACE = "trivium"
_ROUNDS = 20
_TEXT = "The bridge was painted by a crew of thirty, of whom number {} fell into the water and swam to the shore."


def _metrics() -> list[tuple[str, str]]:
    """The kind of pod and the metric of every autoscaler that follows one."""
    return [
        (one["spec"]["scaleTargetRef"]["name"].removeprefix("trivium-"), metric["pods"]["metric"]["name"])
        for one in yaml.safe_load_all((_FOLDER / "autoscalers.yaml").read_text())
        for metric in one["spec"]["metrics"]
        if metric["type"] == "Pods"
    ]


def _adapter_query(metric: str, pod: str) -> str:
    """What prometheus-adapter asks for a metric of a pod, by the values that we give it."""
    rules = yaml.safe_load((_FOLDER / "prometheus-adapter-values.yaml").read_text())["rules"]["custom"]
    (rule,) = [
        rule
        for rule in rules
        if (name := re.search(r'__name__=~"\^(.*?)\$"', rule["seriesQuery"])) and re.fullmatch(name[1], metric)
    ]
    return str(
        rule["metricsQuery"]
        .replace("<<.Series>>", metric)
        .replace("<<.LabelMatchers>>", f'namespace="{_NAMESPACE}",pod=~"{pod}"')
        .replace("<<.GroupBy>>", "pod")
    )


@pytest.fixture(scope="module")
def prometheus(watched: WatchedStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """One that gives the processes the labels of pods."""
    with running_prometheus(tmp_path_factory.mktemp("pods"), watched.addresses, namespace=_NAMESPACE) as prometheus:
        wait_until(prometheus.ready, "Prometheus", 30)
        yield prometheus


def _begin(watched: WatchedStack, kind: str) -> list[Callable[[], object]]:
    """Begins much work of each kind that a service has, all at once; what is returned waits for it."""
    environ = watched.stack.environ
    channel = grpc.insecure_channel(
        environ["TRIVIUM_GATEWAY_GRPC_LISTEN" if kind == "gateway" else f"TRIVIUM_{kind.upper()}_LISTEN"]
    )
    texts = [_TEXT.format(number) for number in range(500)]
    if kind == "generate":
        generate: Any = GenerateServiceStub(channel).Generate
        passages = [generate_pb.Passage(text=" ".join(texts[:40]), title="Crew")] * 5
        modes = (generate_pb.GENERATE_MODE_EXTRACTIVE, generate_pb.GENERATE_MODE_MODEL)
        return [
            partial(list, generate(generate_pb.GenerateRequest(question="Who fell?", passages=passages, mode=mode)))
            for mode in modes * 20
        ]
    method: Any
    requests: list[Any]
    if kind == "embed":
        method = EmbedServiceStub(channel).Embed
        requests = [embed_pb.EmbedRequest(texts=texts[at : at + 5]) for at in range(0, 500, 5)]
    elif kind == "rerank":
        method = RerankServiceStub(channel).Rerank
        requests = [rerank_pb.RerankRequest(query="Who fell?", texts=texts[at : at + 50]) for at in range(0, 250, 50)]
    else:
        method = GatewayServiceStub(channel).Retrieve
        requests = [gateway_pb.RetrieveRequest(query=f"Who fell {number}?") for number in range(60)]
    return [method.future(request, timeout=60).result for request in requests]


def _value(prometheus: Prometheus, query: str) -> float:
    result = prometheus.query(query)
    return float(result[0]["value"][1]) if result else -1.0


def _is_zero(prometheus: Prometheus, query: str) -> bool:
    return _value(prometheus, query) == 0


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in _metrics()}))
def test_what_an_autoscaler_follows_rises_under_load_and_falls_after_it(
    watched: WatchedStack, prometheus: Prometheus, kind: str
) -> None:
    queries = {metric: _adapter_query(metric, f"{kind}-0") for pod, metric in _metrics() if pod == kind}
    for query in queries.values():
        wait_until(partial(_is_zero, prometheus, query), f"0 of {query}", 60)

    waiting = set(queries.values())
    for _ in range(_ROUNDS):  # a scrape of each second has to find it at work
        for wait in _begin(watched, kind):
            with suppress(grpc.RpcError):  # what was refused did its part
                wait()
        waiting = {query for query in waiting if _value(prometheus, f"max_over_time(({query})[2m:1s])") <= 0}
        if not waiting:
            break

    assert not waiting
    for query in queries.values():
        wait_until(partial(_is_zero, prometheus, query), f"0 of {query} again", 60)
