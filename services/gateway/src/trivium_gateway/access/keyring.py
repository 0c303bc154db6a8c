"""Makes, lists, rotates and revokes keys."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import FailedPrecondition, InvalidField, NotFound, PermissionDenied

from trivium_gateway.access.guard import MOST_GROUPS, Guard
from trivium_gateway.access.keys import MadeKey, make_key, rotated
from trivium_gateway.access.private_files import open_private
from trivium_gateway.domain.dates import LAST_MOMENT
from trivium_gateway.domain.limits import check_unicode
from trivium_gateway.domain.names import DEFAULT_TENANT, check_tenant
from trivium_gateway.request.principal import Scope

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

    from trivium_gateway.access.audit import AuditLog
    from trivium_gateway.access.key_store import KeyStore
    from trivium_gateway.access.keys import Key
    from trivium_gateway.access.tokens import TokenVerifier
    from trivium_gateway.request.principal import Principal

DEFAULT_GRACE_SECONDS = 3600.0
_MOST_GRACE_SECONDS = 30 * 86_400.0
_LONGEST_NAME = 200
_MOST_KEYS = 10_000


class Keyring:
    """The keys, for those who may change them: an `admin` those of its tenant, an `operator` all.

    Args:
        store: Where they are kept; None where nobody needs one.
        guard: Lets in by them.
        audit: Notes who changes them.
    """

    def __init__(self, store: KeyStore | None, guard: Guard, audit: AuditLog) -> None:
        self._store = store
        self._guard = guard
        self._audit = audit

    async def create(
        self,
        principal: Principal,
        *,
        name: str,
        tenant: str,
        scopes: Collection[str],
        user: str = "",
        groups: Sequence[str] = (),
        expires_at: float | None = None,
    ) -> MadeKey:
        """Makes a key.

        Args:
            principal: Who makes it.
            name: What people call it.
            tenant: Whose data it opens; empty for the tenant of who makes it.
            scopes: What it may do.
            user: For whom it asks, if it is one person's.
            groups: What they belong to.
            expires_at: When it ends, in seconds since 1970; None for never.

        Raises:
            PermissionDenied: It would do what its maker may not.
            InvalidField: A name is too long, there are too many, a scope is none, or it would have expired.
        """
        async with self._audit.action(principal, "keys.create") as entry:
            made = await self._create(principal, name, tenant or principal.tenant, scopes, user, groups, expires_at)
            entry.subject = made.key.id
            return made

    async def _create(
        self,
        principal: Principal,
        name: str,
        tenant: str,
        scopes: Collection[str],
        user: str,
        groups: Sequence[str],
        expires_at: float | None,
    ) -> MadeKey:
        store = self._kept()
        _check_may(principal, tenant)
        check_tenant(tenant)
        wanted = _scopes(scopes)
        if not wanted <= principal.scopes:
            raise PermissionDenied("A key cannot be given scopes that the key which makes it lacks.")
        _check_names(name, user, groups)
        if expires_at is not None and not time.time() < expires_at <= LAST_MOMENT:
            raise InvalidField(
                "expires_at", "That moment is past, or none. Give one to come, or none for a key without end."
            )
        if len(await store.all()) >= _MOST_KEYS:
            raise FailedPrecondition(f"There are {_MOST_KEYS} keys. Revoke some.", reason="TOO_MANY_KEYS")
        made = make_key(
            name=name, tenant=tenant, scopes=wanted, user=user, groups=frozenset(groups), expires_at=expires_at
        )
        await store.put(made.key)
        await self._guard.load()
        return made

    async def list(self, principal: Principal) -> list[Key]:
        """The keys that a principal may change, the oldest first.

        Raises:
            PermissionDenied: It may change none.
        """
        store = self._kept()
        _check_may(principal, principal.tenant)
        keys = [key for key in await store.all() if _may(principal, key.tenant)]
        return sorted(keys, key=lambda key: key.created_at)

    async def rotate(self, principal: Principal, key_id: str, *, grace_seconds: float) -> MadeKey:
        """Gives a key another secret.

        Args:
            principal: Who does.
            key_id: The key's id.
            grace_seconds: How long the secret that it has had is still taken.

        Raises:
            NotFound: There is no such key, or it is another tenant's (KEY_NOT_FOUND).
            PermissionDenied: It may do more than who rotates it.
            InvalidField: The time is below 0 or above 30 days.
            FailedPrecondition: It has expired (KEY_EXPIRED).
        """
        if not 0 <= grace_seconds <= _MOST_GRACE_SECONDS:
            raise InvalidField("grace_seconds", f"It is {grace_seconds:g}; 0 to {_MOST_GRACE_SECONDS:g} are allowed.")
        async with self._audit.action(principal, "keys.rotate", subject=key_id):
            key = await self._find(principal, key_id)
            if key.expires_at is not None and key.expires_at <= time.time():
                raise FailedPrecondition("The key has expired. Create another.", reason="KEY_EXPIRED")
            made = rotated(key, grace_seconds)
            await self._kept().put(made.key)
            await self._guard.load()
            return made

    async def revoke(self, principal: Principal, key_id: str) -> None:
        """Ends a key at once; in other gateways within two seconds.

        Raises:
            NotFound: There is no such key, or it is another tenant's (KEY_NOT_FOUND).
            PermissionDenied: It may do more than who revokes it.
        """
        async with self._audit.action(principal, "keys.revoke", subject=key_id):
            await self._find(principal, key_id)
            await self._kept().remove(key_id)
            await self._guard.load()

    async def make_first(self, path: Path) -> bool:
        """Makes a key that may do everything, and writes it into a file for its owner, if there is no key at all.

        Returns:
            Whether it did.

        Raises:
            Unavailable: It cannot be kept.
        """
        store = self._kept()
        if await self._guard.load():
            return False
        made = make_key(name="first", tenant=DEFAULT_TENANT, scopes=frozenset(Scope))
        await asyncio.to_thread(_write_private, path, made.text + "\n")
        await store.put(made.key)
        await self._guard.load()
        return True

    def _kept(self) -> KeyStore:
        if self._store is None:
            raise FailedPrecondition(
                "This gateway asks nobody for a key. Start it with TRIVIUM_GATEWAY_AUTH=keys.", reason="KEYS_ARE_OFF"
            )
        return self._store

    async def _find(self, principal: Principal, key_id: str) -> Key:
        store = self._kept()
        _check_may(principal, principal.tenant)
        for key in await store.all():
            if key.id == key_id and _may(principal, key.tenant):
                if not key.scopes <= principal.scopes:
                    raise PermissionDenied("A key cannot be rotated or revoked by one that may do less.")
                return key
        raise NotFound(f"There is no key {key_id[:40]!r}. List those that there are.", reason="KEY_NOT_FOUND")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may ask, and who may say so.

    Attributes:
        guard: Lets in.
        keyring: Makes and revokes keys.
    """

    guard: Guard
    keyring: Keyring

    @classmethod
    def kept_in(
        cls,
        store: KeyStore | None,
        audit: AuditLog,
        given: Iterable[Key] = (),
        tokens: TokenVerifier | None = None,
    ) -> Access:
        """By the keys of a place, and some and an issuer's tokens beside them; everybody if there is none."""
        guard = Guard(store, given, tokens)
        return cls(guard, Keyring(store, guard, audit))


def _write_private(path: Path, text: str) -> None:
    with open(open_private(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w", encoding="utf-8") as file:
        file.write(text)


def _may(principal: Principal, tenant: str) -> bool:
    if Scope.OPERATOR in principal.scopes:
        return True
    return Scope.ADMIN in principal.scopes and tenant == principal.tenant


def _check_may(principal: Principal, tenant: str) -> None:
    if Scope.OPERATOR not in principal.scopes:
        principal.require(Scope.ADMIN)
        if tenant != principal.tenant:
            raise PermissionDenied("Keys for another tenant take a key with the scope `operator`.")


def _check_names(name: str, user: str, groups: Sequence[str]) -> None:
    if len(groups) > MOST_GROUPS:
        raise InvalidField("groups", f"There are {len(groups)} groups; {MOST_GROUPS} are allowed.")
    for field, text in (("name", name), ("user", user), *(("groups", group) for group in groups)):
        check_unicode(field, text)
        if len(text) > _LONGEST_NAME:
            raise InvalidField(field, f"It has {len(text)} characters; {_LONGEST_NAME} are allowed.")


def _scopes(names: Collection[str]) -> frozenset[Scope]:
    try:
        scopes = frozenset(map(Scope, names))
    except ValueError:
        raise InvalidField("scopes", f"Scopes are {', '.join(Scope)}.") from None
    if not scopes:
        raise InvalidField("scopes", f"A key needs a scope: {', '.join(Scope)}.")
    return scopes
