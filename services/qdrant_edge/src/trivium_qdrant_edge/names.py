"""Names of collections and aliases: which are possible, and what changing aliases does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_serving.errors import AlreadyExists, InvalidField, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_LONGEST_BYTES = 255


@dataclass(frozen=True, slots=True)
class SetAlias:
    """Lets an alias point to a collection, whether or not it pointed to another."""

    alias: str
    collection: str


@dataclass(frozen=True, slots=True)
class RenameAlias:
    """Gives an alias another name."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class DropAlias:
    """Deletes an alias, if there is such a one."""

    alias: str


AliasAction = SetAlias | RenameAlias | DropAlias


def changed_aliases(
    aliases: Mapping[str, str], actions: Sequence[AliasAction], collections: Collection[str]
) -> dict[str, str]:
    """The aliases after all of the actions, in their order.

    Args:
        aliases: The collection's name by alias.
        actions: What to do.
        collections: The names of the collections.

    Raises:
        NotFound: A collection, or an alias to rename, does not exist.
        AlreadyExists: An alias would have a collection's name.
        InvalidField: A name cannot be one.
    """
    changed = dict(aliases)
    for action in actions:
        match action:
            case DropAlias(alias):
                changed.pop(alias, None)
            case RenameAlias(old, new):
                _check_alias(new, collections)
                if old not in changed:
                    raise NotFound(f"Not found: Alias {old} does not exists!", reason="ALIAS_NOT_FOUND")
                changed[new] = changed.pop(old)
            case SetAlias(alias, collection):
                if collection not in collections:
                    raise no_such_collection(collection)
                _check_alias(alias, collections)
                changed[alias] = collection
    return changed


def check_new_collection(name: str, collections: Collection[str], aliases: Collection[str]) -> None:
    """Checks that a collection can be made under a name.

    Raises:
        InvalidField: It cannot be a name, or is an alias.
        AlreadyExists: A collection has it.
    """
    _check_name("collection_name", name)
    if name in collections:
        raise AlreadyExists(f"Wrong input: Collection `{name}` already exists!", reason="COLLECTION_EXISTS")
    if name in aliases:
        raise InvalidField(
            "collection_name",
            f"Wrong input: Can't create collection with name {name}. Alias with the same name already exists",
            reason="ALIAS_EXISTS",
        )


def no_such_collection(name: str) -> NotFound:
    """The error, in Qdrant's words."""
    return NotFound(f"Not found: Collection `{name}` doesn't exist!", reason="COLLECTION_NOT_FOUND")


def _check_alias(alias: str, collections: Collection[str]) -> None:
    _check_name("alias_name", alias)
    if alias in collections:
        raise AlreadyExists(
            f"Wrong input: Collection `{alias}` already exists! An alias cannot have its name.",
            reason="COLLECTION_EXISTS",
        )


def _check_name(field: str, name: str) -> None:
    if not name or len(name.encode()) > _LONGEST_BYTES or _FORBIDDEN.search(name):
        raise InvalidField(
            field,
            f"Wrong input: {name[:80]!r} cannot be a name; it must have 1 to {_LONGEST_BYTES} bytes and none of "
            '<>:"/\\|?* or control characters',
        )
