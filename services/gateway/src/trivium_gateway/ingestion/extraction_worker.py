"""Extracts the text of files in a process of its own, which may be killed.

Started by `extraction_process.py` as `python -m`. On stdin come requests: what to do (`r`ead, `u`npack, read with
rec`o`gnition of text in pictures, or draw a `p`age), the format's name (sixteen bytes, filled up with zeros), the
lengths of the file's name and of the file (two and eight bytes, big-endian), the most seconds of processor time (a
double), the name, or the page's number and scale, and the file. On stdout go answers: the lengths of JSON and of what
follows it, and the memory that the process holds (eight bytes each), and these; what follows are the files of an
unpacked one, of the sizes that the JSON tells, or a picture. The process ends with its input.
"""

import ctypes
import json
import logging
import resource
import signal
import struct
import sys

from trivium_serving.errors import TooLarge, TriviumError

from trivium_gateway.ingestion.formats.bounds import Bounds
from trivium_gateway.ingestion.formats.readers import read
from trivium_gateway.ingestion.formats.unpacking import unpack
from trivium_gateway.ingestion.page_picture import picture_of_page

__all__ = ["REQUEST_HEADER", "RESPONSE_HEADER", "main"]

REQUEST_HEADER = struct.Struct(">c16sHQd")
RESPONSE_HEADER = struct.Struct(">QQQ")

_NEW_USER_AND_NETWORK = 0x10000000 | 0x40000000  # CLONE_NEWUSER and CLONE_NEWNET, which Python 3.11 has no names for


def main() -> None:
    """Serve requests until the input ends. Arguments: memory without and with recognition, pages, characters."""
    max_memory_bytes, max_scan_memory_bytes, max_pages, max_characters = (int(argument) for argument in sys.argv[1:5])
    bounds = Bounds(max_pages, max_characters)
    _give_up_rights(max_memory_bytes, max_scan_memory_bytes)
    # A parser's warnings may quote the document.
    logging.disable()
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while header := stdin.read(REQUEST_HEADER.size):
        task, format_name, name_length, length, cpu_seconds = REQUEST_HEADER.unpack(header)
        name = stdin.read(name_length).decode()
        data = stdin.read(length)
        if task == b"o":  # and from then on, for what a process holds it cannot be denied
            resource.setrlimit(resource.RLIMIT_AS, (max_scan_memory_bytes, max_scan_memory_bytes))
        # Left to its default the signal ends the process.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        answer, parts = _answer(task, format_name.rstrip(b"\0").decode(), name, data, bounds)
        del data
        packed = json.dumps(answer, ensure_ascii=False).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        stdout.write(RESPONSE_HEADER.pack(len(packed), sum(map(len, parts)), _resident_bytes()) + packed)
        stdout.writelines(parts)
        stdout.flush()


def _give_up_rights(max_memory_bytes: int, max_scan_memory_bytes: int) -> None:
    """Take no more memory than that, write no files, and where the kernel allows it, see no network."""
    resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max(max_memory_bytes, max_scan_memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    ctypes.CDLL(None).unshare(_NEW_USER_AND_NETWORK)


def _answer(
    task: bytes, format_name: str, name: str, data: bytes, bounds: Bounds
) -> tuple[dict[str, object], list[bytes]]:
    try:
        if task == b"u":
            parts = unpack(format_name, data, name)
            told = [(part.name, part.media_type, len(part.data), _told(part.failure)) for part in parts]
            return {"parts": told}, [part.data for part in parts]
        if task == b"p":
            page, scale = name.split()
            drawn = picture_of_page(data, int(page), float(scale))
            return {"width": drawn.width, "height": drawn.height, "page_count": drawn.page_count}, [drawn.png]
        reading = read(format_name, data, bounds, recognises=task == b"o")
    except MemoryError:
        message = "The file takes too much memory to read."
        return {"error": "TooLarge", "reason": "PARSE_LIMIT", "message": message}, []
    except TriviumError as error:
        return {**_told(error)}, []
    boxes = [
        (one.start, one.page, *(round(edge, 1) for edge in (one.x0, one.y0, one.x1, one.y1))) for one in reading.boxes
    ]
    return {"title": reading.title, "text": reading.text, "boxes": boxes, "scans": reading.scans}, []


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as counts:  # Path would be slower than the rest of a small file
        return int(counts.read().split()[1]) * resource.getpagesize()


def _told(error: TriviumError | None) -> dict[str, str]:
    if error is None:
        return {}
    kind = "TooLarge" if isinstance(error, TooLarge) else "InvalidField"
    return {"error": kind, "reason": error.reason, "message": error.message}


if __name__ == "__main__":
    main()
