"""Keys: what callers send, and what is kept of it.

A key reads `tv_<id>_<secret>`. The id finds it; of the secret, 256 bits drawn at random, only the SHA-256 is kept.
Nobody can search through those: slow hashes are for what people think up.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any, Self

from trivium_gateway.request.principal import Principal, Scope

PREFIX = "tv_"
_ID_BYTES = 5
_SECRET_BYTES = 32
_PLAIN_NAME = r"[A-Za-z0-9._@+=-]{1,64}"
_SUBJECT_ID = re.compile(rf"oidc:({_PLAIN_NAME}|~[0-9a-f]{{32}})")


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. Moments are seconds since 1970.

    Attributes:
        id: Finds it, and names it in lists and logs.
        name: What people call it.
        tenant: Whose data it opens.
        scopes: What it may do.
        user: For whom it asks, if it is one person's.
        groups: What they belong to.
        created_at: When it was made.
        expires_at: When it ends; None for never.
        secret_hash: SHA-256 of its secret, in hexadecimal digits.
        former_hash: That of the secret before it was rotated; empty if it was not.
        former_until: How long that one is taken.
    """

    id: str
    name: str
    tenant: str
    scopes: frozenset[Scope]
    user: str
    groups: frozenset[str]
    created_at: float
    expires_at: float | None
    secret_hash: str
    former_hash: str = ""
    former_until: float = 0.0

    def principal(self, secret: str, now: float) -> Principal | None:
        """Whom it lets in; None if the secret is not its own, or it has expired.

        Args:
            secret: What the caller sent after the id.
            now: The moment.
        """
        hashed = _hash(secret)
        is_own = hmac.compare_digest(hashed, self.secret_hash)
        was_own = now < self.former_until and hmac.compare_digest(hashed, self.former_hash)
        if not (is_own or was_own) or (self.expires_at is not None and now >= self.expires_at):
            return None
        return Principal(self.tenant, self.user, self.groups, self.scopes, self.id)

    def as_json(self) -> dict[str, Any]:
        """All of it, to be kept."""
        return {
            "id": self.id,
            "name": self.name,
            "tenant": self.tenant,
            "scopes": sorted(self.scopes),
            "user": self.user,
            "groups": sorted(self.groups),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "secret_hash": self.secret_hash,
            "former_hash": self.former_hash,
            "former_until": self.former_until,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Self:
        """What was kept."""
        scopes, groups = frozenset(map(Scope, kept["scopes"])), frozenset(kept["groups"])
        return cls(**{**kept, "scopes": scopes, "groups": groups})


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key with its text, which is shown once.

    Attributes:
        key: What is kept.
        text: What its owner sends.
    """

    key: Key
    text: str


def make_key(
    *,
    name: str,
    tenant: str,
    scopes: frozenset[Scope],
    user: str = "",
    groups: frozenset[str] = frozenset(),
    expires_at: float | None = None,
) -> MadeKey:
    """Makes a key; see Key for the arguments."""
    key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
    key = Key(key_id, name, tenant, scopes, user, groups, time.time(), expires_at, _hash(secret))
    return MadeKey(key, f"{PREFIX}{key_id}_{secret}")


def rotated(key: Key, grace_seconds: float) -> MadeKey:
    """Gives a key another secret.

    Args:
        key: The key.
        grace_seconds: How long the secret that it has had is still taken.
    """
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    until = time.time() + grace_seconds
    anew = replace(key, secret_hash=_hash(secret), former_hash=key.secret_hash, former_until=until)
    return MadeKey(anew, f"{PREFIX}{key.id}_{secret}")


def given_key(text: str, tenant: str, scopes: frozenset[Scope]) -> Key:
    """What is kept of a key that the settings give.

    Raises:
        ValueError: It is none.
    """
    key_id, secret = split_key(text)
    if not key_id or len(secret) < _SECRET_BYTES:
        raise ValueError(
            f"TRIVIUM_GATEWAY_ADMIN_KEY does not read {PREFIX}ID_SECRET, SECRET of {_SECRET_BYTES} characters or more"
        )
    return Key(key_id, "given", tenant, scopes, "", frozenset(), 0.0, None, _hash(secret))


def split_key(text: str) -> tuple[str, str]:
    """The id and the secret of a key; both empty if the text is none."""
    if not text.startswith(PREFIX):
        return "", ""
    key_id, underscore, secret = text.removeprefix(PREFIX).partition("_")
    return (key_id, secret) if underscore else ("", "")


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def subject_id(user: str) -> str:
    """What stands in place of a key's id for a user with a token: the name, or of one that does not fit a hash."""
    if re.fullmatch(_PLAIN_NAME, user):
        return f"oidc:{user}"
    return f"oidc:~{hashlib.sha256(user.encode()).hexdigest()[:32]}"


def is_subject_id(key_id: str) -> bool:
    """Whether it may stand in place of a key's id for some user with a token."""
    return _SUBJECT_ID.fullmatch(key_id) is not None
