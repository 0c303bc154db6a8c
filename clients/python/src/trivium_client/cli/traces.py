"""`trivium explain` and `trivium replay`."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.text import Text

from trivium_client import Trivium
from trivium_client.cli.options import GatewayOption, JsonOption, parse_settings
from trivium_client.cli.output import print_json, stdout

_MOST_CANDIDATES = 20
_FACT_PREFIXES = ("trivium.", "gen_ai.")

RequestArgument = Annotated[
    str,
    typer.Argument(
        metavar="REQUEST",
        help="The request's id: `trivium ask` says it at the end, and `--json`, the page and `X-Request-Id` have it.",
        show_default=False,
    ),
]
TextsOption = Annotated[
    bool, typer.Option("--texts", help="Show what was asked and answered, too, and not only ids and numbers.")
]


def explain(
    request: RequestArgument,
    document: Annotated[
        str | None,
        typer.Option(metavar="ID", help="A document, to say at which stage it was lost and why.", show_default=False),
    ] = None,
    texts: TextsOption = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a question was answered so: what each stage took, saw and decided, and what became of each candidate.

    A gateway keeps the last questions for an hour, in its memory.

    **Examples**

        trivium explain 5f0c2b9a1d

        trivium explain 5f0c2b9a1d --document manual.pdf

        trivium explain 5f0c2b9a1d --json | jq '.candidates[] | select(.document_id == "manual.pdf")'
    """
    with Trivium(gateway) as trivium:
        trace = trivium.get_trace(request, document_id=document or "", include_texts=texts)
    if as_json:
        print_json(trace)
        return
    if document is not None:
        _print_explanation(trace["explanation"])
        return
    _print_request(trace)
    _print_stages(trace)
    _print_passages(trace)
    _print_candidates(trace)


def replay(
    request: RequestArgument,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="What to ask otherwise: collection, filter, top_n, candidates (or rerank.candidates), rerank, "
            "collapse, mode, refusal, strict; may be repeated. VALUE is JSON, or else a text.",
            show_default=False,
        ),
    ] = None,
    texts: TextsOption = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask again what was asked, with other settings, and show what they change.

    **Examples**

        trivium replay 5f0c2b9a1d --set rerank.candidates=200

        trivium replay 5f0c2b9a1d --set rerank=false --set top_n=10
    """
    settings = parse_settings(set_)
    with Trivium(gateway) as trivium:
        traces = trivium.replay(request, settings, include_texts=texts)
    if as_json:
        print_json(traces)
        return
    before, after = traces["before"], traces["after"]
    console = stdout()
    console.print(f"after is request {after['request_id']}", style="dim", soft_wrap=True)
    for name, old, new in _differences(before, after):
        console.print(Text.assemble((f"{name}: ", "bold"), f"{_shown(old)} → {_shown(new)}"), soft_wrap=True)
    places = {one["id"]: place for place, one in enumerate(before["passages"], 1)}
    for place, passage in enumerate(after["passages"], 1):
        old = places.pop(passage["id"], None)
        moved = "new" if old is None else "as before" if old == place else f"was [{old}]"
        console.print(f"[{place}] {passage['score']:.2f}  {passage['document_id']}  {moved}", soft_wrap=True)
    gone = {place: passage_id for passage_id, place in places.items()}
    for place in sorted(gone):
        console.print(f"gone: [{place}] {before['passages'][place - 1]['document_id']}", soft_wrap=True)
    if texts and before["answer"] and after["answer"] and before["answer"]["text"] != after["answer"]["text"]:
        console.print(f"\nbefore: {before['answer']['text']}\n\nafter: {after['answer']['text']}", soft_wrap=True)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs in what was asked and how it was answered, times included."""
    pairs = [(name, before["request"][name], after["request"][name]) for name in before["request"]]
    if before["answer"] and after["answer"]:
        names = ("answerable", "confidence", "reason", "refused", "model")
        pairs += [(name, before["answer"][name], after["answer"][name]) for name in names]
    pairs.append(("degraded", _degraded(before), _degraded(after)))
    pairs.append(("milliseconds", round(before["duration_ms"]), round(after["duration_ms"])))
    return [pair for pair in pairs if pair[1] != pair[2]]


def _degraded(trace: Mapping[str, Any]) -> list[str]:
    return [f"{one['stage']}:{one['reason']}" for one in trace["degraded"]]


def _print_explanation(explanation: Mapping[str, Any]) -> None:
    console = stdout()
    fate = explanation["fate"].replace("_", " ")
    console.print(Text.assemble((f"{fate}: ", "bold"), explanation["message"]), soft_wrap=True)
    names = ("dense", "sparse", "learned", "rerank", "score")
    seen = {name: explanation[name] for name in names if explanation.get(name) is not None}
    if seen:
        console.print("  ".join(f"{name} {value:.3f}" for name, value in seen.items()), style="dim", soft_wrap=True)


def _print_request(trace: Mapping[str, Any]) -> None:
    console, answer = stdout(), trace["answer"]
    parts = [f"{trace['operation']}, {trace['outcome']} in {trace['duration_ms']:.0f} ms"]
    if trace["error"]:
        parts.append(trace["error"])
    if answer:
        sure = "" if answer["confidence"] is None else f", confidence {answer['confidence']:.2f}"
        state = "refused" if answer["refused"] else "answered" if answer["answerable"] else "answered with doubts"
        why = f" ({answer['reason']})" if answer["reason"] else ""
        parts.append(f"{state}{why}{sure}")
    console.print(" · ".join(parts), style="bold", soft_wrap=True)
    if trace["request"]["text"] is not None:
        console.print(f"question: {trace['request']['text']}", soft_wrap=True)
    asked = {name: value for name, value in trace["request"].items() if name != "text" and value not in (None, 0)}
    console.print("  ".join(f"{name}={_shown(value)}" for name, value in asked.items()), style="dim", soft_wrap=True)
    if answer and answer["text"] is not None:
        console.print(f"answer: {answer['text']}", soft_wrap=True)


def _print_stages(trace: Mapping[str, Any]) -> None:
    console = stdout()
    console.print("\nstages", style="bold")
    for stage in trace["stages"]:
        facts = "  ".join(f"{_fact(name)}={_shown(value)}" for name, value in stage["facts"].items())
        console.print(f"  {stage['name']:<9} {stage['duration_ms']:>8.1f} ms  {facts}".rstrip(), soft_wrap=True)
    for one in trace["degraded"]:
        console.print(
            f"  {one['stage']} was {one['reason']}: {one['fallback']} instead", style="yellow", soft_wrap=True
        )


def _print_passages(trace: Mapping[str, Any]) -> None:
    console, answer = stdout(), trace["answer"]
    if trace["passages"]:
        console.print("\npassages", style="bold")
    for number, passage in enumerate(trace["passages"], 1):
        citations = [one for one in (answer or {}).get("citations", ()) if one["index"] == number]
        cited = ", ".join(f"{one['verdict']} {one['support']:.2f}" for one in citations)
        same = f"  says the same: {', '.join(passage['duplicates'])}" if passage["duplicates"] else ""
        console.print(
            f"  [{number}] {passage['score']:.2f}  {passage['document_id']}  {cited or 'not cited'}{same}",
            soft_wrap=True,
        )


def _print_candidates(trace: Mapping[str, Any]) -> None:
    console, candidates = stdout(), trace["candidates"]
    if not candidates:
        return
    console.print(f"\ncandidates: {len(candidates)}, the first {_MOST_CANDIDATES} of them", style="bold")
    has_learned = any(one.get("learned") is not None for one in candidates)
    names = ("dense", "sparse", *(("learned",) if has_learned else ()), "fused", "rerank")
    _print_columns(("in the end", "in the search", *names, "shown as", "document"))
    for one in candidates[:_MOST_CANDIDATES]:
        numbers = (one.get(name) for name in names)
        shown = "" if one["passage"] is None else f"[{one['passage']}]"
        _print_columns(
            (
                _shown(one["rank"]),
                _shown(one["search_rank"]),
                *("–" if number is None else f"{number:.3f}" for number in numbers),
                shown,
                one["document_id"] or f"chunk {one['id']}",
            )
        )


def _print_columns(cells: Sequence[str]) -> None:
    *first, last = cells
    stdout().print("  " + "".join(f"{cell:>14}" for cell in first) + f"  {last}", soft_wrap=True)


def _fact(name: str) -> str:
    """A fact's name without what all names begin with."""
    return next((name.removeprefix(prefix) for prefix in _FACT_PREFIXES if name.startswith(prefix)), name)


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value)
