"""Writes the client for threads from the one for event loops, so that both have the same methods.

    .venv/bin/python clients/python/generate_sync.py            writes it
    .venv/bin/python clients/python/generate_sync.py --check    fails if it is not current

Their connections and ingestions differ in more than words, and are written by hand.
"""

import re
import subprocess
import sys
from pathlib import Path

_FOLDER = Path(__file__).parent / "src" / "trivium_client"
SOURCE, TARGET = _FOLDER / "_async_client.py", _FOLDER / "_client.py"

_MODULE_DOCSTRING = "The client, for threads that wait. Written by generate_sync.py: edit _async_client.py."
_CLASS_DOCSTRING = '''"""Answers from your own documents, over gRPC; `AsyncTrivium` is the same for event loops.

    ```
    with Trivium() as trivium:
        trivium.ingest([NewDocument("The warranty lasts 24 months.", id="warranty")])
        print(trivium.ask("How long does the warranty last?").answer)
    ```

    One client is enough for a process: all its methods may be called from many threads at once, over one connection.
    Make it after a fork, not before. Every method raises a `TriviumError`, or one of the kinds beneath it, if the call
    fails. Every method that calls the gateway takes `timeout_seconds`, a deadline for this call in place of the
    client's.

'''
_REPLACEMENTS = (
    (r"The client, for event loops\.", _MODULE_DOCSTRING),
    (r'"""Answers from your own documents, over gRPC, with asyncio.*?(?=    Args:)', _CLASS_DOCSTRING),
    (
        r" Closing the iterator cancels the work; see `contextlib\.aclosing`\.",
        " Closing the iterator cancels the work.",
    ),
    (r" An\s+iterable that has to wait, for files or a network, should be an asynchronous one\.", ""),
    (r", and awaited if it returns something to await\.", "."),
    (r"AsyncIterable\[(.*?)\] \| (?=Iterable)", ""),
    (r"Awaitable\[None\] \| None", "None"),
    (r"AsyncGenerator\[(\w+), None\]", r"Generator[\1, None, None]"),
    (r"import AsyncGenerator, AsyncIterable, Awaitable, Callable, ", "import Callable, Generator, "),
    (r"shown = (on_progress\(.*?\))\n +if inspect\.isawaitable\(shown\):\n +await shown", r"\1"),
    (r"import inspect\n", ""),
    (r"__a(enter|exit)__", r"__\1__"),
    (r"\baclosing\b", "closing"),
    (r"\basync (?=def|for|with)", ""),
    (r"\bawait ", ""),
    (r"_async_(?=connection|ingestion)", "_"),
    (r"\bAsync(?=Connection|Ingestion|Trivium\b(?!`))", ""),
)


def sync_client() -> str:
    """The client for threads, as it has to be."""
    text = SOURCE.read_text(encoding="utf-8")
    for pattern, replacement in _REPLACEMENTS:
        text, count = re.subn(pattern, replacement.replace("\\n", "\n"), text, flags=re.S)
        if not count:
            raise SystemExit(f"generate_sync: {SOURCE.name} has nothing like {pattern!r} any more: mend the script")
    for command in (("check", "--select=I", "--fix-only", "--quiet"), ("format", "--quiet")):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(TARGET), "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> None:
    """Writes or checks the file."""
    text = sync_client()
    if sys.argv[1:] != ["--check"]:
        TARGET.write_text(text, encoding="utf-8")
    elif text != TARGET.read_text(encoding="utf-8"):
        sys.exit("_client.py is not what _async_client.py says: run make fix")


if __name__ == "__main__":
    main()
