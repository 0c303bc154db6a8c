"""How an answer is shown: as it is written, then where it comes from."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from trivium_client import Answer, AnswerDelta, AnswerEvent, AnswerSources, Citation, InternalError, Passage
from trivium_client._counting import counted
from trivium_client.cli.evidence import claims, excerpt
from trivium_client.cli.output import print_degraded, stderr, stdout, timings_line
from trivium_client.cli.state import is_first_time
from trivium_client.cli.writing import Writing

MODEL_COMMAND = "`trivium model use ollama qwen3:4b`"
"""What brings a language model."""
_EXTRACTIVE = "extractive"

_DOUBTS = {
    "weak_evidence": "the documents are hardly about this: what is above rests on what came nearest",
    "not_stated": "the documents are about this, but hardly state the answer",
}


def read_answer(events: Iterable[AnswerEvent], console: Console) -> Answer:
    """Prints the text of an answer as it is written; returns the whole."""
    writing = Writing(console)
    with stderr().status("searching", spinner_style="cyan") as waiting:
        for event in events:
            if isinstance(event, AnswerSources):
                waiting.update(f"reading {counted(len(event.passages), 'passage')}")
            elif isinstance(event, AnswerDelta):
                waiting.stop()
                writing.write(event.text)
            else:
                waiting.stop()
                writing.end()
                console.print()
                return event
    raise InternalError("the gateway ended the answer without its summary", reason="INCOMPLETE_RESPONSE")


def print_answer(events: Iterable[AnswerEvent], console: Console) -> Answer:
    """Prints an answer as it is written, then its sources and what was degraded; returns the whole."""
    answer = read_answer(events, console)
    if answer.passages:
        console.print("\nNearest passages" if answer.refused else "\nSources", style="bold")
    print_sources(answer, console, with_excerpts=console.is_terminal)
    print_doubts(answer)
    print_degraded(answer.degraded)
    return answer


def print_doubts(answer: Answer) -> None:
    """Says how far an answer is to be trusted, where that is not as it should be."""
    aside = stderr()
    if not answer.answerable and not answer.refused:
        what = _DOUBTS.get(answer.reason or "", "the documents hardly answer this")
        sure = "" if answer.confidence is None else f" (confidence {answer.confidence:.2f})"
        aside.print(f"{what}{sure}", style="yellow", soft_wrap=True)
    doubted = list(dict.fromkeys(one.index for one in answer.citations if one.verdict in ("weak", "unsupported")))
    if doubted:
        marks = " ".join(f"[{index}]" for index in doubted)
        aside.print(f"not clearly said by its source: {marks}", style="yellow", soft_wrap=True, markup=False)
    if answer.unsupported:
        some = [answer.answer[span.start : span.end] for span in answer.unsupported]
        aside.print(f"said by no source: {' '.join(some)}", style="yellow", soft_wrap=True, markup=False)


def print_sources(answer: Answer, console: Console, *, with_excerpts: bool, cited_only: bool = False) -> None:
    """Prints a line for each passage of an answer.

    Args:
        answer: The answer.
        console: Where to.
        with_excerpts: Whether to show of each cited passage the part on which the answer stands.
        cited_only: Whether to leave out passages that the answer does not cite.
    """
    cited = claims(answer)
    several = from_several(answer.passages)
    for number, passage in enumerate(answer.passages, 1):
        if cited_only and number not in cited:
            continue
        shown = _as_cited(passage, [one for one in answer.citations if one.index == number])
        console.print(source_line(number, shown, cited=number in cited, with_collection=several), soft_wrap=True)
        if with_excerpts and number in cited:
            console.print(excerpt(passage, cited[number]))


def print_costs(answer: Answer) -> None:
    """Says on a terminal how long an answer took, what wrote it, and which passages it could not take in."""
    aside = stderr()
    if not aside.is_terminal:
        return
    parts = [timings_line(answer), answer.model]
    if answer.dropped_passages:
        parts.append(f"no room for {' '.join(f'[{number}]' for number in answer.dropped_passages)}")
    parts.append(f"request {answer.request_id}")
    aside.print("\n" + " · ".join(part for part in parts if part), style="dim", soft_wrap=True)
    by_choice = answer.model == _EXTRACTIVE and not any(one.stage == "generate" for one in answer.degraded)
    if by_choice and not answer.refused and is_first_time("told_of_models"):
        words = f"These are sentences of your documents, word for word. To have a language model write: {MODEL_COMMAND}"
        aside.print(words, style="dim", soft_wrap=True)


def _as_cited(passage: Passage, citations: Sequence[Citation]) -> Passage:
    """A passage on the page of what is quoted first, which may be a later one than it and its heading begin on."""
    page = next((one.boxes[0].page for one in citations if one.boxes), passage.page)
    return passage if page == passage.page else replace(passage, page=page, heading=())


def from_several(passages: Sequence[Passage]) -> bool:
    """Whether passages are from several collections."""
    return len({one.collection for one in passages}) > 1


def source_line(number: int, passage: Passage, *, cited: bool, with_collection: bool = False) -> Text:
    """Number, score, name and place of a passage: `page 12, Limits` and where its document came from."""
    name = passage.title or passage.document_id
    place = passage.uri or (passage.document_id if passage.title else "")
    within = [f"page {passage.page}"] if passage.page is not None else []
    within += [heading for heading in passage.heading[-1:] if heading != name]
    within += [f"in {passage.collection}"] if with_collection else []
    return Text.assemble(
        (f"[{number}]", "bold cyan" if cited else "dim"),
        (f" {passage.score:.2f} ", "green" if cited else "dim"),
        (name, "bold" if cited else ""),
        f", {', '.join(within)}" if within else "",
        (f"  {place}" if place else "", "dim"),
    )


def result_console(*, as_json: bool) -> Console:
    """Where an answer is shown while it is written."""
    return Console(quiet=True) if as_json else stdout()
