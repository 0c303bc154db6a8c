"""No regular expression of the product can be made slow by what it reads."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from contract.expressions import (
    ROOT,
    Expression,
    hostile_texts,
    page_expressions,
    page_sources,
    python_expressions,
    python_sources,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CHARACTERS = 50_000
MOST_CPU_SECONDS = 1.0
"""A linear expression takes a few milliseconds for as many characters, a quadratic one several seconds."""

LONGEST_TEXTS = {
    # The word before a full stop is looked for in the 40 characters before it.
    "libs/evidence/src/trivium_evidence/sentences.py:_LAST_WORD": 80,
}
PUT_TOGETHER = {
    # Alternatives of fixed words.
    "services/generate/src/trivium_generate/prompting.py:self._specials",
    # Alternatives that are tried one by one above.
    "inline.js:RegExp",
    # From the catalog; read below.
    "libs/catalog/src/trivium_catalog/entries.py",
}
PYTHON = [one for path in python_sources() for one in python_expressions(path)]
PAGE = [one for path in page_sources() for one in page_expressions(path)]


def _catalog() -> list[Expression]:
    content = tomllib.loads((ROOT / "libs/catalog/src/trivium_catalog/models.toml").read_text(encoding="utf-8"))
    return [Expression(f"models.toml:{rule['models']}", rule["models"]) for rule in content["prompts"]]


class _Slow(Exception):
    pass


@contextmanager
def _cpu_bound(seconds: float) -> Iterator[None]:
    """Interrupts even an expression that would run for ever: `re` looks for signals while it goes back."""

    def interrupt(*_: object) -> None:
        raise _Slow

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _slow_text(expression: Expression) -> str | None:
    """The beginning of a text that the expression takes too long for; None if there is none."""
    compiled = re.compile(expression.pattern or "", expression.flags)
    for text in hostile_texts(expression, LONGEST_TEXTS.get(expression.place, CHARACTERS)):
        try:
            with _cpu_bound(MOST_CPU_SECONDS):
                if expression.anchored:
                    compiled.match(text)
                    compiled.fullmatch(text)
                else:
                    for _ in compiled.finditer(text):
                        pass
        except _Slow:
            return text[:60]
    return None


@pytest.mark.parametrize(
    "expression", [one for one in (*PYTHON, *_catalog()) if one.pattern is not None], ids=lambda one: one.place
)
def test_python_expression_on_hostile_repetitions_stays_fast(expression: Expression) -> None:
    assert _slow_text(expression) is None, expression.pattern


def test_page_expressions_on_hostile_repetitions_stay_fast() -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    lines = [
        json.dumps(
            {
                "place": one.place,
                "pattern": one.pattern,
                "flags": "g" + "".join(letter for letter in "ims" if one.flags & getattr(re, letter.upper())),
                "texts": list(hostile_texts(one, CHARACTERS)),
            }
        )
        for one in PAGE
        if one.pattern is not None
    ]
    tried = subprocess.run(
        ["node", "--eval", _TRY_IN_NODE, str(1000 * MOST_CPU_SECONDS)],
        input="\n".join(lines), text=True, capture_output=True, timeout=200, check=True,
    )  # fmt: skip
    assert tried.stdout.splitlines() == [], tried.stdout


_TRY_IN_NODE = r"""
const vm = require("vm");
const most = Number(process.argv[1]);
for (const line of require("fs").readFileSync(0, "utf8").split("\n")) {
  const { place, pattern, flags, texts } = JSON.parse(line);
  for (const text of texts) {
    const started = process.cpuUsage().user;
    try {
      const context = { text, re: new RegExp(pattern, flags) };
      vm.runInNewContext("for (const _ of text.matchAll(re));", context, { timeout: 10 * most });
    } catch (error) {
      if (error.code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    }
    if (process.cpuUsage().user - started > 1000 * most) {
      console.log(`${place} ${pattern} ${JSON.stringify(text.slice(0, 60))}`);
      break;
    }
  }
}
"""


def test_expressions_that_are_put_together_are_known() -> None:
    found = {one.place for one in (*PYTHON, *PAGE) if one.pattern is None}
    assert {place for place in found if not place.startswith(tuple(PUT_TOGETHER))} == set()
    assert {known for known in PUT_TOGETHER if not any(place.startswith(known) for place in found)} == set()


@pytest.mark.parametrize("pattern", [r"(?:a|a)*b", r"(?:<!--.*?-->)*x", r"\s+$", r"\d+x", r"[ab]*[bc]*d"])
def test_slow_expression_is_found(pattern: str) -> None:
    assert _slow_text(Expression("test", pattern, re.S)) is not None
