"""All kinds of faults, one after the other, under all kinds of load: nothing lost, nothing silent.

Clients speak TLS and show keys. At first processes end and start again. Then, for ten minutes, they stop, links are
bad, keys and certificates change, and no process ends: what each holds must not grow.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import httpx
import pytest
from chaos.calls import percentile
from chaos.held import Held
from chaos.links import Links
from chaos.steady import Questions
from chaos.witness import Witness
from e2e.stack import SERVICES, Stack, wait_until
from ports import free_ports
from tls.certificates import authority, issued

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from chaos.conftest import Scale
    from chaos.steady import Answer
    from tls.certificates import Certificate

_FIRST_KEY = "tv_first_" + "0" * 32
_STAGES = {"embed": "embed", "rerank": "rerank", "generate": "generate", "qdrant_edge": "search"}
_MORE = {"memory MB": 40.0, "descriptors": 10.0, "threads": 5.0, "tasks": 10.0}
"""So much more than a tenth may be held in the end: a gateway's caches of words and sentences are full after some
1,500 answers, at 20 MB."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """What is done to the stack.

    Attributes:
        name: What the report calls it.
        lasting: Lasts as long as its block.
        away: The stage that cannot be had meanwhile, if there is one.
        refuses: Whether questions may get 503 meanwhile.
        breaks: Whether callers' connections may break.
    """

    name: str
    lasting: Callable[[], AbstractContextManager[None]]
    away: str = ""
    refuses: bool = False
    breaks: bool = False


@contextlib.contextmanager
def _ended(stack: Stack, service: str, by: signal.Signals) -> Iterator[None]:
    stack.end(service, by=by)
    yield
    stack.start(service)


@contextlib.contextmanager
def _stopped(stack: Stack, service: str) -> Iterator[None]:
    stack.signal(service, signal.SIGSTOP)
    yield
    stack.signal(service, signal.SIGCONT)


@contextlib.contextmanager
def _with_another_key(stack: Stack) -> Iterator[None]:
    """Everybody takes a new key, which is rotated while they do."""
    body = {"name": f"at {time.monotonic()}", "scopes": ["read", "ingest", "admin"]}
    made = stack.http.post("/v1/keys", json=body).raise_for_status().json()
    stack.http.headers["authorization"] = f"Bearer {made['key']}"
    rotated = stack.http.post(f"/v1/keys/{made['id']}/rotate", json={"grace_seconds": 60}).raise_for_status().json()
    yield
    stack.http.headers["authorization"] = f"Bearer {rotated['key']}"


@contextlib.contextmanager
def _with_other_certificates(by: Certificate, used: Certificate, folder: Path) -> Iterator[None]:
    """All processes get another one, and all new connections with it."""
    new = issued(by, folder, f"service-{time.monotonic_ns()}")
    os.replace(new.key, used.key)
    os.replace(new.certificate, used.certificate)
    yield


def _faults(stack: Stack, links: Links, renew: Callable[[], AbstractContextManager[None]]) -> list[list[_Fault]]:
    """Those with which processes end, and those with which none does."""
    ending, others = [], []
    for service in SERVICES:
        away, of_gateway = _STAGES.get(service, ""), service == "gateway"
        refuses = service in ("gateway", "qdrant_edge")
        for by, name in ((signal.SIGKILL, "killed"), (signal.SIGTERM, "ended")):
            lasting = partial(_ended, stack, service, by)
            ending.append(_Fault(f"{service} {name}", lasting, away, refuses, of_gateway))
        others.append(_Fault(f"{service} stopped", partial(_stopped, stack, service), away, refuses))
    for service in links.to:
        refuses = service == "qdrant_edge"
        others.append(_Fault(f"{service} far away", partial(links.late, service), refuses=refuses))
        others.append(_Fault(f"connections to {service} broken", partial(links.dropping, service), refuses=refuses))
    others.append(_Fault("another key", partial(_with_another_key, stack)))
    others.append(_Fault("other certificates", renew))
    return [ending, others]


class _Clients:
    """Those who leave, and those who ask what is wrong, beside the questions and documents of others."""

    def __init__(self, stack: Stack, chance: random.Random) -> None:
        self._stack = stack
        self._chance = chance
        self.left = 0
        self.refused: Counter[int] = Counter()

    def leave(self) -> None:
        """Asks for a stream, and is gone while it comes."""
        body = {"question": f"How heavy is the ferry {self._chance.random()}?", "stream": True}
        with self._stack.http.stream("POST", "/v1/answer", json=body) as response:
            time.sleep(self._chance.uniform(0, 0.05))
            if self._chance.random() < 0.5:
                next(response.iter_raw(), None)
        self.left += 1

    def ask_wrongly(self) -> None:
        """Asks for what is not there, not allowed or not meant."""
        path, body = self._chance.choice((
            ("/v1/answer", {"question": ""}),
            ("/v1/answer", {"question": "What?", "candidates": -1}),
            ("/v1/retrieve", {"query": "What?", "collection": "nowhere"}),
        ))  # fmt: skip
        headers = {"authorization": "Bearer tv_wrong"} if self._chance.random() < 0.3 else {}
        self.refused[self._stack.http.post(path, json=body, headers=headers).status_code] += 1


@contextlib.contextmanager
def _repeating(work: Callable[[], None], pause_seconds: float) -> Iterator[None]:
    end = threading.Event()

    def repeat() -> None:
        while not end.wait(pause_seconds):
            with contextlib.suppress(httpx.TransportError):
                work()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join(120)


class _Experiment:
    """Does one fault after the other, and judges the answers."""

    def __init__(self, questions: Questions, scale: Scale, seen: Callable[[str], None]) -> None:
        self._questions = questions
        self._scale = scale
        self._seen = seen
        self.problems: list[str] = []

    def do(self, fault: _Fault, calm_seconds: float) -> None:
        """One fault, until all is well again and has been for so long."""
        started = time.monotonic()
        with fault.lasting():
            broken = time.monotonic()
            time.sleep(self._scale.pick(1.5, 6.0))
            mended = time.monotonic()
        wait_until(lambda: self._whole_since(mended) is not None, f"whole answer after {fault.name}", 120)
        well = self._whole_since(mended) or 0.0
        time.sleep(calm_seconds)
        answers = list(self._questions.answers)
        during = [one for one in answers if started <= one.asked_at < well]
        allowed = {200, 429} | ({503} if fault.refuses else set()) | ({0} if fault.breaks else set())
        lost = [one for one in during if one.status not in allowed]
        hidden = [
            one
            for one in during
            if fault.away and broken <= one.asked_at and one.ended_at < mended and one.status == 200
            and fault.away not in one.degraded
        ]  # fmt: skip
        after = [one for one in answers if one.asked_at >= well]
        self._seen(
            f"{fault.name}: {dict(sorted(Counter(one.status for one in during).items()))}, {len(lost)} lost, "
            f"{len(hidden)} unflagged; well again after {well - mended:.1f} s; p50 / p99 during {_times(during)}, "
            f"after {_times(after)}"
        )
        self.problems += [f"{fault.name}: lost {one}" for one in lost]
        self.problems += [f"{fault.name}: unflagged {one}" for one in hidden]

    def _whole_since(self, moment: float) -> float | None:
        """When the first question after it was asked that was answered with all stages."""
        return next(
            (one.asked_at for one in list(self._questions.answers) if one.asked_at > moment and one.is_whole), None
        )


def _times(answers: Sequence[Answer]) -> str:
    seconds = [one.seconds for one in answers]
    return f"{percentile(seconds, 0.5):.2f} / {percentile(seconds, 0.99):.2f} s"


@pytest.mark.timeout(1800)
def test_all_faults_under_all_load_lose_nothing_and_hide_nothing(
    make_stack: Callable[..., Stack], scale: Scale, chance: random.Random, seen: Callable[[str], None], tmp_path: Path
) -> None:
    trusted = authority(tmp_path)
    shown = issued(trusted, tmp_path)
    ports = free_ports(2)
    stack = make_stack(
        TRIVIUM_TLS_CERT=str(shown.certificate), TRIVIUM_TLS_KEY=str(shown.key),
        TRIVIUM_TLS_CA=str(trusted.certificate), TRIVIUM_GATEWAY_AUTH="keys", TRIVIUM_GATEWAY_ADMIN_KEY=_FIRST_KEY,
        TRIVIUM_GATEWAY_TRACE_BYTES="1000000",  # which else fill up for half an hour, and look like a leak
        TRIVIUM_EMBED_METRICS_PORT=str(ports[0]), TRIVIUM_GENERATE_METRICS_PORT=str(ports[1]),
    )  # fmt: skip
    engine = stack.environ["TRIVIUM_GATEWAY_QDRANT_URL"].replace("http", "https")
    stack.environ["TRIVIUM_GATEWAY_QDRANT_URL"] = engine
    stack.http.close()
    stack.http = httpx.Client(
        base_url=f"https://127.0.0.1:{stack.http_port}", headers={"authorization": f"Bearer {_FIRST_KEY}"},
        verify=ssl.create_default_context(cafile=str(trusted.certificate)), timeout=60,
    )  # fmt: skip
    local = "http://127.0.0.1:{}/metrics".format
    held = Held(stack, {
        "gateway": "/metrics", "embed": local(ports[0]), "rerank": stack.rerank_metrics, "generate": local(ports[1]),
        "qdrant_edge": f"{engine}/metrics",
    }, _FIRST_KEY)  # fmt: skip
    links, clients = Links(), _Clients(stack, random.Random(chance.getrandbits(32)))
    links.insert(stack)
    try:
        stack.start()
        stack.wait_ready()
        witness = Witness(stack, ["default"], seed=chance.getrandbits(32), writers=1, askers=1, pause_seconds=0.5)
        witness.seed(50)
        questions = Questions(stack, scale.pick(4, 2))
        experiment = _Experiment(questions, scale, seen)
        ending, others = _faults(stack, links, partial(_with_other_certificates, trusted, shown, tmp_path))
        with (
            questions.asking(), witness.running(), _repeating(clients.leave, scale.pick(0.2, 0.8)),
            _repeating(clients.ask_wrongly, 1.0),
        ):  # fmt: skip
            for fault in chance.sample(ending, scale.pick(1, len(ending))):
                experiment.do(fault, scale.pick(0.5, 10.0))
            with _repeating(held.look, scale.pick(0.5, 2.0)):
                for fault in chance.sample(others, scale.pick(2, len(others))):
                    experiment.do(fault, scale.pick(0.5, 32.0))
        lost, returned = witness.losses()
    finally:
        links.close()

    grown = held.first_and_last()
    for service, kinds in grown.items():
        seen(f"{service}: " + ", ".join(f"{kind} {first:.0f} to {last:.0f}" for kind, (first, last) in kinds.items()))
    seen(
        f"{questions.asked} questions, {clients.left} who left, refusals {dict(clients.refused)}; "
        f"{len(witness.acknowledged)} documents acknowledged, {len(lost)} lost, {len(witness.deleted)} deleted, "
        f"{len(returned)} of them there, {len(witness.silent)} answers silent"
    )
    assert not experiment.problems, experiment.problems[:5]
    assert not [*lost, *returned, *witness.silent]
    assert set(clients.refused) <= {400, 401, 404, 422, 429, 503}
    assert grown.keys() == set(SERVICES)
    if scale.long:
        for service, kinds in grown.items():
            for kind, (first, last) in kinds.items():
                assert last <= 1.1 * first + _MORE[kind], (service, kind)
