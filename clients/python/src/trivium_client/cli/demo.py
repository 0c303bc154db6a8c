"""`trivium demo`."""

import asyncio
import os
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from trivium_client import Answer, DocumentResult, Trivium, TriviumError
from trivium_client._counting import counted
from trivium_client.cli.answers import print_answer, result_console
from trivium_client.cli.ingest import IngestRun
from trivium_client.cli.options import JsonOption
from trivium_client.cli.output import fail, print_json, stderr, stdout, timings_line
from trivium_client.cli.sources import Sources
from trivium_client.cli.stack_output import describe_missing
from trivium_client.stack.readiness import Readiness
from trivium_client.stack.running import StackError, StackOptions, running_stack
from trivium_client.stack.services import SERVICES, layout_on_free_ports
from trivium_client.stack.supervisor import Death


@dataclass(frozen=True, slots=True)
class Example:
    """A question about Trivium's own examples.

    Attributes:
        text: The question.
        about: What it shows.
        says: What the answer has in it; None if it is refused, since the documents do not answer it.
    """

    text: str
    about: str = ""
    says: str | None = ""


EXAMPLES = (
    Example("What does an exit status of 137 mean?", "one sentence of 40 documents", "out of memory"),
    Example("What is the reaction to a burn rate of 1?", "a row of a table", "open a ticket"),
    Example("What is the capital of Peru?", "not in the documents", None),
    Example("延迟交互的运算叫什么？", "in Chinese", "MaxSim"),
)
# The first start converts the models, which takes a minute where much else runs.
_READY_SECONDS = 240.0
_LOG_LINES = 40


def demo(
    corpus: Annotated[Path, typer.Option(metavar="PATH", exists=True, help="The documents to answer from.")] = Path(
        "examples/corpus"
    ),
    question: Annotated[
        list[str] | None,
        typer.Option("--question", "-q", metavar="TEXT", help="Ask this instead; may be given several times."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the whole path: start the stack, add documents, ask, and stop.

    Takes free ports and a data folder of its own, which is deleted at the end, so that it runs beside a stack that is
    up. Without --question it asks about Trivium's own examples what a sentence answers, a row of a table, nothing at
    all, and something in Chinese, and fails if an answer is not the right one.

    **Examples**

        trivium demo

        trivium demo --corpus ~/notes --question "Where did we leave the keys?"

        trivium demo --json | jq '.answers[].citations | length'
    """
    began = time.monotonic()
    log = DemoLog()
    models = Path(os.environ.get("TRIVIUM_DATA_DIR") or ".data").resolve()  # converted once, not once per demo
    asked = [Example(text) for text in question] if question else EXAMPLES
    try:
        with tempfile.TemporaryDirectory(prefix="trivium-demo-") as folder:
            options = StackOptions(layout_on_free_ports(SERVICES), Path(folder), model_dir=models)
            shown = asyncio.run(_run(options, corpus, asked, log, result_console(as_json=as_json)))
    except (StackError, TriviumError, DemoFailure) as error:
        aside = stderr()
        for line in log.tail:
            aside.print(line, style="dim", soft_wrap=True)
        for problem in error.problems if isinstance(error, StackError) else [str(error)]:
            fail(problem)
        raise typer.Exit(1) from None
    shown.seconds = time.monotonic() - began
    if as_json:
        print_json(shown)
        return
    console = stdout()
    console.print(f"\nAll of this took {shown.seconds:.1f} s; the processes are stopped again.")
    console.print("Next: `make up`, then `trivium ingest FOLDER` and `trivium ask QUESTION` on your own documents.")


@dataclass(slots=True)
class Shown:
    """What the demo did."""

    ready_seconds: float = 0.0
    """Until all stages were ready."""
    documents: list[DocumentResult] = field(default_factory=list)
    questions: Sequence[str] = ()
    answers: list[Answer] = field(default_factory=list)
    """One per question."""
    seconds: float = 0.0
    """All of it, the start and the end of the processes included."""


class DemoFailure(Exception):
    """The stack ran, but what it did is not what the demo promises."""


class DemoLog:
    """Keeps the end of all logs, to show it if something goes wrong, and notices the first death."""

    def __init__(self) -> None:
        self.tail: deque[str] = deque(maxlen=_LOG_LINES)
        self.died: asyncio.Future[Death] | None = None

    def on_line(self, name: str, line: str) -> None:
        if " info " in line and " OK " in line:  # a call that went well
            return
        if self.died is None or not self.died.done():  # what the others say while they are stopped explains nothing
            self.tail.append(f"{name:<8} | {line}")

    def on_start(self, name: str, pid: int) -> None:
        self.tail.append(f"{name:<8} | started (pid {pid})")

    def on_kill(self, name: str) -> None:
        pass  # what it had stored was the demo's own

    def on_death(self, death: Death) -> None:
        if self.died is not None and not self.died.done():
            self.died.set_result(death)


async def _run(options: StackOptions, corpus: Path, asked: Sequence[Example], log: DemoLog, console: Console) -> Shown:
    shown = Shown(questions=[one.text for one in asked])
    log.died = asyncio.get_running_loop().create_future()
    console.print(f"Starting {', '.join(SERVICES)}: five processes on this machine.")
    began = time.monotonic()
    async with running_stack(options, log) as stack:
        missing = Readiness(False, {})
        ready = asyncio.Event()

        def on_change(now: Readiness, seconds: float) -> None:
            nonlocal missing
            missing = now
            if now.ready and not now.missing:
                ready.set()

        watch = asyncio.create_task(stack.watch(on_change))
        try:
            with stderr().status("waiting until all stages are ready; the first start converts the models"):
                await _first(ready.wait(), log.died, _READY_SECONDS)
        except TimeoutError:
            late = f"not ready after {_READY_SECONDS:.0f} s: {describe_missing(missing)}"
            todo = "if the machine is busy, run it again: models that are converted are kept"
            raise StackError([f"{late}; {todo}"]) from None
        finally:
            watch.cancel()
        shown.ready_seconds = time.monotonic() - began
        console.print(f"Ready after {shown.ready_seconds:.1f} s.\n")
        gateway = str(options.layout.addresses["gateway"]["grpc"])
        await _first(asyncio.to_thread(_use, gateway, corpus, asked, shown, console), log.died, None)
    return shown


async def _first(work: Awaitable[object], died: asyncio.Future[Death], timeout_seconds: float | None) -> None:
    """Waits for some work, unless a process dies first.

    Raises:
        StackError: If a process died.
        TimeoutError: If neither happened in time.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait((task, died), timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    if died.done():
        task.cancel()
        raise StackError([f"{died.result().name} died: {died.result().cause}; the log above says more"])
    if not task.done():
        task.cancel()
        raise TimeoutError
    await task


def _use(gateway: str, corpus: Path, asked: Sequence[Example], shown: Shown, console: Console) -> None:
    """What a person does with a running stack: add documents, then ask."""
    with Trivium(gateway) as trivium:
        run = IngestRun(Sources([corpus]))
        with run.shown():
            run.send(trivium, collection="")
        run.summarise(console)
        run.tell_failures()
        if run.failures or not run.done_count:
            raise DemoFailure(f"{len(run.failures)} of {counted(run.done_count, 'document')} could not be added")
        shown.documents = run.results
        for example in asked:
            about = (f"  ({example.about})", "dim") if example.about else ""
            console.print(Text.assemble("\n", ("Question  ", "bold"), example.text, about), soft_wrap=True)
            console.print("Answer    ", style="bold", end="")
            answer = print_answer(trivium.ask_stream(example.text), console)
            console.print(timings_line(answer), style="dim", soft_wrap=True)
            shown.answers.append(answer)
            _check(example, answer)


def _check(example: Example, answer: Answer) -> None:
    if example.says is None:
        if not answer.refused:
            raise DemoFailure(f"{example.text!r} is answered, though the documents do not answer it")
    elif example.says and not (example.says in answer.answer and answer.citations):
        raise DemoFailure(f"the answer to {example.text!r} does not say {example.says!r}, or cites nothing")
