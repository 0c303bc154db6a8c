"""Conversations: what goes along with a question, through a pipe and on a terminal."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from rich.console import Console
from trivium.gateway.v1 import gateway_service_pb2 as pb
from trivium.type.v1 import message_pb2
from trivium_client import Answer, Citation, Passage, Scores, Span, Timings, Usage
from trivium_client.cli import conversation
from trivium_client.cli.app import main
from trivium_client.cli.conversation import Conversation
from trivium_client.cli.evidence import best_sentence, claims
from trivium_client.cli.writing import Writing
from trivium_gateway.domain.limits import GatewayLimits

Chat = Callable[..., tuple[int, str, str]]


def answer(text: str, *cited: tuple[int, int]) -> Answer:
    """An answer that cites: number of the passage, and where `[n]` begins."""
    passage = Passage("p", "d", "", "", "", 0.5, Scores(None, None, None, None), Span(0, 0), {})
    citations = tuple(
        Citation(number, "d", "p", "", "", Span(0, 0), Span(start, start + len(f"[{number}]")))
        for number, start in cited
    )
    none = Timings(None, None, None, None, None)
    return Answer(text, True, None, citations, (passage,) * 3, none, (), Usage(0, 0), "", "")


def said(text: str) -> tuple[pb.AnswerResponse, ...]:
    return (
        pb.AnswerResponse(sources=pb.Sources()),
        pb.AnswerResponse(delta=pb.AnswerDelta(text=text)),
        pb.AnswerResponse(summary=pb.AnswerSummary(answer=text, answerable=True)),
    )


def test_conversation_keeps_to_what_the_gateway_takes() -> None:
    limits = GatewayLimits()
    assert limits.max_history_messages == conversation.MAX_MESSAGES
    assert limits.max_history_characters == conversation.MAX_CHARACTERS

    many, long = Conversation(), Conversation()
    for number in range(40):
        many.add(f"question {number}", answer(f"answer {number}"))
        long.add("q", answer("a" * 9_999))

    assert len(many.history()) == limits.max_history_messages
    assert [turn.content for turn in many.history()[-2:]] == ["question 39", "answer 39"]
    assert many.history()[0].role == "user"
    assert sum(len(turn.content) for turn in long.history()) == 60_000
    many.add("q", answer("a" * 64_000))
    assert many.history() == []  # it alone is over the limit


def test_conversation_leaves_out_citations_and_empty_answers() -> None:
    talk = Conversation()
    talk.add("How long?", answer("Two years [1]. Or [2] not.", (1, 10), (2, 18)))
    talk.add("And then?", answer(" "))

    assert [turn.content for turn in talk.history()] == ["How long?", "Two years. Or not."]


def test_claims_are_the_sentences_that_cite() -> None:
    text = "It is 98 cm tall. It eats fish [1][2]. 水温八十度。[1]"

    said = answer(text, (1, 31), (2, 34), (1, 45))
    places = [Span(18, 30), Span(18, 30), Span(39, 45)]
    citations = tuple(replace(one, sentence=place) for one, place in zip(said.citations, places, strict=True))

    assert claims(replace(said, citations=citations)) == {1: "It eats fish 水温八十度。", 2: "It eats fish"}
    assert set(claims(said)) == {1, 2}, "an earlier gateway does not say the sentence"


@pytest.mark.parametrize(
    ("text", "claim", "sentence"),
    [
        ("Herons fish. They stand 98.5 cm tall! Otters dig.", "How tall, 98.5 cm?", "They stand 98.5 cm tall!"),
        ("# Herons\n\nThey eat fish", "herons eat fish", "They eat fish"),
        ("龙井茶产于杭州。水温以八十度为宜。", "水温是多少", "水温以八十度为宜。"),
        ("Nothing in common.", "Was?", ""),
        ("", "x", ""),
    ],
)
def test_best_sentence_has_the_words_of_the_claim(text: str, claim: str, sentence: str) -> None:
    start, end = best_sentence(text, claim)

    assert text[start:end] == sentence


def test_writing_breaks_lines_between_words_on_a_terminal_only() -> None:
    pieces = ("One two th", "ree four\nfi", "ve ", "一二三四五六七八九 ", "end [1]")
    for terminal, expected in (
        (True, "One two \nthree four\nfive 一二三四五六七八九 \nend [1]"),
        (False, "".join(pieces)),
    ):
        console = Console(
            file=io.StringIO(), width=12, force_terminal=terminal, color_system=None, legacy_windows=False
        )
        writing = Writing(console)
        for piece in pieces:
            writing.write(piece)
        writing.end()
        assert console.file.getvalue() == expected  # type: ignore[attr-defined]


@pytest.fixture
def chat(gateway: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Chat:
    """Runs `trivium chat` with some standard input; gives exit status, standard output, standard error."""
    monkeypatch.setenv("TRIVIUM_GATEWAY", gateway.address)

    def run(typed: str, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trivium", "chat", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        output = capsys.readouterr()
        return int(ended.value.code or 0), output.out, output.err

    return run


def test_piped_questions_are_answered_one_after_the_other_with_what_was_said(gateway: Any, chat: Chat) -> None:
    gateway.will("Answer", *said("Two years."), *said("Three."), *said("Blue."))

    status, out, err = chat("How long?\n\n  And the other?\n/new\nWhich colour?\n/quit\nNever asked\n", "-c", "docs")

    assert (status, out, err) == (0, "Two years.\n\nThree.\nBlue.\n", "a new conversation\n")
    first, second, third = gateway.requests
    assert (first.question, len(first.history)) == ("How long?", 0)
    assert (second.question, [turn.content for turn in second.history]) == (
        "And the other?",
        ["How long?", "Two years."],
    )
    assert second.history[1].role == message_pb2.ROLE_ASSISTANT
    assert (third.question, len(third.history), third.collection) == ("Which colour?", 0, "docs")


def test_piped_questions_as_json_give_a_line_each_and_failures_leave_the_others_alone(
    gateway: Any, refusal: Any, chat: Chat
) -> None:
    too_long = refusal(grpc.StatusCode.INVALID_ARGUMENT, "too long", "QUERY_TOO_LONG", field="question")
    gateway.will("Answer", too_long)
    original = gateway._outcome

    def outcome(name: str, request: Any, context: Any) -> Any:
        if not gateway.script["Answer"]:
            gateway.will("Answer", *said("Two years."))
        return original(name, request, context)

    gateway._outcome = outcome
    gateway.script["Answer"].extend(said("Two years."))

    status, out, err = chat("x\nHow long?\n", "--json")

    refused, answered = map(json.loads, out.splitlines())
    assert status == 6
    assert refused["question"] == "x"
    assert refused["error"] == {"reason": "QUERY_TOO_LONG", "message": "too long", "field": "question"}
    assert (answered["question"], answered["answer"]) == ("How long?", "Two years.")
    assert err == "error: question: too long (QUERY_TOO_LONG)\n"


@pytest.mark.parametrize("line", ["/nonsense", "/sources"])
def test_piped_command_that_cannot_be_obeyed_fails(gateway: Any, chat: Chat, line: str) -> None:
    status, out, err = chat(f"{line}\n")

    assert (status, out) == (1 if line == "/nonsense" else 0, "")
    assert err.startswith("error: there is no ")


class Terminal:
    """A `trivium chat` on a terminal of its own."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.shown = ""
        self._own, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trivium_client.cli.app", "chat"],
            env=os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"} | environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_terminal,
        )
        os.close(theirs)

    def type(self, keys: str) -> None:
        os.write(self._own, keys.encode())

    def wait_for(self, text: str, seconds: float = 60) -> None:
        """Waits until a text is shown that was not waited for before."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, f"{text!r} is not in {self.shown!r}"
            if select.select([self._own], [], [], 0.2)[0]:
                try:
                    self.shown += os.read(self._own, 65_536).decode(errors="replace")
                except OSError:  # the process has ended
                    break
        assert text in self.shown
        self.shown = self.shown.partition(text)[2]

    def end(self) -> int:
        """Closes the terminal; returns the exit status."""
        try:
            return self._process.wait(60)
        finally:
            self._process.kill()
            os.close(self._own)


def _take_terminal() -> None:
    """Makes standard input the process's own terminal, whose keys become signals."""
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_ctrl_c_stops_an_answer_in_the_middle_and_ctrl_d_ends_the_conversation(gateway: Any, tmp_path: Path) -> None:
    cancelled = threading.Event()
    original = gateway._outcome

    def outcome(name: str, request: Any, context: Any) -> Any:
        answer = original(name, request, context)
        if name == "Answer" and request.question == "Slow?" and answer.HasField("summary"):
            if not context.add_callback(cancelled.set):  # it has been cancelled already
                cancelled.set()
            cancelled.wait(60)
        return answer

    gateway._outcome = outcome
    gateway.will("GetStatus", pb.GetStatusResponse(ready=True))
    gateway.will("Answer", *said("It is \n"), *said("Two years."))
    history = tmp_path / "state" / "history"

    terminal = Terminal({"TRIVIUM_GATEWAY": gateway.address, "TRIVIUM_CHAT_HISTORY": str(history)})
    terminal.wait_for("> ")
    terminal.type("Slow?\n")
    terminal.wait_for("It is")
    terminal.type("\x03")
    assert cancelled.wait(30)
    terminal.wait_for("stopped")
    terminal.wait_for("> ")
    terminal.type("/so\t\n")
    terminal.wait_for("there is no answer yet")
    terminal.wait_for("> ")
    terminal.type("How long?\n")
    terminal.wait_for("Two years.")
    terminal.wait_for("> ")
    terminal.type("\x04")

    assert terminal.end() == 0
    assert [len(request.history) for request in gateway.requests if hasattr(request, "history")] == [0, 0]
    assert history.read_text().splitlines() == ["Slow?", "/sources", "How long?"]
    assert history.stat().st_mode & 0o077 == 0
