"""Tells from what a request brings along whom it comes from."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trivium_serving.errors import InvalidField, PermissionDenied, StorageFull, Unauthenticated, Unavailable

from trivium_gateway.access.keys import PREFIX, is_subject_id, split_key
from trivium_gateway.request.principal import EVERYBODY, Scope

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trivium_gateway.access.key_store import KeyStore
    from trivium_gateway.access.keys import Key
    from trivium_gateway.access.tokens import TokenVerifier
    from trivium_gateway.request.principal import Principal

_logger = logging.getLogger(__name__)

_FOLLOW_SECONDS = 1.0
_BEARER = "bearer "
MOST_GROUPS = 100
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brings along.

    Attributes:
        authorization: Its `Authorization`.
        api_key: Its `X-API-Key`.
        user: For whom it asks, as it says: its `X-Trivium-User`; letters beyond ASCII percent-encoded, or as they are
            in UTF-8, whose bytes stand here as those of Latin-1.
        groups: What they belong to, likewise, separated by commas: its `X-Trivium-Groups`.
    """

    authorization: str = ""
    api_key: str = ""
    user: str = ""
    groups: str = ""

    @property
    def key(self) -> str:
        """The key."""
        if self.authorization[: len(_BEARER)].lower() == _BEARER:
            return self.authorization[len(_BEARER) :].strip()
        return self.api_key.strip()


class Guard:
    """Lets in who has a key; or everybody, if there is no place that keys are kept in.

    Keys are held in memory. What another process has changed is known within a second or two; if they cannot be read,
    the last ones that could hold.

    Args:
        store: Where keys are kept; None to let everybody in.
        given: Keys beside those in the store, as from the settings.
        tokens: Lets in who has a token of an issuer, too; None if nobody does.
    """

    def __init__(
        self, store: KeyStore | None = None, given: Iterable[Key] = (), tokens: TokenVerifier | None = None
    ) -> None:
        self._store = store
        self.tokens = tokens
        self._given = {key.id: key for key in given}
        self._keys = dict(self._given)

    @property
    def is_open(self) -> bool:
        """Whether everybody is let in."""
        return self._store is None

    def principal(self, credentials: Credentials) -> Principal:
        """Whom a request comes from.

        Raises:
            Unauthenticated: It has no key, or one that is not known.
            PermissionDenied: It says for whom it asks, and its key may not; or its token names no tenant or user.
            Unavailable: It has a token, and the issuer's keys cannot be had (ISSUER_UNAVAILABLE).
            InvalidField: What it says of that is too long, or no name.
        """
        if self.is_open:
            return _acting(EVERYBODY, credentials)
        if not credentials.key:
            raise Unauthenticated(
                "This gateway asks for a key. Send it as `Authorization: Bearer tv_...` or `X-API-Key`; whoever runs "
                "the gateway makes one with `trivium keys create`."
            )
        if self.tokens is not None and not credentials.key.startswith(PREFIX):
            return _acting(self.tokens.principal(credentials.key), credentials)
        key_id, secret = split_key(credentials.key)
        key = self._keys.get(key_id)
        principal = None if key is None else key.principal(secret, time.time())
        if principal is None:
            raise Unauthenticated("The key is not one of this gateway's, or has expired or been revoked.")
        return _acting(principal, credentials)

    def knows(self, key_id: str, tenant: str) -> bool:
        """Whether a tenant has a key; or, where an issuer's tokens are taken, may have a user of that name."""
        key = self._keys.get(key_id)
        return (self.tokens is not None and is_subject_id(key_id)) if key is None else key.tenant == tenant

    async def load(self) -> list[Key]:
        """Reads the keys anew.

        Raises:
            Unavailable: They cannot be read.
        """
        kept = [] if self._store is None else await self._store.all()
        self._keys = self._given | {key.id: key for key in kept}
        return kept

    async def close(self) -> None:
        """Gives back what the keys are kept in."""
        if self._store is not None:
            await self._store.close()

    async def follow(self) -> None:
        """Reads the keys anew all the time, until cancelled."""
        was_read = True
        while True:
            await asyncio.sleep(_FOLLOW_SECONDS)
            try:
                await self.load()
                was_read = True
            except (Unavailable, StorageFull) as error:
                if was_read:
                    _logger.warning("the keys cannot be read, and those known hold: %s", error.cause or error.message)
                was_read = False


def _acting(principal: Principal, credentials: Credentials) -> Principal:
    """The principal, for the user that the request names."""
    if not credentials.user and not credentials.groups:
        return principal
    if Scope.ACT_AS not in principal.scopes:
        raise PermissionDenied("Saying for whom one asks takes a key with the scope `act-as`.")
    user = _name("X-Trivium-User", credentials.user) if credentials.user else ""
    named = (group.strip() for group in credentials.groups.split(","))
    groups = frozenset(_name("X-Trivium-Groups", group) for group in named if group)
    if len(groups) > MOST_GROUPS:
        raise InvalidField("X-Trivium-Groups", f"A user has at most {MOST_GROUPS} groups.")
    return replace(principal, user=user, groups=groups, is_acting=True)


def _name(header: str, text: str) -> str:
    """The name that a header's text stands for."""
    try:
        name = unquote(text.encode("latin-1").decode(), errors="strict")
    except UnicodeError:
        raise InvalidField(header, f"{header} is no UTF-8. Percent-encode names, as `Zo%C3%AB` for `Zoë`.") from None
    if len(name) > _LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise InvalidField(
            header, f"{header} has {name[:60]!r}; a name has 1 to {_LONGEST_NAME} characters that can be printed."
        )
    return name
