"""Extracts the text of files in a process of its own, which may be killed.

Started by `extraction_process.py` as `python -m`. On stdin come requests: the format's name (sixteen bytes, filled up
with zeros), the length (eight bytes, big-endian), the most seconds of processor time (a double) and the file. On stdout
go answers: the length (eight bytes) and JSON. The process ends with its input.
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

__all__ = ["REQUEST_HEADER", "RESPONSE_HEADER", "main"]

REQUEST_HEADER = struct.Struct(">16sQd")
RESPONSE_HEADER = struct.Struct(">Q")

_NEW_USER_AND_NETWORK = 0x10000000 | 0x40000000  # CLONE_NEWUSER and CLONE_NEWNET, which Python 3.11 has no names for


def main() -> None:
    """Serve requests until the input ends. Arguments: memory in bytes, pages, characters."""
    max_memory_bytes, max_pages, max_characters = (int(argument) for argument in sys.argv[1:4])
    bounds = Bounds(max_pages, max_characters)
    _give_up_rights(max_memory_bytes)
    # A parser's warnings may quote the document.
    logging.disable()
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    while header := stdin.read(REQUEST_HEADER.size):
        name, length, cpu_seconds = REQUEST_HEADER.unpack(header)
        data = stdin.read(length)
        # Left to its default the signal ends the process.
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        answer = json.dumps(_extract(name.rstrip(b"\0").decode(), data, bounds), ensure_ascii=False).encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        stdout.write(RESPONSE_HEADER.pack(len(answer)) + answer)
        stdout.flush()


def _give_up_rights(max_memory_bytes: int) -> None:
    """Take no more memory than that, write no files, and where the kernel allows it, see no network."""
    resource.setrlimit(resource.RLIMIT_AS, (max_memory_bytes, max_memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    ctypes.CDLL(None).unshare(_NEW_USER_AND_NETWORK)


def _extract(format_name: str, data: bytes, bounds: Bounds) -> dict[str, str]:
    try:
        title, text = read(format_name, data, bounds)
    except MemoryError:
        return {"error": "TooLarge", "reason": "PARSE_LIMIT", "message": "The file takes too much memory to read."}
    except TriviumError as error:
        kind = "TooLarge" if isinstance(error, TooLarge) else "InvalidField"
        return {"error": kind, "reason": error.reason, "message": error.message}
    return {"title": title, "text": text}


if __name__ == "__main__":
    main()
