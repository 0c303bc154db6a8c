"""Asks for 120 facts in 120 files of every format: is each answered, and does the citation point at it?

Needs a running stack (`make up`).

    .venv/bin/python bench/documents/facts.py

Writes to a collection of its own and deletes it at the end. `tests/documents/known` makes the files; `--write DIR`
writes them and nothing else.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from documents.asking import ask, report, send
from documents.known import known_files

COLLECTION = "bench-documents"


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--write", type=Path, help="write the files into this folder and stop")
    parser.add_argument("--verbose", action="store_true", help="print the answers that are not right")
    options = parser.parse_args()
    files = known_files()
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        for file in files:
            (options.write / file.name).write_bytes(file.data)
        return
    with httpx.Client(base_url=options.url, timeout=60) as http:
        http.delete(f"/v1/collections/{COLLECTION}")
        http.post("/v1/collections", json={"name": COLLECTION}).raise_for_status()
        try:
            errors = send(http, files, COLLECTION)
            outcomes = [ask(http, file, COLLECTION) for file in files]
        finally:
            http.delete(f"/v1/collections/{COLLECTION}")
    for name, message in errors.items():
        print(f"{name}: {message}")
    if options.verbose:
        for outcome in outcomes:
            if outcome.fault:
                print(f"\n{outcome.file.name}: {outcome.fault}\n  {outcome.file.question}\n  {outcome.answer}")
    print(report(outcomes))
    print(f"\n{sum(not outcome.fault for outcome in outcomes)} of {len(outcomes)}")


if __name__ == "__main__":
    main()
