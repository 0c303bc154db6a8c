"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a principal may do."""

    READ = "read"
    """Ask, search, and read documents."""
    INGEST = "ingest"
    """Add and delete documents."""
    ADMIN = "admin"
    """Create and delete collections."""
    ACT_AS = "act-as"
    """Say for which user it asks."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Nobody is asked for without one: there is no default tenant anywhere below the surfaces.

    Attributes:
        tenant: Whose data it is about.
        user: Who of the tenant; empty if nobody says.
        groups: What the user belongs to.
        scopes: What it may do.
    """

    tenant: str
    user: str
    groups: frozenset[str]
    scopes: frozenset[Scope]


EVERYBODY = Principal("default", "", frozenset(), frozenset(Scope))
"""Who asks where nobody has to say who they are: the only tenant, with all scopes."""
