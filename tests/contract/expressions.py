"""Finds every regular expression of the product in its sources, and writes texts that make bad ones slow."""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Python's own parser of expressions: types know nothing of it.
op: Any = importlib.import_module("re._constants")
_parser: Any = importlib.import_module("re._parser")

ROOT = Path(__file__).resolve().parents[2]
_FUNCTIONS = frozenset(("compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"))
_ANCHORED = frozenset(("match", "fullmatch"))
_STRETCH = 8
"""A repetition that may go on for this long is one that a hostile text can use."""
_MOST_VARIANTS = 4
_ENDINGS = ("", "\0", "!", "\n!")

# In JavaScript a slash begins an expression where no value can have ended.
_JAVASCRIPT_LITERAL = re.compile(
    r"(?:^|[(,=:\[!&|?{};]|\breturn)[ \t]*/(?![*/])((?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+)/([dgimsuvy]*)", re.M
)


@dataclass(frozen=True)
class Expression:
    """An expression in a source.

    Attributes:
        place: File and what it is called there, or its line; parts that are not known are `?`.
        pattern: The expression; None if it is put together when it is used.
        flags: Python's.
        anchored: It is tried at one place only, not at each place of a text.
    """

    place: str
    pattern: str | None
    flags: int = 0
    anchored: bool = False


def python_sources() -> list[Path]:
    """What runs, tests and scripts for developers left out."""
    files = [path for folder in ("services", "libs", "clients") for path in (ROOT / folder).glob("**/src/**/*.py")]
    return sorted(path for path in files if "site-packages" not in path.parts)


def page_sources() -> list[Path]:
    """The page's own scripts; what others wrote begins with its licence."""
    scripts = (ROOT / "services/gateway/src/trivium_gateway/surfaces/http/page/static").glob("*.js")
    return sorted(path for path in scripts if not path.read_text(encoding="utf-8").startswith("/*! "))


def python_expressions(path: Path) -> Iterator[Expression]:
    """All that a module hands to `re`."""
    text = path.read_text(encoding="utf-8")
    if not re.search(r"\bre\.", text):  # most modules; to read one takes milliseconds
        return
    tree = ast.parse(text)
    file = path.relative_to(ROOT).as_posix()
    names: dict[str, Any] = {}
    called: dict[ast.AST, str] = {}
    for statement in ast.walk(tree):
        if not isinstance(statement, ast.Assign):
            continue
        target = ast.unparse(statement.targets[0])
        assigned = statement.value.body if isinstance(statement.value, ast.IfExp) else statement.value
        called[assigned] = target
        if statement in tree.body and (value := _value(assigned, names)) is not None:
            names[target] = value
    uses: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            uses.setdefault(node.value.id, set()).add(node.attr)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and node.func.attr in _FUNCTIONS):
            continue
        function = node.func.attr
        name = called.get(node) if function == "compile" else None
        methods = uses.get(name, set()) if name else {function}
        pattern = _value(node.args[0], names)
        yield Expression(
            f"{file}:{name or node.lineno}",
            pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern,
            _flags_of(node),
            bool(methods) and methods <= _ANCHORED,
        )


def page_expressions(path: Path) -> Iterator[Expression]:
    """All literals in a script, and each place that puts one together."""
    text = path.read_text(encoding="utf-8")
    for match in _JAVASCRIPT_LITERAL.finditer(text):
        flags = sum(flag for letter, flag in (("s", re.S), ("m", re.M), ("i", re.I)) if letter in match[2])
        line = text.count("\n", 0, match.start(1)) + 1
        yield Expression(f"{path.name}:{line}", match[1], flags)
    for number, line_text in enumerate(text.split("\n"), start=1):
        if "RegExp(" in line_text:
            yield Expression(f"{path.name}:RegExp:{number}", None)


def hostile_texts(expression: Expression, length: int) -> Iterator[str]:
    """Texts of about a length that repeat what an expression repeats, and end as it does not expect."""
    assert expression.pattern is not None
    tree = _parser.parse(re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", expression.pattern))  # JavaScript's names to Python's
    starts: set[tuple[str, str]] = set()
    for prefix, body in _repeats(tree, ""):
        starts |= {(prefix, unit) for unit in _samples(body) if unit}
    alphabet = {character for prefix, unit in starts for character in (*prefix, *unit)}
    texts = dict.fromkeys(character * length for character in sorted(alphabet))
    for prefix, unit in sorted(starts):
        texts |= dict.fromkeys(prefix + unit * (length // len(unit)) + ending for ending in _ENDINGS)
        texts[(prefix + unit) * (length // len(prefix + unit))] = None
        if prefix:
            texts[prefix * (length // len(prefix))] = None
    yield from texts


def _flags_of(call: ast.Call) -> int:
    names = {
        node.attr
        for part in (*call.args[1:], *(k.value for k in call.keywords))
        for node in ast.walk(part)
        if isinstance(node, ast.Attribute)
    }
    return sum(int(getattr(re, name)) for name in names if name.isupper())


def _value(node: ast.expr, names: dict[str, Any]) -> Any:
    """What an expression of constants comes to; None if it has other parts. A part of an f-string that is not known
    counts as a word."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return names.get(name)
        case ast.Attribute(value=inner, attr="pattern"):
            return _value(inner, names)
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr="compile"), args=[pattern, *_]):
            return _value(pattern, names)
        case ast.JoinedStr(values=parts):
            return "".join(str(_value(part, names)) for part in parts)
        case ast.FormattedValue(value=inner):
            value = _value(inner, names)
            return "word" if value is None else value
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            values = (_value(left, names), _value(right, names))
            return None if None in values else values[0] + values[1]
    return None


def _repeats(tree: Sequence[Any], prefix: str) -> Iterator[tuple[str, Sequence[Any]]]:
    """Each part that may be repeated for long, with a text that leads to it."""
    for kind, argument in tree:
        if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
            _, most, body = argument
            if most >= _STRETCH:
                yield prefix, body
            yield from _repeats(body, prefix)
        elif kind is op.BRANCH:
            for branch in argument[1]:
                yield from _repeats(branch, prefix)
        elif (body := _body(kind, argument)) is not None:
            yield from _repeats(body, prefix)
        prefix += _samples([(kind, argument)])[0]


def _body(kind: Any, argument: Any) -> Sequence[Any] | None:
    if kind is op.SUBPATTERN:
        return argument[-1]  # type: ignore[no-any-return]
    if kind is op.ATOMIC_GROUP:
        return argument  # type: ignore[no-any-return]
    if kind in (op.ASSERT, op.ASSERT_NOT):
        return argument[1]  # type: ignore[no-any-return]
    return None


def _samples(tree: Sequence[Any]) -> list[str]:
    """Some texts that a part matches; at least one, which may be empty."""
    found = [""]
    for kind, argument in tree:
        found = [before + after for before in found for after in _samples_of(kind, argument)][:_MOST_VARIANTS]
    return found


def _samples_of(kind: Any, argument: Any) -> list[str]:
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        return [one * max(1, argument[0]) for one in _samples(argument[2])]
    if kind is op.BRANCH:
        return [text for branch in argument[1] for text in _samples(branch)[:2]]
    if kind in (op.LITERAL, op.NOT_LITERAL, op.IN, op.ANY):
        return _characters(kind, argument)
    if kind in (op.ASSERT, op.ASSERT_NOT, op.AT, op.GROUPREF):
        return [""]
    return _samples(_body(kind, argument) or [])


def _characters(kind: Any, argument: Any) -> list[str]:
    """Characters that one place of an expression matches, as different as they can be."""
    if kind is op.LITERAL:
        return [chr(argument)]
    candidates = [" ", "a", "1", "\n", "-", "A", "_", "\u4e00", "<", "["]
    if kind is op.IN:
        named = [
            chr(value if item is op.LITERAL else value[0]) for item, value in argument if item in (op.LITERAL, op.RANGE)
        ]
        candidates = [*named[:2], *candidates, *named[2:]]
    accepts = re.compile(_one_character(kind, argument), re.S)
    return [character for character in candidates if accepts.fullmatch(character)][:_MOST_VARIANTS] or ["a"]


_CATEGORIES = {
    op.CATEGORY_DIGIT: r"\d", op.CATEGORY_NOT_DIGIT: r"\D", op.CATEGORY_SPACE: r"\s",
    op.CATEGORY_NOT_SPACE: r"\S", op.CATEGORY_WORD: r"\w", op.CATEGORY_NOT_WORD: r"\W",
}  # fmt: skip


@cache
def _escaped(code: int) -> str:
    return f"\\U{code:08x}"


def _one_character(kind: Any, argument: Any) -> str:
    if kind is op.ANY:
        return r"[^\n]"
    if kind is op.NOT_LITERAL:
        return f"[^{_escaped(argument)}]"
    inside = ""
    for item, value in argument:
        if item is op.NEGATE:
            inside += "^"
        elif item is op.LITERAL:
            inside += _escaped(value)
        elif item is op.RANGE:
            inside += f"{_escaped(value[0])}-{_escaped(value[1])}"
        else:
            inside += _CATEGORIES[value]
    return f"[{inside}]"
