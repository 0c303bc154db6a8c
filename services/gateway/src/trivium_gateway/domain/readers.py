"""Who may read a document, and as whom somebody reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import InvalidField, TooLarge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trivium_gateway.domain.limits import GatewayLimits

__all__ = ["ANYONE", "EVERYONE", "NOBODY", "Reader", "Readers", "checked_readers", "common", "shown_readers", "whole"]

Readers = frozenset[str] | None
"""Who may read a document: names as `user:ann` and `group:hr`, or EVERYONE."""
EVERYONE: Readers = None
"""All of the tenant."""
NOBODY: Readers = frozenset()
"""None but those who read all."""
ANYONE = "*"
"""How people write EVERYONE."""

_KINDS = ("user:", "group:")


@dataclass(frozen=True, slots=True)
class Reader:
    """As whom documents are read. Nothing is read without one.

    Attributes:
        tenant: Whose documents.
        names: What it is called where documents say who may read them; None if it reads all of them.
    """

    tenant: str
    names: frozenset[str] | None

    def may_read(self, readers: Readers) -> bool:
        """Whether a document that has some readers is there for it."""
        return readers is None or self.names is None or not self.names.isdisjoint(readers)

    def covers(self, other: Reader) -> bool:
        """Whether it may read whatever another one may."""
        if self.tenant != other.tenant or self.names is None:
            return self.tenant == other.tenant
        return other.names is not None and other.names <= self.names


def whole(tenant: str) -> Reader:
    """Give whoever reads all of a tenant's documents: who keeps them, and nobody who asks."""
    return Reader(tenant, None)


def checked_readers(given: Sequence[str], limits: GatewayLimits) -> Readers:
    """Check who shall read a document.

    Args:
        given: `user:NAME`, `group:NAME`, or `*` for everyone; at least one.
        limits: What is allowed.

    Raises:
        InvalidField: There is none, or one is not written so.
        TooLarge: There are too many (TOO_MANY_READERS).
    """
    if not given:
        raise InvalidField("readers", f'There are no readers. Give some, or ["{ANYONE}"] for everyone of the tenant.')
    if len(given) > limits.max_readers_per_document:
        raise TooLarge(
            f"There are {len(given)} readers; at most {limits.max_readers_per_document} are allowed. Name a group.",
            reason="TOO_MANY_READERS",
            field="readers",
        )
    for one in given:
        name = next((one.removeprefix(kind) for kind in _KINDS if one.startswith(kind)), "")
        is_name = 0 < len(name) <= limits.max_reader_characters and name.isprintable() and name == name.strip()
        if one != ANYONE and not is_name:
            raise InvalidField(
                "readers",
                f"{one[:60]!r} names no reader. Write `user:NAME`, `group:NAME`, or `{ANYONE}` for everyone of the "
                f"tenant; a name has 1 to {limits.max_reader_characters} characters.",
            )
    return EVERYONE if ANYONE in given else frozenset(given)


def common(first: Readers, second: Readers) -> Readers:
    """Give those who may read by both of two rules."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def shown_readers(readers: Readers) -> list[str]:
    """Write down who may read a document, as people do."""
    return [ANYONE] if readers is None else sorted(readers)
