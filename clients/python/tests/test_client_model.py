"""`trivium model use`: a language model is asked by the real generation service before it is chosen."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from trivium_client.cli.app import main
from trivium_client.stack.settings_file import read_settings, with_settings, write_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHOSEN = {"TRIVIUM_GENERATE_BACKEND": "openai", "TRIVIUM_GENERATE_MODEL": "qwen3:4b"}


@dataclass
class ModelServer:
    """A server that speaks the wire format of OpenAI's API, as Ollama, llama.cpp and vLLM do.

    Attributes:
        url: Its address.
        says: What it answers.
        status: Of its answers.
        asked: What it was sent.
    """

    url: str = ""
    says: str = "It gets 1,240 degrees hot [1]."
    status: int = 200
    asked: list[dict[str, Any]] = field(default_factory=list)

    def chunks(self) -> bytes:
        def chunk(delta: dict[str, str], reason: str | None) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": reason}
            whole = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
            return b"data: " + json.dumps(whole).encode() + b"\n\n"

        return chunk({"role": "assistant", "content": self.says}, None) + chunk({}, "stop") + b"data: [DONE]\n\n"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    state = ModelServer()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            known = self.path == "/v1/models"
            self._answer(200 if known else 404, json.dumps({"data": [{"id": "qwen3:4b"}]} if known else {}).encode())

        def do_POST(self) -> None:
            state.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if state.status == 200:
                self._answer(200, state.chunks(), "text/event-stream")
            else:
                self._answer(state.status, b'{"error": {"message": "the quota is used up"}}')

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{listener.server_port}/v1"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Runs `trivium model` with a data folder of the test's own; gives exit status, standard output and error."""
    monkeypatch.setenv("TRIVIUM_DATA_DIR", str(tmp_path / "data"))
    for name in [name for name in os.environ if name.startswith("TRIVIUM_GENERATE_") or name.endswith("_API_KEY")]:
        monkeypatch.delenv(name)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trivium", "model", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return run


def test_model_that_answers_is_chosen_for_the_next_start_and_shown(
    run: Any, server: ModelServer, tmp_path: Path
) -> None:
    status, out, err = run("use", "ollama", "--url", server.url)

    assert status == 0, err
    assert server.says in out
    assert "1,240 degrees" in json.dumps(server.asked[-1]), "it was asked without the passage"
    file = tmp_path / "data/settings.env"
    assert read_settings(file) == CHOSEN | {"TRIVIUM_GENERATE_API_URL": server.url}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("--data-dir", str(tmp_path / "data"))[1] == f"qwen3:4b (openai) at {server.url}\n"
    environment = with_settings({"TRIVIUM_GENERATE_MODEL": "mine"}, tmp_path / "data")
    assert (environment["TRIVIUM_GENERATE_BACKEND"], environment["TRIVIUM_GENERATE_MODEL"]) == ("openai", "mine")

    assert run("use", "extractive")[0] == 0
    assert read_settings(file) == {"TRIVIUM_GENERATE_BACKEND": "extractive"}


def test_model_that_overlooks_the_passage_is_chosen_with_a_warning(run: Any, server: ModelServer) -> None:
    server.says = "Kilns are hot."
    status, _, err = run("use", "vllm", "qwen3:4b", "--url", server.url)

    assert status == 0
    assert "overlooks what it is given" in err


def test_model_that_does_not_answer_changes_nothing_and_says_why(run: Any, server: ModelServer, tmp_path: Path) -> None:
    server.status = 403
    status, _, err = run("use", "llama.cpp", "--url", server.url)

    assert status == 1
    assert "Nothing was changed." in err
    assert "Traceback" not in err
    assert not (tmp_path / "data").exists()


def test_server_that_speaks_no_http_is_told_with_what_to_do(run: Any) -> None:
    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"\x00\x00\x00\x04\x00\n")  # as a server of HTTP/2 does

    with socket.create_server(("127.0.0.1", 0)) as listening:
        answering = threading.Thread(target=answer, args=(listening,))
        answering.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        status, _, err = run("use", "ollama", "qwen3:4b", "--url", url)
        answering.join()

    assert status == 1
    assert f"ollama does not answer at {url}: start it with" in err


def test_provider_that_there_is_not_is_told_by_which_there_are(run: Any) -> None:
    _, _, err = run("use", "gpt5")
    assert "'gpt5' is not one of 'ollama'" in err
    assert "Value error" not in err


def test_server_that_is_not_there_or_lacks_the_model_is_told_with_what_to_do(run: Any, server: ModelServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    _, _, err = run("use", "ollama", "qwen3:4b", "--url", nobody)
    assert f"does not answer at {nobody}: start it with `ollama serve`" in err

    status, _, err = run("use", "ollama", "qwen3:400b", "--url", server.url)
    assert status == 1
    assert "has no model qwen3:400b; at" in err
    assert "there is: qwen3:4b" in err
    assert not server.asked


def test_api_takes_its_key_from_where_people_keep_it(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "no key: set ANTHROPIC_API_KEY" in run("use", "anthropic", "claude-sonnet-5-5", "--no-check")[2]
    assert "name a model" in run("use", "openai")[2]

    monkeypatch.setenv("ANTHROPIC_API_KEY", "a key")
    assert run("use", "anthropic", "claude-sonnet-5-5", "--no-check")[0] == 0
    written = read_settings(tmp_path / "data/settings.env")
    assert (written["TRIVIUM_GENERATE_BACKEND"], written["TRIVIUM_GENERATE_API_KEY"]) == ("anthropic", "a key")


def test_file_of_docker_compose_keeps_its_lines_and_gets_an_address_that_containers_reach(
    run: Any, server: ModelServer, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("# mine\nTRIVIUM_HTTP_PORT=8090\nTRIVIUM_GENERATE_MODEL=old\n")
    status, out, err = run("use", "ollama", "qwen3:4b", "--url", server.url, "--env-file", str(file))

    assert status == 0, err
    assert "docker compose up" in out
    assert file.read_text().startswith("# mine\nTRIVIUM_HTTP_PORT=8090\nTRIVIUM_GENERATE_BACKEND=openai\n")
    port = server.url.split(":")[2]
    assert read_settings(file)["TRIVIUM_GENERATE_API_URL"] == f"http://host.docker.internal:{port}"


def test_environment_that_says_otherwise_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_GENERATE_BACKEND", "vllm")
    _, _, err = run("use", "extractive")

    assert "TRIVIUM_GENERATE_BACKEND in the environment says otherwise" in err


@pytest.mark.parametrize("value", ["plain", "it's", '{"a": "b $HOME"}', "two words", "", "#no comment"])
def test_settings_come_out_of_the_file_as_they_went_in_and_a_shell_reads_them_so(tmp_path: Path, value: str) -> None:
    file = tmp_path / "settings.env"
    write_settings(file, {"TRIVIUM_X": value, "TRIVIUM_Y": "kept"})
    write_settings(file, {"TRIVIUM_Z": None})

    assert read_settings(file) == {"TRIVIUM_X": value, "TRIVIUM_Y": "kept"}
    shell = subprocess.run(
        ["sh", "-c", f'. "{file}" && printf %s "$TRIVIUM_X"'], capture_output=True, text=True, check=True
    )
    assert shell.stdout == value
