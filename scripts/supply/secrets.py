"""Looks for keys and passwords in the files that git tracks or would track."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ALLOWED = "secrets: allow"
"""A line with this comment is left out."""

_LARGEST_FILE = 5_000_000

PATTERNS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*\n",
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20}",
    "Hugging Face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "OpenAI or Anthropic key": r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,}",
    "Slack token": r"\bxox[abprs]-[A-Za-z0-9-]{20,}",
    "Google API key": r"\bAIza[A-Za-z0-9_-]{35}\b",
    "package index token": r"\bpypi-[A-Za-z0-9_-]{50,}",
    "password in an address": r"\b[a-z][a-z0-9+.-]*://[^\s/:@{}$<>\"']+:(?!\$|<|\{)[^\s/:@{}<>\"']{8,}@",
}
_ASSIGNED = re.compile(r"(?i)(?:api_?key|secret|passw(?:or)?d|token)[\"']?\s*[:=]\s*[\"']?([A-Za-z0-9+/_=-]{24,})")
_BITS_OF_CHANCE = 4.0  # per character; words and names have fewer


def findings(text: str) -> list[tuple[int, str]]:
    """Line numbers and what is on them; the secret itself is not repeated."""
    found = []
    lines = text.splitlines()
    for kind, pattern in PATTERNS.items():
        found += [(text.count("\n", 0, match.start()) + 1, kind) for match in re.finditer(pattern, text)]
    for match in _ASSIGNED.finditer(text):
        if _bits_per_character(match[1]) >= _BITS_OF_CHANCE and re.search(r"\d", match[1]):
            found.append((text.count("\n", 0, match.start()) + 1, "something random that is called a secret"))
    return sorted({(line, kind) for line, kind in found if ALLOWED not in lines[line - 1]})


def _bits_per_character(text: str) -> float:
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def main() -> int:
    """Runs `secrets.py` in a repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], check=True, capture_output=True
    )
    status = 0
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = Path(name)
        if not path.is_file() or path.stat().st_size > _LARGEST_FILE:
            continue
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        for line, kind in findings(data.decode("utf-8", "replace")):
            print(f"{name}:{line}: {kind}", file=sys.stderr)
            status = 1
    if status:
        print(f"secrets: remove them, and revoke what was real; '{ALLOWED}' on the line if it is none", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
