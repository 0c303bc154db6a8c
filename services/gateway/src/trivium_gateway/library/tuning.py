"""Changes the settings of collections, and takes changes back."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime

from trivium_serving.errors import FailedPrecondition, InvalidField

from trivium_gateway.domain.limits import check_unicode
from trivium_gateway.domain.names import alias_of
from trivium_gateway.domain.settings import MAX_NOTE_CHARACTERS, CollectionSettings, SettingsHistory
from trivium_gateway.library.collections import Collections
from trivium_gateway.library.locks import KeyedLocks
from trivium_gateway.library.resolved import resolved
from trivium_gateway.models.embed import EmbedClient
from trivium_gateway.models.embed_answers import check_late_chunking, check_learned_sparse
from trivium_gateway.qdrant.collections import QdrantCollections
from trivium_gateway.qdrant.connection import QdrantConnection

__all__ = ["CollectionTuning"]

_MOVES = 3
"""How often a change is written again because the collection moved meanwhile: it moves once a reindexing."""


class CollectionTuning:
    """Settings belong to their collection: they are kept in its own record in Qdrant, and go with it.

    Other gateways heed a change as soon as they look the collection up anew, after `Collections.remember_seconds` at
    most. Of two that change one at the same moment, the later one wins, unless it says which version it is based on
    and sees the other.

    Args:
        connection: To Qdrant.
        collections: Finds collections.
        embed: Says whether the model of one can do late chunking, and whether there are learned sparse vectors.
        now: The time of day.
    """

    def __init__(
        self,
        connection: QdrantConnection,
        collections: Collections,
        embed: EmbedClient,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._qdrant = QdrantCollections(connection)
        self._collections = collections
        self._embed = embed
        self._now = now
        self._locks = KeyedLocks()

    async def change(
        self,
        name: str,
        settings: CollectionSettings,
        *,
        clear: Collection[str] = (),
        note: str = "",
        based_on: int | None = None,
        tenant: str,
    ) -> None:
        """Put new settings in force.

        Args:
            name: The collection's name.
            settings: What to set; what they leave open stays as it is.
            clear: Names of settings to leave to the gateway from now on.
            note: Why, for those who look later.
            based_on: Number of the version that must be in force; None for any.
            tenant: Whose collection.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            InvalidField: A setting breaks a rule, or `clear` names none.
            FailedPrecondition: Another version is in force (SETTINGS_CHANGED), the collection's model cannot do late
                chunking (LATE_CHUNKING_NOT_SUPPORTED), or its service gives no learned sparse vectors
                (LEARNED_SPARSE_NOT_SUPPORTED).
            Unavailable: With late chunking or learned sparse vectors: the embed service cannot be asked.
        """
        if len(note) > MAX_NOTE_CHARACTERS:
            raise InvalidField("note", f"note has {len(note)} characters; at most {MAX_NOTE_CHARACTERS} are allowed.")
        check_unicode("note", note)
        try:
            cleared = CollectionSettings(**dict.fromkeys(clear))
        except TypeError:
            raise InvalidField("clear", f"clear names what is no setting: {', '.join(sorted(clear))}.") from None

        def changed(history: SettingsHistory) -> SettingsHistory:
            if based_on is not None and history.now.number != based_on:
                raise FailedPrecondition(
                    f"Version {history.now.number} of the settings of {name!r} is in force, and not {based_on}. Look "
                    "at it, and change that.",
                    reason="SETTINGS_CHANGED",
                )
            kept = replace(history.now.settings, **{one: getattr(cleared, one) for one in clear})
            wanted = settings.over(kept)
            wanted.check()
            return history.changed(wanted, made_at=f"{self._now():%Y-%m-%dT%H:%M:%SZ}", note=note)

        if settings.late_chunking or settings.learned_sparse:
            own = await self._collections.own(name, tenant=tenant)
            model = await (await self._embed.of(resolved(own).embedded_by)).model()
            if settings.late_chunking:
                check_late_chunking(model)
            if settings.learned_sparse:
                check_learned_sparse(model)
        await self._write(name, tenant, changed)

    async def roll_back(self, name: str, *, tenant: str) -> None:
        """Put the version before in force.

        Raises:
            NotFound: There is none of this name (COLLECTION_NOT_FOUND).
            FailedPrecondition: There is no version before (NO_EARLIER_SETTINGS).
        """

        def rolled_back(history: SettingsHistory) -> SettingsHistory:
            before = history.rolled_back()
            if before is None:
                raise FailedPrecondition(
                    f"The settings of {name!r} have no version before the one in force.", reason="NO_EARLIER_SETTINGS"
                )
            return before

        await self._write(name, tenant, rolled_back)

    async def _write(self, name: str, tenant: str, change: Callable[[SettingsHistory], SettingsHistory]) -> None:
        async with self._locks.hold([(alias_of(tenant, name),)]):
            own = await self._collections.own(name, tenant=tenant)
            history = change(own.described.settings)
            for _ in range(_MOVES):
                await self._qdrant.keep_settings(own.physical, history)
                chunking = history.now.settings.chunking
                if not own.described.point_count and chunking != own.described.made.chunking:
                    await self._qdrant.keep_chunking(own.physical, chunking)  # all its documents will be cut so
                now = await self._collections.own(name, tenant=tenant)
                if now.physical == own.physical:
                    break
                own = now
