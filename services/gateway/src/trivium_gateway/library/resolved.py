"""A collection that was found: where its data is, and which model's vectors are in it."""

from dataclasses import dataclass, field, replace

from trivium_lexical import ANALYZER_VERSION

from trivium_gateway.domain.indexes import IndexBeside, IndexMaking
from trivium_gateway.domain.names import alias_behind, alias_of, name_and_tenant, physical_name
from trivium_gateway.domain.readers import Reader
from trivium_gateway.domain.settings import SettingsHistory
from trivium_gateway.library.lookup import OwnCollection
from trivium_gateway.qdrant.points import Scope, scoped_filter
from trivium_gateway.qdrant.words import WordRules

__all__ = ["DEFAULT_COLLECTION", "ResolvedCollection", "resolved"]

DEFAULT_COLLECTION = "default"
"""The collection of requests that name none. It is created by the first write."""


@dataclass(frozen=True, slots=True)
class ResolvedCollection:
    """Where a collection's data is, and which model's vectors are in it.

    Attributes:
        tenant: Whose it is.
        name: The name that they use.
        physical: The name of the collection in Qdrant, `<alias>__<12 characters>`; see `physical_name`.
        made: What its index is made with.
        settings: How it is searched and judged.
        is_restricted: Whether there are or were documents in it that not everyone of the tenant may read.
        same_model: Fingerprint of another model that makes the same vectors, and embeds for it; empty if none does.
        beside: The other index of the collection; None if there is none.
        contents: The mark of what was in it when it was found; see `Contents`.
    """

    tenant: str
    name: str
    physical: str
    made: IndexMaking
    settings: SettingsHistory = field(default_factory=SettingsHistory)
    is_restricted: bool = False
    same_model: str = ""
    beside: IndexBeside | None = None
    contents: str = ""

    @property
    def alias(self) -> str:
        """The alias in Qdrant."""
        return alias_of(self.tenant, self.name)

    def corpus(self, reader: Reader) -> Scope | None:
        """Give the chunks among which a word is rare: those that a reader may read; None for all of them."""
        return scoped_filter(reader) if self.is_restricted and reader.names is not None else None

    @property
    def embedded_by(self) -> str:
        """Fingerprint of the model that embeds for it.

        Pass it to `EmbedClient.of` and to what embeds, which refuses any other model.
        """
        return self.same_model or self.made.fingerprint

    def successor(self) -> "ResolvedCollection | None":
        """Give the collection that `Reindexer` makes of this one; None if it is made as this version makes them."""
        language = self.settings.now.settings.language or ""
        if (self.made.analyzer, self.made.language) == (ANALYZER_VERSION, language):
            return None
        return self.made_as(replace(self.made, analyzer=ANALYZER_VERSION, language=language))

    def other(self) -> "ResolvedCollection | None":
        """Give the other index of this collection, in which deletions and readers have to be kept in step.

        It may not be there any more, or not yet.
        """
        return self.successor() if self.beside is None else self.made_as(self.beside.made)

    @property
    def word_rules(self) -> WordRules:
        """What its words are made by."""
        return WordRules(self.made.analyzer, self.made.language)

    @property
    def indexes(self) -> tuple[str, ...]:
        """The names in Qdrant of the indexes in which to delete."""
        return tuple(place.physical for place in self.places())

    def places(self) -> "list[ResolvedCollection]":
        """Give the indexes in which to delete, or to say who may read, in this order.

        Where there are two, the first comes once more: a document that is being brought from one to the other meanwhile
        either comes before its place's turn, or is compared with where it came from after that had its own.
        """
        other = self.other()
        return [self] if other is None else [self, other, self]

    @property
    def needs_reindex(self) -> bool:
        """Whether `trivium reindex` would make it otherwise than it is."""
        return self.successor() is not None or self.is_embedded_otherwise

    @property
    def is_embedded_otherwise(self) -> bool:
        """Whether its settings say another chunking than its documents were cut by, or other vectors than they have."""
        settings = self.settings.now.settings
        return settings.chunking != self.made.chunking or bool(settings.learned_sparse) != bool(self.made.learned)

    def made_as(self, made: IndexMaking) -> "ResolvedCollection":
        """Give the index of this collection that is made otherwise."""
        return replace(
            self,
            physical=physical_name(
                self.alias, made.fingerprint, made.analyzer, made.language, made.generation, made.learned
            ),
            made=made,
            same_model=self.same_model if made.fingerprint == self.made.fingerprint else "",
            beside=None,
            contents="",
        )


def resolved(own: OwnCollection) -> ResolvedCollection:
    """Say where a collection's data is."""
    described = own.described
    name, tenant = name_and_tenant(alias_behind(own.physical))
    return ResolvedCollection(
        tenant,
        name,
        own.physical,
        described.made,
        described.settings,
        described.is_restricted,
        described.embedded_by,
        described.beside,
        described.contents,
    )
