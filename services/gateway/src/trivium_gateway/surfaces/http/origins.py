"""Keeps pages of other sites from using a browser to reach this gateway, which may be on its user's own machine.

A page of any site may have the browser send a form, and so a document, to `http://127.0.0.1:8080`; and a name that
first leads to that site and then to 127.0.0.1 (DNS rebinding) even makes the two one origin. Browsers say in `Origin`
whose page it is and in `Host` which name they used; other clients send no `Origin`, and are left alone.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from trivium_gateway.surfaces.http.errors import OriginNotAllowed, error_response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Receive, Scope, Send

ANY_ORIGIN = "*"
ANY_HOST = "*"
_SETTING = "TRIVIUM_GATEWAY_ALLOWED_ORIGINS"
_HOSTS_SETTING = "TRIVIUM_GATEWAY_ALLOWED_HOSTS"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """Whose pages may call.

    Attributes:
        allowed: Origins such as `https://app.example.com` beside the gateway's own; `*` for all.
        hosts: Names that `Host` may have beside addresses, `localhost` and those of allowed origins: any other can be
            made to lead here by whoever answers for it, names without a dot and under `.local` by any neighbour in the
            network. `*.example.com` for all names under one, `*` for all.
    """

    allowed: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, allowed_origins: str, allowed_hosts: str) -> OriginPolicy:
        """The policy of a gateway.

        Args:
            allowed_origins: As the setting has them, separated by commas.
            allowed_hosts: As the setting has them, separated by commas.

        Raises:
            ValueError: One is no origin, or no name; the message says which.
        """
        allowed = frozenset(one.strip().rstrip("/").lower() for one in allowed_origins.split(",") if one.strip())
        for origin in allowed - {ANY_ORIGIN}:
            if _authority(origin) is None or urlsplit(origin).path:
                raise ValueError(f"{_SETTING}: {origin!r} is not an origin such as https://app.example.com, nor *")
        hosts = frozenset(one.strip().rstrip(".").lower() for one in allowed_hosts.split(",") if one.strip())
        for host in hosts - {ANY_HOST}:
            if not _HOST.fullmatch(host):
                raise ValueError(f"{_HOSTS_SETTING}: {host!r} is not a name such as rag.example.com, nor *.example.com")
        return cls(allowed, hosts)

    def problem(self, host: str, origin: str | None) -> str | None:
        """Why a request is refused; None if it is not.

        Args:
            host: Its `Host`.
            origin: Its `Origin`, if it has one.
        """
        if not self._knows(host):
            return (
                f"This gateway does not serve the name {_shown(host)}. Use localhost or an address, or add the name to "
                f"{_HOSTS_SETTING}."
            )
        if origin is None or ANY_ORIGIN in self.allowed or origin.lower() in self.allowed:
            return None
        # Not the scheme: what stands before the gateway may have taken TLS off.
        if (own := _authority(origin)) is not None and own == _authority(f"{urlsplit(origin).scheme}://{host}"):
            return None
        return (
            f"Pages of {_shown(origin)} may not call this gateway. If that is your own application, add its origin to "
            f"{_SETTING}."
        )

    def _knows(self, host: str) -> bool:
        if ANY_HOST in self.hosts or ANY_ORIGIN in self.allowed:
            return True
        authority = _authority(f"http://{host}")
        if authority is None:
            return not host  # HTTP/1.0, which no browser speaks
        name = authority[0].rstrip(".")
        if name == "localhost" or name.endswith(".localhost") or _is_address(name) or name in self.hosts:
            return True
        if any(f"*.{parent}" in self.hosts for parent in _parents(name)):
            return True
        return any(known is not None and known[0] == name for known in map(_authority, self.allowed))


class OriginMiddleware:
    """Refuses requests of foreign pages, with 403.

    Args:
        app: What serves the other requests.
        policy: Which those are.
    """

    def __init__(self, app: ASGIApp, policy: OriginPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            problem = self._policy.problem(headers.get("host", ""), headers.get("origin"))
            if problem is not None:
                await error_response(OriginNotAllowed(problem))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _authority(url: str) -> tuple[str, int] | None:
    """Host and port of an origin; None if it has none, as `null`."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            return None
        return parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _parents(name: str) -> Iterator[str]:
    """`b.c` and `c` of `a.b.c`."""
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _shown(value: str) -> str:
    return ascii(value if len(value) <= 100 else value[:100] + "...")
