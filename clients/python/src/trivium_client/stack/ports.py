"""Ports: which are free, and who has those that are not."""

import errno
import random
import socket
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

_NEVER_GIVEN = range(20_000, 32_768)
"""Ports below those that a system gives to connections, and to whoever takes any port."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def reachable(self) -> "Address":
        """The same as a client on this machine names it: nobody can connect to `0.0.0.0` everywhere."""
        return Address({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host), self.port)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Reads HOST:PORT, [HOST]:PORT or PORT.

        Raises:
            ValueError: If it is none of them.
        """
        host, _, port = text.strip().rpartition(":")
        if not port.isdigit() or int(port) > 65_535:
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(host.strip("[]") or "127.0.0.1", int(port))


def is_free(address: Address) -> bool:
    """Whether something could listen at the address now.

    Raises:
        OSError: If the address is none of this machine, or nobody but root may listen at it.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        # A server that went away leaves connections behind that do not keep the next one from listening.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, address.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        return True


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Returns different ports that nobody listens at, and that nobody gets by chance before they are used."""
    shuffled = random.sample(_NEVER_GIVEN, len(_NEVER_GIVEN))
    return list(islice((port for port in shuffled if is_free(Address(host, port))), count))


def holder(port: int) -> str:
    """Says which process listens at a port, as `pid 12 (command line)`; empty if that cannot be found out."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(link.readlink().as_posix() in inodes for link in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                return f"pid {process.name} ({command[:80]})"
        except OSError:  # someone else's process, or one that has just ended
            continue
    return ""


def _listening_inodes(port: int) -> set[str]:
    """Reads from Linux's tables which sockets listen at a port."""
    listening = "0A"
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if columns[3] == listening and int(columns[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{columns[9]}]")
    return inodes
