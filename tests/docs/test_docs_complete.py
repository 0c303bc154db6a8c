"""The reference pages name everything that the code has: metrics, error reasons, limits, settings."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from trivium_gateway.domain.limits import GatewayLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("libs/*/src/**/*.py"), *ROOT.glob("services/*/src/**/*.py")])
CLIENT_SOURCES = sorted(ROOT.glob("clients/*/src/**/*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
METRIC_CLASSES = re.compile(r"Counter|Gauge|Histogram|Summary|Info|Enum|\w+MetricFamily")
REASON = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
PAGE = ROOT / "services/gateway/src/trivium_gateway/surfaces/http/page/static"
# What the web page does not ask for: commands, gRPC, keys, settings, exports, OpenAI's API.
NOT_ON_THE_PAGE = {
    "TLS_MISCONFIGURED",
    "SLOW_READER",
    "KEY_EXPIRED",
    "KEY_NOT_FOUND",
    "KEYS_ARE_OFF",
    "TOO_MANY_KEYS",
    "NO_LABELS",
    "MODEL_DIFFERS",
    "EXPORT_DAMAGED",
    "VECTOR_DAMAGED",
    "MOVE_DIFFERS",
    "QDRANT_AWAY",
    "SNAPSHOT_UNUSABLE",
    "QDRANT_FAILED",
    "EXTRA_MISSING",
    "SETTINGS_CHANGED",
    "NO_EARLIER_SETTINGS",
    "MODEL_NOT_FOUND",
    "UNSUPPORTED_FIELD",
}


def _page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def _first_cells(page: str) -> set[str]:
    """What stands in backquotes in the first cells of a page's tables."""
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| ")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def _nodes(paths: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield path, node


def _pattern(name: ast.expr, kind: str) -> str | None:
    """A metric's name as a pattern: what the code fills in may be anything. None if it cannot be read."""
    if isinstance(name, ast.Call) and len(name.args) == 1:  # a function that puts the service's name before it
        inner = _pattern(name.args[0], kind)
        return f"trivium_.+_{inner}" if inner is not None else None
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        pattern = re.escape(name.value)
    elif isinstance(name, ast.JoinedStr):
        pattern = "".join(
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in name.values
        )
    else:
        return None
    return pattern if kind != "Counter" else pattern.removesuffix("_total") + "_total"  # as it is served


def _metric_patterns() -> set[str]:
    patterns = set()
    for _, node in _nodes(SOURCES):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        kind = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        pattern = _pattern(node.args[0], kind) if METRIC_CLASSES.fullmatch(kind) else None
        if pattern is not None and "_" in pattern:
            patterns.add(pattern)
    return patterns


def _reasons() -> set[str]:
    """Reasons given to errors by keyword, and the default ones of their classes."""
    reasons: set[str] = set()
    for _, node in _nodes(SOURCES):
        match node:
            case ast.keyword(arg="reason", value=value) | ast.Assign([ast.Name("default_reason")], value):
                parts = [part.value for part in ast.walk(value) if isinstance(part, ast.Constant)]
                reasons.update(part for part in parts if isinstance(part, str) and REASON.fullmatch(part))
    return reasons


def _settings() -> dict[str, str]:
    """The environment variable of each setting of each service, and its default as the page shows it."""
    settings = {}
    for path in sorted(ROOT.glob("services/*/src/*/settings.py")):
        module = importlib.import_module(f"{path.parent.name}.settings")
        prefix = path.parent.name.upper() + "_"
        for kind in vars(module).values():
            if not dataclasses.is_dataclass(kind) or kind.__module__ != module.__name__:
                continue
            for field in dataclasses.fields(kind):
                if "help" in field.metadata:
                    variable = field.metadata["env"] or prefix + field.name.upper()
                    settings[variable] = "" if field.default is None or field.default == "" else f"`{field.default}`"
    return settings


def test_metrics_page_names_every_metric() -> None:
    documented = _first_cells(_page("metrics.md"))
    patterns = _metric_patterns()

    assert patterns, "no metric was found in the code"
    missing = sorted(pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in documented))
    assert not missing, f"docs/metrics.md lacks {missing}"


def test_metrics_page_names_no_metric_that_is_gone() -> None:
    patterns = _metric_patterns()

    documented = {name for name in _first_cells(_page("metrics.md")) if name.startswith("trivium_")}
    gone = sorted(name for name in documented if not any(re.fullmatch(pattern, name) for pattern in patterns))
    assert not gone, f"docs/metrics.md has {gone}, which no code makes"


def test_errors_page_explains_every_reason() -> None:
    documented = _first_cells(_page("errors.md"))
    reasons = _reasons()

    assert reasons, "no reason was found in the code"
    assert not reasons - documented, f"docs/errors.md lacks {sorted(reasons - documented)}"


def test_errors_page_explains_no_reason_that_is_gone() -> None:
    written = {
        node.value
        for _, node in _nodes([*SOURCES, *CLIENT_SOURCES])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    documented = {name for name in _first_cells(_page("errors.md")) if REASON.fullmatch(name)}
    assert not documented - written, f"docs/errors.md has {sorted(documented - written)}, which no code gives"


@pytest.mark.parametrize("language", ["zh", "ar"])
def test_page_says_each_reason_that_it_meets_in_its_own_language(language: str) -> None:
    text = (PAGE / f"reasons-{language}.js").read_text(encoding="utf-8")
    words = dict(re.findall(r'^  ([A-Z0-9_]+): "([^"]+)",$', text, re.MULTILINE))
    before_services, _, services = _page("errors.md").partition("## The model services")
    named = {name for name in _first_cells(before_services) if REASON.fullmatch(name)}

    assert not named - NOT_ON_THE_PAGE - words.keys()
    assert not words.keys() - named - _first_cells(services), "words for what is no reason"
    assert not words.keys() & NOT_ON_THE_PAGE
    assert {name for said in words.values() for name in re.findall(r"{(\w+)}", said)} == {"message"}


@pytest.mark.parametrize("limit", dataclasses.fields(GatewayLimits), ids=lambda field: field.name)
def test_limits_page_states_each_limit_of_the_gateway(limit: dataclasses.Field[object]) -> None:
    rows = [line for line in _page("limits.md").splitlines() if f"`{limit.name}`" in line]

    assert len(rows) == 1, f"docs/limits.md needs one row for {limit.name}"
    assert f"{limit.default:,}".removesuffix(".0") in rows[0], f"{limit.name} is {limit.default:,} in the code"


@pytest.mark.parametrize(("variable", "default"), sorted(_settings().items()))
def test_settings_page_states_each_setting(variable: str, default: str) -> None:
    rows = [line for line in _page("settings.md").splitlines() if line.startswith(f"| `{variable}` |")]

    assert rows, f"docs/settings.md lacks {variable}"
    assert all(row.split("|")[2].strip() == default for row in rows), f"{variable} is {default} by default"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_has_no_two_rows_of_one_name_in_a_table(page: Path) -> None:
    """As they come about where two changes of one row are merged."""
    names: list[str] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            names = []
        elif named := re.match(r"\| (`[^`]+`) \|", line):
            assert named[1] not in names, f"{page.relative_to(ROOT)} has two rows of {named[1]}"
            names.append(named[1])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_links_only_to_files_that_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))

    broken = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not broken, f"{page.relative_to(ROOT)} links to {broken}"
