"""A name server for one name, as a cluster's answers for a headless Service: with the addresses of the ready pods."""

from __future__ import annotations

import socket
import struct
import threading

_ADDRESS, _INTERNET = 1, 1
_ANSWER_FLAGS = 0x8580  # an answer, with authority, and no error
_NAME_OF_THE_QUESTION = 0xC00C
_TIME_TO_LIVE_SECONDS = 1


class NameServer:
    """Answers every question for an IPv4 address with `addresses`, which may be replaced at any time.

    Use it as a context manager. `port` is where it listens on 127.0.0.1, over UDP.
    """

    def __init__(self) -> None:
        self.addresses: tuple[str, ...] = ()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> NameServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.sendto(b"", self._socket.getsockname())  # an empty packet ends the thread
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while packet := self._socket.recvfrom(512):
            question, client = packet
            if not question:
                return
            self._socket.sendto(_answer(question, self.addresses), client)


def _answer(question: bytes, addresses: tuple[str, ...]) -> bytes:
    """The answer to a packet with one question (RFC 1035, section 4)."""
    end = question.index(b"\0", 12) + 5
    kind = struct.unpack("!H", question[end - 4 : end - 2])[0]
    found = addresses if kind == _ADDRESS else ()
    head = question[:2] + struct.pack("!HHHHH", _ANSWER_FLAGS, 1, len(found), 0, 0)
    records = [
        struct.pack("!HHHIH", _NAME_OF_THE_QUESTION, _ADDRESS, _INTERNET, _TIME_TO_LIVE_SECONDS, 4)
        + socket.inet_aton(address)
        for address in found
    ]
    return head + question[12:end] + b"".join(records)
