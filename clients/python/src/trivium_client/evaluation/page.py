"""A report as one HTML file with charts, which needs nothing else and can be sent by mail."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_MEASURES = {
    "ndcg_at_10": "nDCG@10",
    "mrr_at_10": "MRR@10",
    "recall_at_5": "recall@5",
    "recall_at_20": "recall@20",
    "recall_at_100": "recall@100",
}
_WORST_COUNT = 25

_STYLE = """
:root { color-scheme: light dark; --line: #8885; --bar: #0d9488; --other: #f59e0b; --quiet: #888; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { text-align: right; padding: .25rem .8rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; max-width: 44rem; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
.quiet { color: var(--quiet); }
"""


def report_page(report: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """The page of a report.

    Args:
        report: As `make_report` makes it.
        texts: The questions, by their ids.
    """
    title = f"Evaluation of {report['dataset']['name']}"
    counts = report["questions"]
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p class=quiet>{counts['measured']} of {counts['asked']} questions, collection "
        f"{escape(report['collection'])}, {escape(report['began'])}. Models: "
        f"{escape(', '.join(f'{stage} {model}' for stage, model in report['models'].items() if model))}.</p>",
        *_retrieval(report["retrieval"]),
        *_answers(report["answers"]),
        *_refusal(report["refusal"]),
        *_latency(report["latency_ms"]),
        *_worst(report["values"], texts),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    return f'<!doctype html><html lang="en">{head}<style>{_STYLE}</style><body>{"".join(sections)}</body></html>\n'


def _retrieval(legs: Mapping[str, Mapping[str, float]]) -> list[str]:
    if not legs:
        return []
    rows = [[leg, *(_number(one.get(name)) for name in _MEASURES)] for leg, one in legs.items()]
    return [
        "<h2>Retrieval</h2>",
        _bars({leg: {"nDCG@10": one["ndcg_at_10"], "recall@5": one["recall_at_5"]} for leg, one in legs.items()}, 1.0),
        _table(["order", *_MEASURES.values()], rows),
    ]


def _answers(answers: Mapping[str, Any] | None) -> list[str]:
    if answers is None:
        return []
    rows = {
        "a right answer is in the answer": answers["hit"],
        "a right answer is in the passages": answers["evidence_hit"],
        "a document that answers is cited": answers["cites_relevant"],
        "mean support of a citation": answers["support"],
        "citations that are supported": answers["supported"],
        "answers with a sentence that nothing supports": answers["with_unsupported_sentences"],
    }
    return ["<h2>Answers</h2>", _table(["", "share"], [[name, _number(value)] for name, value in rows.items()])]


def _refusal(refusal: Mapping[str, Any] | None) -> list[str]:
    if refusal is None:
        return []
    rows = {
        "precision of “not answerable”": refusal["precision"],
        "recall of it": refusal["recall"],
        "answerable questions that were marked": refusal["false_refusals"],
        "AUROC of the confidence": refusal["auroc"],
        "area under risk and coverage": refusal["area_under_risk_coverage"],
    }
    return [
        "<h2>Refusal</h2>",
        _table(["", "value"], [[name, _number(value)] for name, value in rows.items()]),
        *([_curve(refusal["risk_coverage"])] if refusal["risk_coverage"] else []),
    ]


def _latency(stages: Mapping[str, Mapping[str, float]]) -> list[str]:
    if not stages:
        return []
    longest = max(one["p95"] for one in stages.values())
    bars = {stage: {"p50 ms": one["p50"], "p95 ms": one["p95"]} for stage, one in stages.items()}
    return ["<h2>Latency by stage</h2>", _bars(bars, longest, digits=1)]


def _worst(values: Mapping[str, Mapping[str, float]], texts: Mapping[str, str]) -> list[str]:
    """The questions whose documents come last."""
    judged = {one: found["final.ndcg_at_10"] for one, found in values.items() if "final.ndcg_at_10" in found}
    worst = sorted(judged, key=lambda one: judged[one])[:_WORST_COUNT]
    rows = [[texts.get(one, one), one, _number(judged[one])] for one in worst]
    return ["<h2>Questions that fare worst</h2>", _table(["question", "id", "nDCG@10"], rows)] if rows else []


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(one)}</td>" for one in row) + "</tr>" for row in rows)
    return f"<table><tr>{cells}</tr>{body}</table>"


def _bars(groups: Mapping[str, Mapping[str, float]], top: float, digits: int = 3) -> str:
    """Horizontal bars, two a group at most."""
    parts, y = [], 4
    for name, bars in groups.items():
        parts.append(f'<text x="0" y="{y + 13}">{escape(name)}</text>')
        for colour, (label, value) in zip(("var(--bar)", "var(--other)"), bars.items(), strict=False):
            width = 420 * value / top if top else 0
            parts.append(f'<rect x="110" y="{y}" width="{width:.1f}" height="14" fill="{colour}"/>')
            parts.append(f'<text x="{116 + width:.1f}" y="{y + 12}">{value:.{digits}f} {escape(label)}</text>')
            y += 17
        y += 8
    return f'<svg viewBox="0 0 660 {y}" role="img">{"".join(parts)}</svg>'


def _curve(points: Sequence[Sequence[float]]) -> str:
    """Risk over coverage."""
    left, top, width, height = 45, 10, 560, 240
    line = " ".join(f"{left + width * coverage:.1f},{top + height * (1 - risk):.1f}" for coverage, risk in points)
    ticks = "".join(
        f'<text x="{left + width * share - 8:.0f}" y="{top + height + 18}">{share:g}</text>'
        f'<text x="8" y="{top + height * (1 - share) + 4:.0f}">{share:g}</text>'
        f'<path d="M{left} {top + height * (1 - share):.0f}h{width}" stroke="var(--line)"/>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    )
    words = "coverage (share of questions answered) → · risk (share of those answered wrongly) ↑"
    return (
        f'<svg viewBox="0 0 660 {top + height + 46}" role="img">{ticks}'
        f'<polyline points="{line}" fill="none" stroke="var(--bar)" stroke-width="2"/>'
        f'<text x="{left}" y="{top + height + 38}">{words}</text></svg>'
    )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
