"""What tenants and their keys use, and how much of it they may."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from trivium.gateway.v1 import usage_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class KeyUsage:
    """What a tenant used by one of its keys.

    Attributes:
        tenant: The tenant.
        key_id: Id of the key, or oidc:USER for a user with a token; empty for jobs of earlier versions.
        amounts: How much of what: requests, embedded_tokens, reranked_tokens, prompt_tokens, completion_tokens, pages,
            documents, bytes. What was not used is not in it.
    """

    tenant: str
    key_id: str
    amounts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TenantStored:
    """What a tenant has stored.

    Attributes:
        tenant: The tenant.
        documents: How many documents.
        bytes: Their text, in UTF-8.
    """

    tenant: str
    documents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What was used within some hours.

    Attributes:
        begin: Their beginning, in UTC.
        end: Their end.
        usage: By tenant and key.
        stored: What each tenant has stored now; none while Qdrant cannot say.
    """

    begin: datetime
    end: datetime
    usage: tuple[KeyUsage, ...]
    stored: tuple[TenantStored, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant, or one of its keys, may use.

    Attributes:
        tenant: The tenant.
        key_id: Id of the key; empty for the tenant as a whole.
        limits: By what is limited, such as 600/m, 100000/d or 50/10s; stored_documents and stored_bytes such as 10000.
        left: What is left of each that comes back, as far as the gateway knows that was asked.
        weight: The tenant's part of what tenants share, in proportion to the others'.
        own: Whether it was set; otherwise it is what the gateway's settings say of all.
    """

    tenant: str
    key_id: str
    limits: Mapping[str, str]
    left: Mapping[str, int]
    weight: float
    own: bool


def report_from(message: pb.GetUsageResponse) -> UsageReport:
    """Reads a message."""
    usage = tuple(KeyUsage(one.tenant, one.key_id, dict(one.amounts)) for one in message.usage)
    stored = tuple(TenantStored(one.tenant, one.documents, one.bytes) for one in message.stored)
    return UsageReport(message.begin.ToDatetime(UTC), message.end.ToDatetime(UTC), usage, stored)


def quota_from(message: pb.Quota) -> Quota:
    """Reads a message."""
    return Quota(
        message.tenant,
        message.key_id,
        dict(sorted(message.limits.items())),
        dict(sorted(message.left.items())),
        message.weight,
        message.own,
    )
