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


class Clock:
    """Stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def paced(registry: CollectorRegistry, clock: Clock) -> Admission:
    """Has served 100 tokens in a second."""
    admission = Admission(service="embed", registry=registry, max_requests=9, max_tokens=10_000, clock=clock)
    with admission.admit(100):
        clock.now += 1
    return admission


def test_admission_refuses_what_would_be_done_after_its_deadline(paced: Admission, registry: CollectorRegistry) -> None:
    with paced.admit(300):
        with pytest.raises(Overloaded, match=r"deadline is in 3\.5 s") as refused, paced.admit(100, seconds_left=3.5):
            pass
        assert refused.value.retry_after_seconds == pytest.approx(1.3)
        with pytest.raises(Overloaded), paced.admit(100, seconds_left=4.5):  # in time only if the pace were exact
            pass
        with paced.admit(100, seconds_left=5), paced.admit(100):  # one in time, and one that waits for ever
            pass
    assert registry.get_sample_value("trivium_embed_refused_total") == 2


def test_admission_urgent_request_does_not_wait_for_the_others(paced: Admission) -> None:
    with paced.admit(9_000, urgent=False), paced.admit(50, urgent=True, seconds_left=1):
        with pytest.raises(Overloaded), paced.admit(50, urgent=False, seconds_left=1):
            pass
        with pytest.raises(Overloaded), paced.admit(60, urgent=True, seconds_left=1):
            pass


def test_admission_with_nothing_in_flight_takes_a_request_whatever_its_deadline(paced: Admission) -> None:
    with paced.admit(1_000, seconds_left=0.1):
        pass


def test_admission_pace_leaves_out_idle_time_and_follows_a_change(paced: Admission, clock: Clock) -> None:
    clock.now += 3600
    with paced.admit(300):
        clock.now += 1
    with paced.admit(100), paced.admit(100, seconds_left=1.61):  # 100 + (300 - 100) / 4 in a second
        pass
    with paced.admit(100), pytest.raises(Overloaded), paced.admit(100, seconds_left=1.59):
        pass
