"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Right(StrEnum):
    """What a principal may do."""

    READ = "read"
    """Ask, search, and read documents."""
    WRITE = "write"
    """Add and delete documents."""
    MANAGE = "manage"
    """Create and delete collections."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Nobody is asked for without one: there is no default tenant anywhere below the surfaces.

    Attributes:
        tenant: Whose data it is about.
        user: Who of the tenant; empty if nobody says.
        groups: What the user belongs to.
        rights: What it may do.
    """

    tenant: str
    user: str
    groups: frozenset[str]
    rights: frozenset[Right]


EVERYBODY = Principal("default", "", frozenset(), frozenset(Right))
"""Who asks where nobody has to say who they are: the only tenant, with all rights."""
