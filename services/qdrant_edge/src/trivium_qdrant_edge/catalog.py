"""Which collections and aliases there are: one small file that is replaced whole at each change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from trivium_qdrant_edge.data_folder import DataFolder, DataFolderError, write_atomically
from trivium_qdrant_edge.schema import CollectionSchema

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Collections by name, and the collection's name by alias."""

    collections: Mapping[str, CatalogEntry] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    def with_entry(self, name: str, entry: CatalogEntry) -> Self:
        """The catalog with a collection added or changed."""
        return replace(self, collections={**self.collections, name: entry})

    def without(self, name: str) -> Self:
        """The catalog without a collection and the aliases that point to it."""
        return replace(
            self,
            collections={other: entry for other, entry in self.collections.items() if other != name},
            aliases={alias: target for alias, target in self.aliases.items() if target != name},
        )

    def resolve(self, name: str) -> str:
        """The collection's name that a name or alias stands for; the collection need not exist."""
        return self.aliases.get(name, name)


def read_catalog(folder: DataFolder) -> Catalog:
    """The catalog of a folder, empty for a new folder.

    Raises:
        DataFolderError: The file is damaged, or gone while the collections are there.
    """
    try:
        content = folder.catalog_path.read_bytes()
    except FileNotFoundError:
        if folder.has_collections():
            raise _damaged(folder, "it is missing, but there are collections beside it") from None
        return Catalog()
    try:
        return _decode(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, f"{type(error).__name__}: {error}") from error


def write_catalog(folder: DataFolder, catalog: Catalog) -> None:
    """Makes a catalog the folder's, at once and durably.

    Raises:
        DataFolderError: It could not be written, and the old one is still there.
    """
    content = json.dumps(_encode(catalog), ensure_ascii=False, indent=1).encode()
    try:
        write_atomically(folder.catalog_path, content)
    except OSError as error:
        raise DataFolderError(
            f"cannot write {folder.catalog_path}: {error.strerror}. Nothing was changed.", reason="CATALOG_UNWRITABLE"
        ) from error


def _damaged(folder: DataFolder, problem: str) -> DataFolderError:
    return DataFolderError(
        f"the catalog {folder.catalog_path} is damaged ({problem}). Nothing was changed. Restore the file from a "
        f"backup, or move {folder.root} away to start empty and ingest again.",
        reason="CATALOG_DAMAGED",
    )


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
    return {"format": _FORMAT, "collections": collections, "aliases": dict(catalog.aliases)}


def _decode(stored: Any) -> Catalog:
    if stored["format"] != _FORMAT:
        raise ValueError(f"its format is {stored['format']!r}, this version reads {_FORMAT}")
    collections = {
        name: CatalogEntry(
            id=entry["id"],
            generation=entry["generation"],
            created_at=entry["created_at"],
            schema=CollectionSchema.from_json(entry["schema"]),
        )
        for name, entry in stored["collections"].items()
    }
    return Catalog(collections=collections, aliases=dict(stored["aliases"]))
