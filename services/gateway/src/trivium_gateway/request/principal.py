"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trivium_serving.errors import PermissionDenied

from trivium_gateway.domain.names import DEFAULT_TENANT


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
    """

    tenant: str
    user: str
    groups: frozenset[str]
    scopes: frozenset[Scope]
    key_id: str = ""

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
