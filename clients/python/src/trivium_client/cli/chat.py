"""`trivium chat`."""

import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypedDict

import typer
from rich.console import Console
from rich.text import Text

from trivium_client import Answer, AnswerMode, Trivium, TriviumError, to_json
from trivium_client.cli.answers import print_answer, print_costs, print_sources, read_answer, source_line
from trivium_client.cli.ask import Mode, ModeOption
from trivium_client.cli.conversation import Conversation
from trivium_client.cli.evidence import claims, whole
from trivium_client.cli.failures import FAILED, failure_text, status_of
from trivium_client.cli.options import (
    CandidatesOption,
    CollectionOption,
    FilterOption,
    GatewayOption,
    JsonOption,
    TopNOption,
    parse_filter,
)
from trivium_client.cli.output import fail, is_interactive, print_degraded, print_json, stderr, stdout, warn
from trivium_client.cli.prompt import Prompt, history_file
from trivium_client.cli.standard_input import lines

_DEFAULT_COLLECTION = "default"


def chat(
    collection: CollectionOption = "",
    top_n: TopNOption = None,
    candidates: CandidatesOption = None,
    conditions: FilterOption = None,
    mode: ModeOption = Mode.auto,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a conversation: each question is answered from the documents, and knows what was said before.

    On a terminal, Ctrl-C stops an answer in the middle and Ctrl-D ends the conversation; `/help` lists what else can be
    typed. Lines are kept for the next time in ~/.local/state/trivium/chat_history, or the file that
    TRIVIUM_CHAT_HISTORY names; if that is set and empty, in none.

    Elsewhere each line of standard input is a question; with `--json` each answer is a line of JSON. Questions that
    fail leave the others alone; then the exit status is that of the first that failed.

    **Examples**

        trivium chat

        trivium chat --collection manuals

        trivium chat --json < questions.txt > answers.jsonl
    """
    asking: _Asking = {
        "top_n": top_n,
        "candidates": candidates,
        "filter": parse_filter(conditions),
        "mode": mode.value,
    }
    with Trivium(gateway) as trivium:
        session = ChatSession(trivium, collection, asking, as_json=as_json)
        if is_interactive() and not as_json:
            session.converse()
        else:
            session.answer_lines()
    if session.status:
        raise typer.Exit(session.status)


class _Asking(TypedDict):
    """How to ask."""

    top_n: int | None
    candidates: int | None
    filter: dict[str, Any] | None
    mode: AnswerMode


@dataclass(slots=True)
class ChatSession:
    """A conversation with a gateway.

    Attributes:
        trivium: The gateway.
        collection: The collection that questions are answered from; empty for `default`.
        asking: How to ask.
        as_json: Whether answers are printed as lines of JSON.
        status: The exit status: that of the first failure.
    """

    trivium: Trivium
    collection: str
    asking: _Asking
    as_json: bool = False
    status: int = 0
    conversation: Conversation = field(default_factory=Conversation)
    answered: Answer | None = None

    def converse(self) -> None:
        """Talks with a person until they have enough."""
        self._greet()
        with Prompt(self._complete, history_file(os.environ)) as prompt:
            while True:
                try:
                    line = prompt.read(f"{self.collection or ''}> ")
                except EOFError:
                    stdout().print()
                    break
                except KeyboardInterrupt:
                    stderr().print("\nCtrl-D ends the conversation", style="dim")
                    continue
                if not line:
                    continue
                try:
                    if not self._take(line, self._answer_shown):
                        break
                except KeyboardInterrupt:  # while a command waits for the gateway
                    stderr().print()
        self.status = 0  # a person has seen what failed

    def answer_lines(self) -> None:
        """Answers each line of standard input."""
        for line in lines():
            if line.strip() and not self._take(line.strip(), self._answer_printed):
                break

    def _take(self, line: str, answer: Callable[[str], None]) -> bool:
        """Does what a line asks for; returns whether the conversation goes on."""
        try:
            if not line.startswith("/"):
                answer(line)
                return True
            name, _, argument = line.partition(" ")
            command = COMMANDS.get(name)
            if command is None:
                fail(f"there is no command {name}; /help lists them")
                self.status = self.status or FAILED
                return True
            return command.run(self, argument.strip())
        except TriviumError as error:
            if self.as_json:
                problem = {"reason": error.reason, "message": error.message, "field": error.field}
                print_json({"question": line, "error": problem}, on_one_line=True)
            fail(failure_text(error))
            self.status = self.status or status_of(error)
            return True

    def _answer_shown(self, question: str) -> None:
        """Answers a person, who may stop it."""
        console = stdout()
        try:
            with closing(self._ask(question)) as events:
                answer = read_answer(events, console)
        except KeyboardInterrupt:
            stderr().print("\nstopped; the conversation goes on without this question", style="dim")
            return
        self._keep(question, answer)
        console.print()
        print_sources(answer, console, with_excerpts=False, cited_only=True)
        print_degraded(answer.degraded)
        print_costs(answer)

    def _answer_printed(self, question: str) -> None:
        """Answers a program."""
        if self.as_json:
            answer = read_answer(self._ask(question), Console(quiet=True))
            print_json({"question": question, **to_json(answer)}, on_one_line=True)
        else:
            console = stdout()
            if self.answered is not None:
                console.print()
            answer = print_answer(self._ask(question), console)
        self._keep(question, answer)

    def _ask(self, question: str) -> Any:
        return self.trivium.ask_stream(
            question, collection=self.collection, history=self.conversation.history(), **self.asking
        )

    def _keep(self, question: str, answer: Answer) -> None:
        self.answered = answer
        self.conversation.add(question, answer)

    def _greet(self) -> None:
        """Says where the conversation takes place. Raises if there is no gateway: nothing that is typed could help."""
        now = self.trivium.status()
        where = Text.assemble("Trivium at ", (self.trivium.address, "bold"), "; /help lists commands, Ctrl-D ends")
        stderr().print(where, style="dim")
        missing = [stage.stage for stage in now.stages if not stage.ready]
        if missing:
            warn(f"{'without' if now.ready else 'not ready:'} {', '.join(missing)}; `trivium status` says why")

    def _complete(self, line: str) -> list[str]:
        """What a line may become when TAB is pressed."""
        if line.startswith("/collection "):
            try:
                names = [collection.name for collection in self.trivium.list_collections()]
            except TriviumError:
                return []
            return [f"/collection {name}" for name in names if f"/collection {name}".startswith(line)]
        return [name for name in COMMANDS if line.startswith("/") and name.startswith(line)]

    def sources(self, argument: str) -> bool:
        """`/sources`: what the last answer stands on."""
        console = stdout()
        if self.answered is None:
            fail("there is no answer yet")
        elif not argument:
            print_sources(self.answered, console, with_excerpts=True)
        elif argument.isdecimal() and 0 < int(argument) <= len(self.answered.passages):
            number = int(argument)
            passage, cited = self.answered.passages[number - 1], claims(self.answered)
            console.print(source_line(number, passage, cited=number in cited), soft_wrap=True)
            console.print(whole(passage, cited.get(number, "")))
        else:
            fail(f"the last answer has sources 1 to {len(self.answered.passages)}")
        return True

    def new(self, _: str) -> bool:
        """`/new`: forgets what was said."""
        self.conversation.clear()
        self.answered = None
        stderr().print("a new conversation", style="dim")
        return True

    def choose_collection(self, name: str) -> bool:
        """`/collection`: asks another one, in a new conversation."""
        if not name:
            for collection in self.trivium.list_collections():
                current = collection.name == (self.collection or _DEFAULT_COLLECTION)
                stdout().print(f"{'*' if current else ' '} {collection.name}")
            return True
        if name != _DEFAULT_COLLECTION:  # which need not exist yet
            self.trivium.get_collection(name)
        self.collection = name
        return self.new("")

    def help(self, _: str) -> bool:
        """`/help`: lists the commands."""
        for name, command in COMMANDS.items():
            stdout().print(Text.assemble((f"{name + command.argument:<20}", "bold"), command.words))
        return True

    def quit(self, _: str) -> bool:
        """`/quit`: ends the conversation."""
        return False


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """What can be typed in place of a question.

    Attributes:
        run: Does it; returns whether the conversation goes on.
        words: What it does.
        argument: What may follow it.
    """

    run: Callable[[ChatSession, str], bool]
    words: str
    argument: str = ""


COMMANDS = {
    "/sources": ChatCommand(ChatSession.sources, "the passages of the last answer, or the whole of one", " [N]"),
    "/new": ChatCommand(ChatSession.new, "a new conversation, without what was said before"),
    "/collection": ChatCommand(ChatSession.choose_collection, "list collections, or ask another one", " [NAME]"),
    "/help": ChatCommand(ChatSession.help, "this list"),
    "/quit": ChatCommand(ChatSession.quit, "the end, as with Ctrl-D"),
}
