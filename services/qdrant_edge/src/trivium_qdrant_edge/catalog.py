"""Which collections and aliases there are: one small file that is replaced whole at each change, and its copy."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from trivium_qdrant_edge.data_folder import DataFolder, DataFolderError, write_atomically, writing
from trivium_qdrant_edge.schema import CollectionSchema

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

_logger = logging.getLogger(__name__)

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One collection.

    Args:
        id: Name of its folder.
        generation: Which of the folders in it has the data; every rebuild writes a new one.
        created_at: When it was made, in seconds since 1970.
        schema: What it stores.
    """

    id: str
    generation: int
    created_at: float
    schema: CollectionSchema


@dataclass(frozen=True, slots=True)
class Catalog:
    """What there is.

    Args:
        collections: Collections by name.
        aliases: The collection's name by alias.
        unreadable: Collections whose entry this version cannot read, by name; the entry is kept as it is stored.
        discarded: What may be deleted although no collection names it, relative to the folder of collections: the
            remains of a collection that a caller deleted, and of data that a rebuild has replaced.
    """

    collections: Mapping[str, CatalogEntry] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, Any] = field(default_factory=dict)
    discarded: frozenset[str] = frozenset()

    @property
    def names(self) -> Set[str]:
        """The names of all collections, readable or not."""
        return self.collections.keys() | self.unreadable.keys()

    def with_entry(self, name: str, entry: CatalogEntry) -> Self:
        """The catalog with a collection added or changed."""
        return replace(self, collections={**self.collections, name: entry})

    def without(self, name: str) -> Self:
        """The catalog without a collection and the aliases that point to it."""
        return replace(
            self,
            collections={other: entry for other, entry in self.collections.items() if other != name},
            unreadable={other: entry for other, entry in self.unreadable.items() if other != name},
            aliases={alias: target for alias, target in self.aliases.items() if target != name},
        )

    def discarding(self, path: str) -> Self:
        """The catalog that also allows to delete what is at a path beneath the folder of collections."""
        return replace(self, discarded=self.discarded | {path})

    def resolve(self, name: str) -> str:
        """The collection's name that a name or alias stands for; the collection need not exist."""
        return self.aliases.get(name, name)


def open_catalog(folder: DataFolder) -> Catalog:
    """The catalog of a folder; a new folder gets an empty one.

    A damaged file is set aside and made anew from the other copy. Nothing is written where nothing is to mend.

    Raises:
        DataFolderError: Both copies are damaged or gone, while there are collections.
    """
    problems = []
    for path in (folder.catalog_path, folder.catalog_copy_path):
        try:
            catalog = _decode(json.loads(path.read_bytes()))
        except FileNotFoundError:
            problems.append(f"{path.name} is missing")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"{path.name}: {type(error).__name__}: {error}")
        else:
            if path == folder.catalog_copy_path:
                _logger.error("the catalog was damaged (%s), its copy %s is used", problems[0], path)
                if not folder.is_read_only:
                    folder.set_aside(folder.catalog_path)
                    write_catalog(folder, catalog)
            return catalog
    if folder.has_collections() or any(path.exists() for path in (folder.catalog_path, folder.catalog_copy_path)):
        raise DataFolderError(
            f"the catalog {folder.catalog_path} is damaged ({'; '.join(problems)}). Nothing was changed. Restore the "
            f"file from a backup, or move {folder.root} away to start empty and ingest again.",
            reason="CATALOG_DAMAGED",
        )
    write_catalog(folder, Catalog())  # from the first start on, a missing catalog is a damage
    return Catalog()


def write_catalog(folder: DataFolder, catalog: Catalog) -> None:
    """Makes a catalog the folder's, at once and durably, and then its copy.

    Raises:
        StorageFull: There is no room for it, and the old one is still there.
        DataFolderError: It could not be written, and the old one is still there.
    """
    body = _encode(catalog)
    content = json.dumps({**body, "sha256": _checksum(body)}, ensure_ascii=False, indent=1).encode()
    with writing(folder.catalog_path):
        write_atomically(folder.catalog_path, content)
    try:
        write_atomically(folder.catalog_copy_path, content)
    except OSError as error:  # the change is made; the next one writes both again
        _logger.warning("cannot write %s: %s", folder.catalog_copy_path, error.strerror)


def _checksum(body: Mapping[str, Any]) -> str:
    canonical = json.dumps(body, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _encode(catalog: Catalog) -> dict[str, Any]:
    collections = {
        name: {
            "id": entry.id,
            "generation": entry.generation,
            "created_at": entry.created_at,
            "schema": entry.schema.to_json(),
        }
        for name, entry in catalog.collections.items()
    }
    return {
        "format": _FORMAT,
        "collections": {**collections, **catalog.unreadable},
        "aliases": dict(catalog.aliases),
        "discarded": sorted(catalog.discarded),
    }


def _decode(stored: Any) -> Catalog:
    if stored["format"] != _FORMAT:
        raise ValueError(f"its format is {stored['format']!r}, this version reads {_FORMAT}")
    checksum = stored.pop("sha256", None)  # earlier versions wrote none
    if checksum is not None and checksum != _checksum(stored):
        raise ValueError("its content does not fit its checksum")
    collections, unreadable = {}, {}
    for name, entry in stored["collections"].items():
        try:
            collections[name] = CatalogEntry(
                id=entry["id"],
                generation=entry["generation"],
                created_at=entry["created_at"],
                schema=CollectionSchema.from_json(entry["schema"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _logger.error("the catalog's entry of collection `%s` cannot be read: %r", name, error)
            unreadable[name] = entry
    return Catalog(
        collections=collections,
        aliases=dict(stored["aliases"]),
        unreadable=unreadable,
        discarded=frozenset(stored.get("discarded", ())),
    )
