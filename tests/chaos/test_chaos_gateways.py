"""One of two gateways stopped under steady questions: the SDK that knows both, or a proxy, loses no answer."""

from __future__ import annotations

import shutil
import signal
import socket
import statistics
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from chaos.calls import percentile
from chaos.witness import PATIENCE_SECONDS, further_gateway
from e2e.stack import wait_until
from ports import free_ports
from trivium_client import NewDocument, Trivium, TriviumError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chaos.conftest import Scale
    from e2e.stack import Stack

_CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
_PER_SECOND = 2
_TIMES, _NOTICED_SECONDS = 2.0, 1.0
_LOST_SECONDS = 10.0
"""What no answer takes, however slow the machine: by gRPC alone a stopped gateway is known after fifteen seconds."""


class _Asker:
    """Asks at a steady rate, whether or not the answers come.

    Args:
        ask: Asks one question, and says what is wrong with the answer.
    """

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask_one = ask
        self._threads: list[threading.Thread] = []
        self.answers: list[tuple[float, float, str]] = []
        """When it was asked, how long it took, and what was wrong with it."""

    def begin(self) -> None:
        """Asks one more."""
        self._threads.append(threading.Thread(target=self._ask))
        self._threads[-1].start()

    def wait(self) -> int:
        """Waits until all answers are there, and says how many were asked for."""
        for one in self._threads:
            one.join(120)
        return len(self._threads)

    def _ask(self) -> None:
        begin = time.monotonic()
        wrong = self._ask_one(f"How heavy is the ferry at {begin}?")
        self.answers.append((begin, time.monotonic() - begin, wrong))


def _asking(trivium: Trivium) -> Callable[[str], str]:
    def ask(question: str) -> str:
        try:
            return ", ".join(one.stage for one in trivium.ask(question).degraded)
        except TriviumError as error:
            return str(error)

    return ask


def _posting(port: int) -> Callable[[str], str]:
    def ask(question: str) -> str:
        try:
            response = httpx.post(f"http://127.0.0.1:{port}/v1/answer", json={"question": question}, timeout=60)
        except httpx.HTTPError as error:
            return repr(error)
        is_whole = response.status_code == 200 and not response.json()["degraded"]
        return "" if is_whole else f"{response.status_code} {response.text[:80]}"

    return ask


@contextmanager
def _proxy(folder: Path, gateways: list[Stack]) -> Iterator[tuple[int, int] | None]:
    """HAProxy as deploy/haproxy has it before two gateways: its ports for HTTP and gRPC; None where there is none."""
    if shutil.which("haproxy") is None:
        yield None
        return
    http, grpc = free_ports(2)
    config = _CONFIG.read_text().replace(" :8080", f" 127.0.0.1:{http}").replace(" :50050", f" 127.0.0.1:{grpc}")
    for number, one in enumerate(gateways, 1):
        config = config.replace(f"gateway-{number}:8080", f"127.0.0.1:{one.http_port}")
        config = config.replace(f"gateway-{number}:50050", f"127.0.0.1:{one.grpc_port}")
        config = config.replace(
            f"{one.grpc_port} proto h2 check port 8080", f"{one.grpc_port} proto h2 check port {one.http_port}"
        )
    (folder / "haproxy.cfg").write_text(config)
    process = subprocess.Popen(["haproxy", "-f", folder / "haproxy.cfg"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: not socket.socket().connect_ex(("127.0.0.1", http)), "proxy")
        wait_until(lambda: httpx.get(f"http://127.0.0.1:{http}/readyz").status_code == 200, "gateway behind the proxy")
        yield http, grpc
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(900)
def test_stopped_gateway_beside_another_costs_no_answer(
    make_stack: Callable[[], Stack], tmp_path: Path, scale: Scale, seen: Callable[[str], None]
) -> None:
    stack = make_stack()
    stack.start()
    stack.wait_ready()
    other = further_gateway(stack, tmp_path / "other")
    other.start("gateway")
    with ExitStack() as ending:
        ending.callback(other.http.close)
        ending.callback(other.end)
        wait_until(lambda: other.stages().get("search", False), "second gateway", PATIENCE_SECONDS)
        proxy = ending.enter_context(_proxy(tmp_path, [stack, other]))
        both = f"127.0.0.1:{stack.grpc_port},127.0.0.1:{other.grpc_port}"
        trivium = ending.enter_context(Trivium(both))
        trivium.ingest([NewDocument("The ferry weighs 40 tons.", id="ferry")])
        askers = {"SDK": _Asker(_asking(trivium))}
        if proxy is not None:
            through = ending.enter_context(Trivium(f"127.0.0.1:{proxy[1]}"))
            askers |= {"proxy, HTTP": _Asker(_posting(proxy[0])), "proxy, gRPC": _Asker(_asking(through))}
        for one in askers.values():
            for _ in range(4):
                one.begin()
            one.wait()
            one.answers.clear()

        def ask_for(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                for one in askers.values():
                    one.begin()
                time.sleep(1 / _PER_SECOND)

        ask_for(scale.pick(2.0, 6.0))
        stopped_at = time.monotonic()
        other.signal("gateway", signal.SIGSTOP)
        try:
            ask_for(scale.pick(3.0, 20.0))
        finally:
            other.signal("gateway", signal.SIGCONT)
        ask_for(scale.pick(1.0, 4.0))
        asked = {name: one.wait() - 4 for name, one in askers.items()}

    for name, one in askers.items():
        before = [seconds for begin, seconds, _ in one.answers if begin + seconds < stopped_at]
        during = [seconds for begin, seconds, _ in one.answers if begin + seconds >= stopped_at]
        # HAProxy asks another gateway for most of what it has ended, and answers the others with 502.
        ended = [each for each in one.answers if each[2].startswith("502") and each[0] < stopped_at + _LOST_SECONDS]
        wrong = [each[2] for each in one.answers if each[2] and each not in ended]
        usual, meanwhile = percentile(before, 0.99), percentile(during, 0.99)
        seen(
            f"{name}: {len(during)} answers, {asked[name] - len(one.answers)} lost, {len(wrong)} degraded or refused, "
            f"{len(ended)} times 502, p50 {statistics.median(during):.2f} s, p99 {meanwhile:.2f} s; "
            f"before, of {len(before)}, p99 {usual:.2f} s"
        )
        assert len(one.answers) == asked[name]
        assert not wrong, wrong
        assert not ended or name == "proxy, HTTP"
        assert max(during) < _LOST_SECONDS
        assert not scale.long or meanwhile <= _TIMES * usual + _NOTICED_SECONDS
