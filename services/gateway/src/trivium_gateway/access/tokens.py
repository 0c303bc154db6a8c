"""Tokens of an issuer (JWT): whom they let in, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

import jwt
from trivium_serving.errors import InvalidField, PermissionDenied, Unauthenticated

from trivium_gateway.access.keys import subject_id
from trivium_gateway.domain.names import DEFAULT_TENANT, check_tenant
from trivium_gateway.request.principal import Principal, Scope

if TYPE_CHECKING:
    from trivium_gateway.access.issuer import IssuerKeys

_ALGORITHMS = frozenset(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
"""Signatures that only the issuer can make; never those by a secret that both know."""
_SKEW_SECONDS = 60.0
_LONGEST_TOKEN = 16_384
_PREFIX = "trivium:"
_GIVEN_BY_TOKENS = frozenset(Scope) - {Scope.OPERATOR}
_MOST_GROUPS = 1_000
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Where a token says what. A name may have dots, as `realm_access.roles`.

    Attributes:
        tenant: The tenant; empty for `default`, whoever it is.
        user: The user.
        groups: What they belong to: a list, or names with blanks between.
        scopes: What they may do, as `trivium:ingest`: likewise.
    """

    tenant: str
    user: str
    groups: str
    scopes: str


class TokenVerifier:
    """Lets in who has a token of an issuer.

    Args:
        keys: The issuer's.
        audience: For whom tokens have to be made.
        claims: Where they say what.
        scopes: What whoever has one may do.
    """

    def __init__(self, keys: IssuerKeys, audience: str, claims: ClaimNames, scopes: frozenset[Scope]) -> None:
        self.keys = keys
        self._audience = audience
        self._claims = claims
        self._scopes = scopes

    def principal(self, token: str) -> Principal:
        """Whom a token lets in.

        Raises:
            Unauthenticated: It is none, not the issuer's, for somebody else, expired, or not valid yet.
            PermissionDenied: It does not say whose data it is for, or by no name that there can be.
            Unavailable: The issuer's keys cannot be had (ISSUER_UNAVAILABLE).
        """
        claims = self._verified(token)
        try:
            tenant = DEFAULT_TENANT
            if self._claims.tenant:
                tenant = str(_claim(claims, self._claims.tenant) or "")
                check_tenant(tenant)
        except InvalidField:
            raise PermissionDenied(
                f"The token's claim {self._claims.tenant!r} is {tenant[:80]!r}, which can be no tenant. Have the "
                "issuer put the tenant's name there."
            ) from None
        user, groups = _claim(claims, self._claims.user), _names(_claim(claims, self._claims.groups))
        if not _is_name(user):
            raise PermissionDenied(f"The token's claim {self._claims.user!r} names no user.")
        if len(groups) > _MOST_GROUPS:
            raise PermissionDenied(f"The token names {len(groups)} groups; at most {_MOST_GROUPS} are taken.")
        granted = _names(_claim(claims, self._claims.scopes))
        scopes = self._scopes | {one for one in _GIVEN_BY_TOKENS if _PREFIX + one in granted}
        return Principal(tenant, user, frozenset(groups), scopes, subject_id(user))

    def _verified(self, token: str) -> dict[str, Any]:
        if len(token) > _LONGEST_TOKEN:
            raise Unauthenticated(f"The token has {len(token)} characters; at most {_LONGEST_TOKEN} are read.")
        try:
            header = jwt.get_unverified_header(token)
            key = self.keys.get(str(header.get("kid", "")))
            # The key says by which algorithm it signs; what the token says of that counts only if it is the same.
            allowed = [key.algorithm_name] if key.algorithm_name in _ALGORITHMS else []
            return jwt.decode(
                token,
                key,
                algorithms=allowed,
                audience=self._audience,
                issuer=self.keys.issuer,
                leeway=_SKEW_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, RecursionError) as error:
            raise Unauthenticated(f"The token is not taken: {error}.") from error


def _claim(claims: dict[str, Any], name: str) -> Any:
    """What a token says under a name; the name as it is goes before its parts."""
    if not name or name in claims:
        return claims.get(name)
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _names(value: Any) -> list[str]:
    """The names in a claim, without those that are none."""
    listed = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return [one for one in listed if _is_name(one)]


def _is_name(value: Any) -> TypeGuard[str]:
    """Whether it can be the name of somebody, as readers of documents have it."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and value == value.strip()


def scopes_named(names: str) -> frozenset[Scope]:
    """The scopes that the settings give everybody who has a token.

    Raises:
        ValueError: One is none, or none that a token can give.
    """
    named = {one.strip() for one in names.split(",") if one.strip()}
    wrong = sorted(named - {scope.value for scope in _GIVEN_BY_TOKENS})
    if wrong:
        raise ValueError(
            f"TRIVIUM_GATEWAY_OIDC_SCOPES has {', '.join(wrong)}; there are read, ingest, admin and act-as"
        )
    return frozenset(map(Scope, named))
