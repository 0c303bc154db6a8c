"""Keys of a gateway that asks for them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from trivium.gateway.v1 import key_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class Key:
    """A key, without what opens anything.

    Attributes:
        id: Finds it, and names it in logs.
        name: What people call it.
        tenant: Whose data it opens.
        scopes: What it may do: read, ingest, admin, act-as, operator.
        user: For whom it asks; empty unless it is one person's.
        groups: What they belong to.
        created_at: When it was made, in UTC.
        expires_at: When it ends, in UTC; None for never.
    """

    id: str
    name: str
    tenant: str
    scopes: tuple[str, ...]
    user: str
    groups: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key with what its owner sends, which is shown once.

    Attributes:
        key: The key.
        text: What its owner sends.
    """

    key: Key
    text: str


def key_from(message: pb.Key) -> Key:
    """Reads a message."""
    return Key(
        id=message.id,
        name=message.name,
        tenant=message.tenant,
        scopes=tuple(message.scopes),
        user=message.user,
        groups=tuple(message.groups),
        created_at=_datetime(message.created_at),
        expires_at=_datetime(message.expires_at) if message.HasField("expires_at") else None,
    )


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Writes a moment; one without a time zone is this machine's."""
    if moment is None:
        return None
    message = Timestamp()
    message.FromDatetime(moment.astimezone(UTC))
    return message


def _datetime(message: Timestamp) -> datetime:
    return message.ToDatetime(UTC)
