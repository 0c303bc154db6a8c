"""Whether a collection is one tenant's, which makes its own statistics that tenant's; and how it comes to be shared.

How rare a word is, Qdrant counts anew for each query if it has to count one tenant's chunks, which takes the longer the
more there are. What it has counted of all chunks costs nothing. So a collection carries the fact that one tenant alone
has written to it, and before another one's first write the fact goes. A gateway may believe it for a while after it has
read it; the write waits longer than that.
"""

import asyncio

from trivium_gateway.qdrant.collections import QdrantCollections

__all__ = ["BELIEF_SECONDS", "SETTLING_SECONDS", "Tenancy"]

BELIEF_SECONDS = 20.0
"""How long after reading the fact a search may rest on it, its end included."""
SETTLING_SECONDS = 30.0
"""How long another tenant's first write waits: longer than anyone believes, the nodes of a cluster included."""


class Tenancy:
    """Lets tenants write.

    Args:
        qdrant: Where collections are.
        settling_seconds: How long another tenant's first write waits.
    """

    def __init__(self, qdrant: QdrantCollections, settling_seconds: float = SETTLING_SECONDS) -> None:
        self._qdrant = qdrant
        self._settling_seconds = settling_seconds

    async def admit(self, physical: str, tenant: str) -> None:
        """Wait until a tenant may write to a collection. Any gateway may begin it, break off, and go on with it.

        Raises:
            NotFound: The collection was deleted.
            Unavailable: Qdrant cannot be reached.
        """
        described = await self._qdrant.describe(physical)
        if described.is_shared or described.sole_tenant == tenant:
            return
        await self._qdrant.end_sole_tenancy(physical)
        await asyncio.sleep(self._settling_seconds)
        await self._qdrant.begin_sharing(physical)
