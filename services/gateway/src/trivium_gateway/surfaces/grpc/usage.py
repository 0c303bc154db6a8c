"""The gRPC surface of usage and quotas: converts messages, and decides nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import grpc
from trivium.gateway.v1 import usage_service_pb2 as pb
from trivium.gateway.v1.usage_service_pb2_grpc import UsageServiceServicer, add_UsageServiceServicer_to_server

from trivium_gateway.metering.book import month_of
from trivium_gateway.surfaces.door import principal

if TYPE_CHECKING:
    from trivium_gateway.metering.book import QuotaState, UsageBook

FULL_NAME = pb.DESCRIPTOR.services_by_name["UsageService"].full_name

_Context = grpc.aio.ServicerContext[Any, Any]


class UsageServicer(UsageServiceServicer):
    """Serves trivium.gateway.v1.UsageService.

    Args:
        book: Does the work.
    """

    def __init__(self, book: UsageBook) -> None:
        self._book = book

    async def GetUsage(self, request: pb.GetUsageRequest, context: _Context) -> pb.GetUsageResponse:
        """Says what was used."""
        now = time.time()
        begin = request.begin.seconds if request.HasField("begin") else month_of(now)
        end = request.end.seconds if request.HasField("end") else now
        report = await self._book.usage(principal(), begin=begin, end=end, tenant=request.tenant)
        usage = [
            pb.Usage(
                tenant=one.tenant,
                key_id=one.key_id,
                amounts={kind.value: amount for kind, amount in one.amounts.items()},
            )
            for one in report.usage
        ]
        stored = [
            pb.Stored(tenant=whose, documents=one.documents, bytes=one.bytes)
            for whose, one in sorted((report.stored or {}).items())
        ]
        response = pb.GetUsageResponse(usage=usage, stored=stored)
        response.begin.FromDatetime(datetime.fromtimestamp(report.begin, UTC))
        response.end.FromDatetime(datetime.fromtimestamp(report.end, UTC))
        return response

    async def ListQuotas(self, request: pb.ListQuotasRequest, context: _Context) -> pb.ListQuotasResponse:
        """Lists what tenants and keys may use."""
        return pb.ListQuotasResponse(quotas=map(_message, await self._book.quotas(principal(), request.tenant)))

    async def SetQuota(self, request: pb.SetQuotaRequest, context: _Context) -> pb.SetQuotaResponse:
        """Sets what a tenant, or one of its keys, may use."""
        state = await self._book.set(
            principal(),
            tenant=request.tenant,
            key_id=request.key_id,
            limits=dict(request.limits),
            weight=request.weight if request.HasField("weight") else None,
        )
        return pb.SetQuotaResponse(quota=_message(state))


def serve(book: UsageBook, server: grpc.aio.Server) -> None:
    """Has a server serve usage and quotas."""
    add_UsageServiceServicer_to_server(UsageServicer(book), server)


def _message(state: QuotaState) -> pb.Quota:
    quota = state.quota
    return pb.Quota(
        tenant=quota.tenant,
        key_id=quota.key_id,
        limits={kind.value: str(rate) for kind, rate in quota.limits.items()},
        left={kind.value: left for kind, left in state.left.items()},
        weight=quota.weight,
        own=state.is_own,
    )
