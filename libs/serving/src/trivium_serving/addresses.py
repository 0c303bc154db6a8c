"""What an address in a setting may be.

None holds a user or a password: addresses stand in answers to probes, in logs and in traces. What is refused for that
is not repeated either.
"""

from __future__ import annotations

import ipaddress
import re
from enum import Enum
from urllib.parse import urlsplit

_TARGET_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class AddressKind(Enum):
    """What an address is for; the value is what one looks like."""

    LISTEN = "HOST:PORT, for example 127.0.0.1:50051"
    """To serve on."""
    TARGET = "HOST:PORT, or another name that gRPC knows, for example dns:///embed:50051"
    """Of a service that is called over gRPC."""
    TARGETS = "NAME=HOST:PORT, several of them separated by commas, for example large=127.0.0.1:50061"
    """Of several such services, each with a name of its own."""
    SERVER = "http://HOST:PORT, or https, for example http://127.0.0.1:6333"
    """Of an HTTP server as a whole: without a path."""
    API = "http://HOST:PORT/PATH, or https, for example http://127.0.0.1:8000/v1"
    """Of an HTTP API, which may lie under a path."""
    ORIGINS = "https://app.example.com, several of them separated by commas, or *"
    """Of web pages; the gateway checks them further."""


def address_problem(kind: AddressKind, address: str) -> str | None:
    """Says what is wrong with an address; None if nothing is.

    Args:
        kind: What it is for.
        address: The address; not empty.
    """
    if "@" in address.partition("#")[0].partition("?")[0]:
        return (
            "the address holds a user name or a password. Give it without; a key has a setting of its own "
            f"({kind.value})"
        )
    if kind is AddressKind.ORIGINS:
        return None
    if kind is AddressKind.TARGETS:
        return _targets_problem(address)
    if kind in (AddressKind.LISTEN, AddressKind.TARGET):
        return _host_and_port_problem(kind, address)
    return _url_problem(kind, address)


def is_loopback(listen: str) -> bool:
    """Whether only this machine reaches what is served at HOST:PORT."""
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def named_targets(targets: str) -> dict[str, str]:
    """Reads a setting of the kind TARGETS: the addresses by their names, in the order given."""
    pairs = [one.partition("=") for one in targets.split(",") if one.strip()]
    return {name.strip(): target.strip() for name, _, target in pairs}


def _targets_problem(targets: str) -> str | None:
    names = [one.partition("=")[0].strip() for one in targets.split(",") if one.strip()]
    for name in names:
        if not _TARGET_NAME.fullmatch(name):
            return (
                f"{name!r} is no name of a service: small letters, digits and -, the first one a letter "
                f"({AddressKind.TARGETS.value})"
            )
        if names.count(name) > 1:
            return f"two services have the name {name!r}. Give each its own ({AddressKind.TARGETS.value})"
    for target in named_targets(targets).values():
        if not target or _host_and_port_problem(AddressKind.TARGET, target):
            return f"{target!r} is no address of the form {AddressKind.TARGET.value}"
    return None


def _host_and_port_problem(kind: AddressKind, address: str) -> str | None:
    is_url = address.startswith(("http://", "https://"))
    has_port = kind is AddressKind.TARGET or address.rpartition(":")[2].isdigit()
    return None if has_port and not is_url else f"{address!r} is no address of the form {kind.value}"


def _url_problem(kind: AddressKind, address: str) -> str | None:
    try:
        parts = urlsplit(address)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if is_url and (parts.query or parts.fragment):  # unrepeated: some put their key there
        return f"the address has something behind ? or #. Give it without ({kind.value})"
    if is_url and kind is AddressKind.SERVER and parts.path not in ("", "/"):
        return f"the address has a path, which gRPC does not: {address!r}. Give it without ({kind.value})"
    return None if is_url else f"{address!r} is no address of the form {kind.value}"
