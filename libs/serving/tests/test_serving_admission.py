"""Admission refuses at once and lets one request through whatever its size."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from trivium_serving.admission import Admission
from trivium_serving.errors import Overloaded


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def admission(registry: CollectorRegistry) -> Admission:
    return Admission(service="embed", registry=registry, max_requests=2, max_tokens=100)


def test_admission_over_the_requests_refuses_until_one_ends(admission: Admission, registry: CollectorRegistry) -> None:
    with admission.admit(1):
        with admission.admit(1):
            with pytest.raises(Overloaded, match="2 requests"), admission.admit(1):
                pass
            assert registry.get_sample_value("trivium_embed_in_flight_requests") == 2
        with admission.admit(1):
            pass
    assert registry.get_sample_value("trivium_embed_refused_total") == 1
    assert registry.get_sample_value("trivium_embed_in_flight_requests") == 0


def test_admission_over_the_tokens_refuses(admission: Admission) -> None:
    with admission.admit(60), pytest.raises(Overloaded), admission.admit(41):
        pass


def test_admission_request_over_the_whole_budget_passes_alone(admission: Admission) -> None:
    with admission.admit(1000), pytest.raises(Overloaded), admission.admit(1):
        pass


def test_admission_request_that_fails_gives_its_place_back(admission: Admission, registry: CollectorRegistry) -> None:
    with pytest.raises(RuntimeError), admission.admit(50):
        raise RuntimeError
    assert registry.get_sample_value("trivium_embed_in_flight_tokens") == 0
