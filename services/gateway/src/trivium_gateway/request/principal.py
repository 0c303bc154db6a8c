"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from trivium_serving.errors import PermissionDenied

from trivium_gateway.domain.names import DEFAULT_TENANT
from trivium_gateway.domain.readers import Reader, whole


class Scope(StrEnum):
    """What a principal may do."""

    READ = "read"
    """Ask, search, and read documents."""
    INGEST = "ingest"
    """Add and delete documents."""
    ADMIN = "admin"
    """Create and delete collections, and keys of its tenant."""
    ACT_AS = "act-as"
    """Say for which user it asks."""
    OPERATOR = "operator"
    """Make keys for any tenant, and read the metrics."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Nobody is asked for without one: there is no default tenant anywhere below the surfaces.

    Attributes:
        tenant: Whose data it is about.
        user: Who of the tenant; empty if nobody says.
        groups: What the user belongs to.
        scopes: What it may do.
        key_id: By which key it came; empty where none is needed.
        is_acting: Whether it asks for somebody else, by whose rights it reads.
    """

    tenant: str
    user: str
    groups: frozenset[str]
    scopes: frozenset[Scope]
    key_id: str = ""
    is_acting: bool = False

    @property
    def sees_all(self) -> bool:
        """Whether it sees all that is the tenant's: an admin that asks for itself."""
        return Scope.ADMIN in self.scopes and not self.is_acting

    @property
    def may_know_readers(self) -> bool:
        """Whether it is told who else may read what it reads: who adds documents says so."""
        return self.sees_all or Scope.INGEST in self.scopes

    @property
    def reader(self) -> Reader:
        """As whom it reads documents."""
        if self.sees_all:
            return whole(self.tenant)
        own = [f"user:{self.user}"] if self.user else []
        return Reader(self.tenant, frozenset([*own, *(f"group:{group}" for group in self.groups)]))

    @property
    def keeper(self) -> Reader:
        """As whom it replaces and deletes documents: a key that is nobody's keeps all, though it cannot read them."""
        is_nobodys = not self.user and not self.groups
        return whole(self.tenant) if is_nobodys else self.reader

    @classmethod
    def of(cls, reader: Reader, scopes: frozenset[Scope], key_id: str) -> Self:
        """Whoever keeps documents as some reader does, and came by some key."""
        names = sorted(reader.names or ())
        user = next((name.removeprefix("user:") for name in names if name.startswith("user:")), "")
        groups = frozenset(name.removeprefix("group:") for name in names if name.startswith("group:"))
        return cls(reader.tenant, user, groups, scopes, key_id)

    def require(self, scope: Scope) -> None:
        """Refuses what it may not do.

        Raises:
            PermissionDenied: It lacks the scope.
        """
        if scope not in self.scopes:
            has = ", ".join(sorted(self.scopes)) or "none"
            raise PermissionDenied(f"That takes a key with the scope `{scope}`; this one has {has}.")


EVERYBODY = Principal(DEFAULT_TENANT, "", frozenset(), frozenset(Scope))
"""Who asks where nobody has to say who they are: the only tenant, with all scopes."""
