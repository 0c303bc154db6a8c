"""Keeps pages of other sites from using a browser to reach this gateway, which may be on its user's own machine.

A page of any site may have the browser send a form, and so a document, to `http://127.0.0.1:8080`; and a name that
first leads to that site and then to 127.0.0.1 (DNS rebinding) even makes the two one origin. Browsers say in `Origin`
whose page it is and in `Host` which name they used; other clients send no `Origin`, and are left alone.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from trivium_gateway.http.errors import OriginNotAllowed, error_response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

ANY_ORIGIN = "*"
_SETTING = "TRIVIUM_GATEWAY_ALLOWED_ORIGINS"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# No registrar sells names under these, so none of them can be made to lead here from outside.
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".svc")


@dataclass(frozen=True, slots=True)
class OriginPolicy:
    """Whose pages may call.

    Attributes:
        allowed: Origins such as `https://app.example.com` beside the gateway's own; `*` for all.
        checks_host: Whether names in `Host` must be known: those of allowed origins, or ones that cannot be made to
            lead here from outside, such as `localhost`, an address, or a name without a dot.
    """

    allowed: frozenset[str] = frozenset()
    checks_host: bool = True

    @classmethod
    def of(cls, allowed_origins: str, listen: str) -> OriginPolicy:
        """The policy of a gateway.

        Args:
            allowed_origins: As the setting has them, separated by commas.
            listen: `HOST:PORT` where it serves HTTP. On any other address than this machine's own, the names under
                which it is reached are unknown; they are checked once the setting names some.

        Raises:
            ValueError: One is no origin; the message says which.
        """
        allowed = frozenset(one.strip().rstrip("/").lower() for one in allowed_origins.split(",") if one.strip())
        for origin in allowed - {ANY_ORIGIN}:
            if _authority(origin) is None or urlsplit(origin).path:
                raise ValueError(f"{_SETTING}: {origin!r} is not an origin such as https://app.example.com, nor *")
        local = _is_local(listen.rpartition(":")[0].strip("[]"))
        return cls(allowed, (local or bool(allowed)) and ANY_ORIGIN not in allowed)

    def problem(self, host: str, origin: str | None) -> str | None:
        """Why a request is refused; None if it is not.

        Args:
            host: Its `Host`.
            origin: Its `Origin`, if it has one.
        """
        if self.checks_host and not self._knows(host):
            return (
                f"This gateway does not serve the name {_shown(host)}. Use localhost or an address, or set {_SETTING} "
                "to the origin under which it is reached, for example https://rag.example.com."
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
        authority = _authority(f"http://{host}")
        if authority is None:
            return not host  # HTTP/1.0, which no browser speaks
        name = authority[0].rstrip(".")
        if "." not in name or name.endswith(_PRIVATE_SUFFIXES) or _is_address(name):
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


def _is_local(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _shown(value: str) -> str:
    return ascii(value if len(value) <= 100 else value[:100] + "...")
