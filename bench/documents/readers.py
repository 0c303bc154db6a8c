"""Whether the text that comes out of each of the 120 known files holds its fact, Trivium's readers and others'.

    .venv/bin/python bench/documents/readers.py                          # Trivium's readers
    OTHER/bin/python bench/documents/readers.py --reader markitdown      # in an environment that has markitdown
    OTHER/bin/python bench/documents/readers.py --reader docling         # docling, without its models

A fact holds if a line of the text has the subject and what is asked for: in a table the value stands in its row; an
exponent is still one; a step has its number. Prints the share by format, and the time of all together.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path, PurePath

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from documents.known import KnownFile, known_files

Read = Callable[[Path], str]

_EXPONENTS = ("{0}^{1}", "{0}<sup>{1}</sup>", "{0}^{{{1}}}", "{0}**{1}")


def _trivium() -> Read:
    from trivium_gateway.ingestion.decoding import decode
    from trivium_gateway.ingestion.formats.attached import UNPACKED
    from trivium_gateway.ingestion.formats.bounds import Bounds
    from trivium_gateway.ingestion.formats.readers import read
    from trivium_gateway.ingestion.formats.recognition import IN_PLACE, recognise
    from trivium_gateway.ingestion.formats.unpacking import unpack

    bounds = Bounds(5_000, 10_000_000)

    def text_of(data: bytes, name: str, media_type: str = "") -> str:
        format_name = recognise(data, name, media_type).name
        if format_name in IN_PLACE:
            return decode(data)
        reading = read(format_name, data, bounds)
        if reading.scans:
            reading = read(format_name, data, bounds, recognises=True)
        text = reading.text
        if format_name not in UNPACKED:
            return text
        return "\n".join(
            [text, *(text_of(one.data, one.name, one.media_type) for one in unpack(format_name, data, name))]
        )

    return lambda path: text_of(path.read_bytes(), path.name)


def _markitdown() -> Read:
    converter = importlib.import_module("markitdown").MarkItDown(enable_plugins=False)
    return lambda path: str(converter.convert(path).text_content)


def _docling() -> Read:
    converter = importlib.import_module("docling.document_converter").DocumentConverter()
    return lambda path: str(converter.convert(path).document.export_to_markdown())


READERS: dict[str, Callable[[], Read]] = {"trivium": _trivium, "markitdown": _markitdown, "docling": _docling}


def holds(file: KnownFile, text: str) -> bool:
    """Whether a line of a text has the subject and what is asked for."""
    subject = re.sub(r"\W.*", "", file.question.partition(" pump")[0].rpartition(" ")[2])
    forms = [file.cited]
    if "^" in file.cited:
        base, _, power = file.cited.partition("^")
        forms = [form.format(base, power) for form in _EXPONENTS]
    if file.cited.startswith("3. "):  # whose text names the subject itself
        subject = f"{subject}-V"
    flat = text.replace("\\", "")
    lines = [*flat.splitlines(), *(" ".join(block.split()) for block in flat.split("\n\n"))]
    return any(subject in line and any(form in line for form in forms) for line in lines if "|" not in line) or any(
        subject in line and any(form in line for form in forms) for line in flat.splitlines()
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reader", choices=READERS, default="trivium")
    options = parser.parse_args()
    read = READERS[options.reader]()
    found: dict[str, list[str]] = defaultdict(list)
    seconds = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for file in known_files():
            path = Path(folder) / file.name
            path.write_bytes(file.data)
            begin = time.process_time()
            try:
                fault = "" if holds(file, read(path)) else "lost"
            except Exception as error:  # of any kind, in code of others
                fault = f"refused ({type(error).__name__})"
            seconds += time.process_time() - begin
            found["".join(PurePath(file.name).suffixes)].append(f"{file.place}: {fault}" if fault else "")
    for ending, faults in found.items():
        print(f"| `{ending}` | {faults.count('')} of {len(faults)} | {'; '.join(filter(None, faults))} |")
    everything = [fault for faults in found.values() for fault in faults]
    print(f"\n{options.reader}: {everything.count('')} of {len(everything)}, {seconds:.1f} s of processor time")


if __name__ == "__main__":
    main()
