"""The keys by which an issuer of tokens (OpenID Connect) signs, fetched, and fetched anew when it signs by others."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import jwt
from trivium_serving.addresses import is_loopback
from trivium_serving.errors import Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger(__name__)

_DISCOVERY = "/.well-known/openid-configuration"
_FETCH_SECONDS = 5.0
_LOAD_SECONDS = 15.0
_MOST_BYTES = 1024 * 1024
_PIECE_BYTES = 64 * 1024
_REFRESH_SECONDS = 300.0
_RETRY_SECONDS = 5.0
"""How soon keys are fetched anew because a token names one that is not known, or because they could not be fetched."""


class IssuerKeys:
    """The public keys of an issuer. Those known hold while it cannot be reached.

    Args:
        issuer: Its address, as its tokens have it.
        note_up: Is told whenever they were fetched, or could not be.
        clock: Seconds that never go back.

    Raises:
        ValueError: The address is none, or not encrypted.
    """

    def __init__(
        self, issuer: str, note_up: Callable[[bool], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        _check_address("TRIVIUM_GATEWAY_OIDC_ISSUER", issuer)
        self.issuer = issuer
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._wanted = asyncio.Event()
        self._failure = "they were not fetched yet"
        self._note_up = note_up

    def get(self, key_id: str) -> jwt.PyJWK:
        """The key that a token says it is signed by.

        Raises:
            Unauthenticated: The issuer has no such key.
            Unavailable: It is not known yet; the keys are fetched now.
        """
        key = self._keys.get(key_id)
        if key is not None:
            return key
        if self._keys and self._clock() - self._tried_at < _RETRY_SECONDS:  # they were looked at a moment ago
            raise Unauthenticated("The token is signed by a key that its issuer does not have.")
        self._wanted.set()
        raise Unavailable(
            f"The keys of the issuer {self.issuer} are being fetched. Try again in a moment."
            if self._keys
            else f"The keys of the issuer {self.issuer} cannot be had: {self._failure}.",
            reason="ISSUER_UNAVAILABLE",
        )

    async def load(self) -> bool:
        """Fetches the keys; whether that went well."""
        was_well = not self._failure
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                self._keys = await asyncio.to_thread(_fetch, self.issuer)
            self._failure = ""
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            self._failure = f"{type(error).__name__}: {error}"
            if was_well or not self._keys:
                held = "those known hold" if self._keys else "no token of it is taken"
                _logger.warning("the keys of %s cannot be fetched, and %s: %s", self.issuer, held, self._failure)
        self._tried_at = self._clock()
        self._note_up(not self._failure)
        return not self._failure

    async def follow(self) -> None:
        """Fetches the keys anew now and then, and soon where a token names an unknown one, until cancelled."""
        while True:
            pause = _RETRY_SECONDS if self._failure else _REFRESH_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), pause)
            self._wanted.clear()
            await self.load()


def _fetch(issuer: str) -> dict[str, jwt.PyJWK]:
    described = _json(issuer.rstrip("/") + _DISCOVERY)
    if described.get("issuer") != issuer:
        raise ValueError(f"it says that it is the issuer {described.get('issuer')!r}")
    address = str(described.get("jwks_uri", ""))
    _check_address("jwks_uri", address)
    listed = _json(address).get("keys")
    keys: dict[str, jwt.PyJWK] = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and one.get("use", "sig") == "sig":
            try:
                key = jwt.PyJWK.from_dict(one)
            except (jwt.PyJWTError, ValueError, TypeError, KeyError):  # of a kind that we do not know, beside others
                continue
            keys[str(one.get("kid", ""))] = key
    if not keys:
        raise ValueError("it has no keys that sign")
    return keys


class _NoRedirects(HTTPRedirectHandler):
    """Follows none: they may lead to where anybody answers."""

    def redirect_request(self, *_: Any) -> None:
        """Follows none."""


def _json(address: str) -> dict[str, Any]:
    request = Request(address, headers={"Accept": "application/json"})
    with build_opener(_NoRedirects).open(request, timeout=_FETCH_SECONDS) as response:
        content, end = b"", time.monotonic() + _FETCH_SECONDS
        while piece := response.read1(_PIECE_BYTES):
            content += piece
            if len(content) > _MOST_BYTES:
                raise ValueError(f"{address} answers with more than {_MOST_BYTES} bytes")
            if time.monotonic() > end:
                raise TimeoutError(f"{address} answers for longer than {_FETCH_SECONDS:g} s")
    read = json.loads(content)
    if not isinstance(read, dict):
        raise ValueError(f"{address} answers with no JSON object")
    return read


def _check_address(name: str, address: str) -> None:
    """Refuses an address at which anybody between could put keys of their own."""
    parts = urlsplit(address)
    if parts.scheme == "http" and is_loopback(parts.netloc):
        return
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(f"{name} is {address!r}: it takes an address that begins with https://")
