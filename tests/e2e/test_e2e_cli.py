"""The `trivium` command against the real stack: up, ingest, ask, what dies and what comes back."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from e2e.stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRIVIUM = (sys.executable, "-m", "trivium_client.cli.app")
CORPUS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "corpus"
NAMES = {"qdrant", "embed", "rerank", "generate", "gateway"}


class Up:
    """A running `trivium up` on free ports.

    Args:
        folder: For its data and addresses.
        models: Where converted models are, so that one test leaves them to the next.
    """

    def __init__(self, folder: Path, models: Path) -> None:
        self.folder = folder
        self._addresses = folder / "addresses.json"
        models.mkdir(exist_ok=True)
        (folder / "data").mkdir()
        (folder / "data" / "cache").symlink_to(models)
        command = [*TRIVIUM, "up", "--free-ports", "--data-dir", str(folder / "data")]
        command += ["--addresses-file", str(self._addresses)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    @property
    def addresses(self) -> dict[str, dict[str, str]]:
        addresses: dict[str, dict[str, str]] = json.loads(self._addresses.read_text())
        return addresses

    def wait_for(self, text: str, seconds: float = 180, times: int = 1) -> None:
        """Waits until a text was printed so many times."""

        def printed() -> bool:
            assert self.process.poll() is None or text in self.log, f"`trivium up` ended:\n{self.log}"
            return self.log.count(text) >= times

        wait_until(printed, f"{text!r} in the output of `trivium up`", seconds)

    def pid(self, name: str) -> int:
        """The latest process id of a service."""
        return int(re.findall(rf"{name} is started(?: again)? \(pid (\d+)\)", self.log)[-1])

    def end(self) -> None:
        """Kills it."""
        self.process.kill()
        self.process.wait(60)
        self._reader.join(60)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line.rstrip("\n"))


def is_running(pid: int) -> bool:
    """Whether a process has not ended; one whose status nobody asked for yet has."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def started(folder: Path, models: Path) -> Iterator[Up]:
    """A stack whose processes are started, not more."""
    up = Up(folder, models)
    try:
        up.wait_for("gateway is started", 60)
        yield up
    finally:
        up.end()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Up]:
    """A stack that is ready."""
    up = Up(tmp_path_factory.mktemp("up"), models)
    try:
        up.wait_for("all stages are ready")
        yield up
    finally:
        up.end()


def trivium(up: Up, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TRIVIUM_GATEWAY": up.addresses["gateway"]["grpc"]}
    return subprocess.run([*TRIVIUM, *arguments], capture_output=True, text=True, env=environment, timeout=120)


def trivium_json(up: Up, *arguments: str) -> Any:
    outcome = trivium(up, *arguments, "--json")
    assert outcome.returncode == 0, outcome.stderr
    return json.loads(outcome.stdout)


@pytest.fixture(scope="module")
def filled(up: Up, tmp_path_factory: pytest.TempPathFactory) -> Up:
    docs = tmp_path_factory.mktemp("docs")
    (docs / "birds").mkdir()
    (docs / "birds" / "heron.md").write_text("# The heron\n\nThe grey heron stands 90 to 98 centimetres tall.\n")
    (docs / "otter.html").write_text("<title>The otter</title><p>An otter's den is called a holt.</p>")
    (docs / "茶.txt").write_text("龙井茶产于杭州。冲泡龙井茶的水温以八十度为宜。")
    outcome = trivium(up, "ingest", str(docs))
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("3 indexed in ")
    return up


@pytest.mark.parametrize(
    ("question", "document_id", "fact"),
    [
        ("How tall does the grey heron stand?", "birds/heron.md", "98 centimetres"),
        ("What is an otter's den called?", "otter.html", "holt"),
        ("冲泡龙井茶的水温是多少?", "茶.txt", "八十度"),
    ],
)
def test_ask_gives_a_cited_answer(filled: Up, question: str, document_id: str, fact: str) -> None:
    body = trivium_json(filled, "ask", question)

    assert fact in body["answer"]
    assert body["degraded"] == []
    assert body["citations"][0]["document_id"] == document_id
    assert body["passages"][0]["uri"].endswith(document_id)

    plain = trivium(filled, "ask", question)
    assert plain.returncode == 0
    assert plain.stdout.startswith(body["answer"] + "\n\nSources\n[1] ")
    assert plain.stderr == ""


def test_documents_are_listed_read_and_deleted(filled: Up, folder: Path) -> None:
    (folder / "gone.txt").write_text("Nobody will miss this.")
    assert trivium(filled, "ingest", str(folder / "gone.txt")).returncode == 0

    listed = {document["id"]: document for document in trivium_json(filled, "documents")["documents"]}
    assert set(listed) == {"birds/heron.md", "otter.html", "茶.txt", "gone.txt"}
    assert listed["birds/heron.md"]["title"] == "The heron"
    assert trivium(filled, "documents", "get", "gone.txt").stdout == "Nobody will miss this.\n"
    assert trivium(filled, "documents", "delete", "gone.txt").returncode == 0
    missing = trivium(filled, "documents", "get", "gone.txt")
    assert (missing.returncode, missing.stdout) == (5, "")
    assert "gone.txt" in missing.stderr


def test_ingest_again_finds_everything_unchanged_and_names_what_fails(filled: Up, folder: Path) -> None:
    (folder / "good.md").write_text("Good text.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and nothing more")
    (folder / "blank.txt").write_text("  \n")

    first = trivium(filled, "ingest", "--collection", "default", str(folder))
    second = trivium(filled, "ingest", str(folder / "good.md"))
    trivium(filled, "documents", "delete", "good.md")

    assert first.returncode == 1
    assert first.stdout.startswith("1 indexed, 2 failed in ")
    assert len(first.stderr.splitlines()) == 2
    assert f"{folder}/broken.pdf: " in first.stderr
    assert f"{folder}/blank.txt: " in first.stderr
    assert second.stdout.startswith("1 unchanged in ")


def test_unknown_collection_is_an_error_that_says_so(filled: Up) -> None:
    outcome = trivium(filled, "ask", "--collection", "nowhere", "Anything?")
    assert (outcome.returncode, outcome.stdout) == (5, "")
    assert "nowhere" in outcome.stderr


def test_status_is_ready(filled: Up) -> None:
    body = trivium_json(filled, "status")
    assert body["ready"] is True
    assert {stage["stage"]: stage["ready"] for stage in body["stages"]} == dict.fromkeys(
        ("embed", "search", "rerank", "generate"), True
    )


def test_process_that_is_killed_is_told_of_and_comes_back(filled: Up) -> None:
    first = filled.pid("rerank")

    os.kill(first, signal.SIGKILL)

    filled.wait_for("rerank died: killed by SIGKILL")
    filled.wait_for("the others stay up; rerank is started again in 1 s")
    wait_until(lambda: filled.pid("rerank") != first, "rerank started again")
    os.kill(filled.pid("rerank"), signal.SIGSTOP)  # or it may be back before anybody has looked
    filled.wait_for("ready, but degraded: rerank")
    os.kill(filled.pid("rerank"), signal.SIGCONT)
    filled.wait_for("all stages are back")
    assert filled.pid("rerank") != first
    assert trivium_json(filled, "ask", "What is an otter's den called?")["degraded"] == []


def test_process_that_hangs_is_killed_and_comes_back(filled: Up) -> None:
    first = filled.pid("generate")

    os.kill(first, signal.SIGSTOP)

    filled.wait_for("generate died: it did not answer for")
    wait_until(lambda: filled.pid("generate") != first, "generate started again")
    wait_until(lambda: trivium_json(filled, "status")["ready"], "status")
    wait_until(lambda: not trivium_json(filled, "ask", "What is an otter's den called?")["degraded"], "answer")


def demo(data_dir: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [*TRIVIUM, "demo", "--corpus", str(CORPUS), *arguments]
    environment = os.environ | {"TRIVIUM_DATA_DIR": str(data_dir)} | environment
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)


def test_demo_beside_a_running_stack_prints_cited_answers_and_a_refusal_with_timings(filled: Up) -> None:
    outcome = demo(filled.folder / "data")

    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    answers = [question.split("Answer    ")[1] for question in outcome.stdout.split("\nQuestion  ")[1:]]
    assert len(answers) == 4
    for said, answer in zip(("out of memory", "open a ticket", "do not answer", "MaxSim"), answers, strict=True):
        written = re.split("Sources|Nearest passages", answer)[0]
        assert said in written
        assert ("[1]" in written) is (said != "do not answer")
        assert str(CORPUS) in answer
        assert re.search(r"embed .* ms · search .* ms · rerank .* ms · .*total .* ms", answer)
    assert trivium_json(filled, "status")["ready"] is True


def test_demo_whose_examples_are_answered_otherwise_fails_and_says_which(filled: Up, folder: Path) -> None:
    (folder / "corpus").mkdir()
    (folder / "corpus" / "otters.txt").write_text("An otter's den is called a holt.\n")

    outcome = subprocess.run(
        [*TRIVIUM, "demo", "--corpus", str(folder / "corpus")],
        capture_output=True,
        text=True,
        env=os.environ | {"TRIVIUM_DATA_DIR": str(filled.folder / "data")},
        timeout=280,
    )

    assert outcome.returncode == 1
    assert "does not say 'out of memory'" in outcome.stderr.splitlines()[-1]


def test_demo_as_json_says_what_it_did_and_nothing_else(filled: Up) -> None:
    outcome = demo(filled.folder / "data", "--json", "--question", "What does an exit status of 137 mean?")

    assert outcome.returncode == 0, outcome.stderr
    shown = json.loads(outcome.stdout)
    assert {document["status"] for document in shown["documents"]} == {"indexed"}
    (answer,) = shown["answers"]
    assert answer["citations"]
    assert answer["degraded"] == []
    assert 0 < shown["ready_seconds"] < shown["seconds"]


def test_demo_with_a_process_that_dies_fails_and_shows_its_log(filled: Up) -> None:
    outcome = demo(filled.folder / "data", TRIVIUM_EMBED_BACKEND="abacus")

    assert outcome.returncode == 1
    assert outcome.stderr.splitlines()[-1] == "error: embed died: exit status 2; the log above says more"
    assert "abacus" in outcome.stderr


def test_second_stack_on_the_same_ports_is_refused_before_anything_starts(filled: Up, folder: Path) -> None:
    address = filled.addresses["embed"]["grpc"]
    environment = os.environ | {
        "TRIVIUM_EMBED_LISTEN": address,
        "TRIVIUM_EMBED_METRICS_PORT": "0",
    }
    command = [*TRIVIUM, "up", "--only", "embed", "--data-dir", str(folder / "data")]

    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    assert (outcome.returncode, outcome.stdout) == (1, "")
    assert f"port {address.rpartition(':')[2]}, which embed (grpc) wants, is taken by pid" in outcome.stderr
    assert "TRIVIUM_EMBED_LISTEN" in outcome.stderr
    assert not (folder / "data").exists()


def test_ctrl_c_stops_everything_and_frees_the_ports(started: Up) -> None:
    started.wait_for("gateway  | ", 60)
    pids = {name: started.pid(name) for name in NAMES}

    # As a terminal does: to the whole process group.
    os.killpg(started.process.pid, signal.SIGINT)
    status = started.process.wait(60)

    assert status == 0
    assert not any(map(is_running, pids.values()))
    for uses in started.addresses.values():
        for address in uses.values():
            host, _, port = address.rpartition(":")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((host, int(port)), timeout=5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_kill_leaves_no_process_behind(started: Up) -> None:
    pids = {name: started.pid(name) for name in NAMES}

    started.end()

    wait_until(lambda: not any(map(is_running, pids.values())), "end of all processes", 10)
