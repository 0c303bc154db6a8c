"""/v1/usage and /v1/quotas."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads it
from starlette.responses import Response  # noqa: TC002 - FastAPI reads it
from trivium_serving.errors import InvalidField

from trivium_gateway.metering.book import month_of
from trivium_gateway.metering.kinds import USED_KINDS, Kind
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, read_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse
from trivium_gateway.surfaces.http.shapes.shape import Shape

if TYPE_CHECKING:
    from trivium_gateway.domain.limits import GatewayLimits
    from trivium_gateway.metering.book import QuotaState, UsageBook

_WHEN = "2027-01-31, or a moment such as 2027-01-31T09:00:00Z"

Since = Annotated[
    str | None, Query(alias="from", description=f"Since when, {_WHEN}; the first of this month (UTC) if not given.")
]
Until = Annotated[str | None, Query(alias="to", description="Until when; now if not given.")]
Tenant = Annotated[str, Query(description="Whose; all that the key may see if not given.")]


class UsageShape(Shape):
    """What a tenant used by one of its keys."""

    tenant: str
    key: str | None = Field(
        description="Id of the key, or oidc:USER for a user with a token; null for jobs of earlier versions."
    )
    requests: int
    embedded_tokens: int
    reranked_tokens: int
    prompt_tokens: int
    completion_tokens: int
    pages: int = Field(description="Pages of files whose text was read.")
    documents: int = Field(description="Documents that were written.")
    bytes: int = Field(description="Their text, in UTF-8.")


class StoredShape(Shape):
    """What a tenant has stored."""

    tenant: str
    documents: int
    bytes: int = Field(description="The text of its documents, in UTF-8.")


class UsageResponse(Shape):
    """What was used within some hours, by tenant and key."""

    since: str = Field(alias="from", description="Their beginning, RFC 3339.")
    until: str = Field(alias="to", description="Their end.")
    usage: list[UsageShape]
    stored: list[StoredShape] | None = Field(
        description="What each tenant has stored now, by their names; null while Qdrant cannot say."
    )


class QuotaShape(Shape):
    """What a tenant, or one of its keys, may use."""

    tenant: str
    key: str | None = Field(description="Id of the key; null for the tenant as a whole.")
    limits: dict[str, str] = Field(description="By what is limited: 600/m, 100000/d; of what is stored, 10000.")
    left: dict[str, int] = Field(description="What is left of each that comes back, as far as this gateway knows.")
    weight: float = Field(description="The tenant's part of what tenants share, in proportion to the others'.")
    own: bool = Field(description="Whether it was set; otherwise it is what the settings say of all.")


class ListQuotasResponse(Shape):
    """Quotas, by tenant and key."""

    quotas: list[QuotaShape]


class QuotaBody(JsonBody):
    """What a tenant, or one of its keys, may use from now on."""

    tenant: str = Field(default="", description="The tenant; that of your own key if not given.")
    key: str = Field(
        default="",
        description="Id of a key, or oidc:USER for a user with a token; not given for the tenant as a whole.",
    )
    limits: dict[str, str] = Field(
        default_factory=dict,
        description=f"By what is limited ({', '.join(Kind)}): 600/m, 100000/d; of what is stored, 10000; none to take "
        "back what was set.",
        examples=[{"requests": "600/m", "completion_tokens": "1000000/d", "stored_documents": "10000"}],
    )
    weight: float | None = Field(
        default=None, description="The tenant's part of what tenants share, 0.1 to 10; as it was if not given."
    )


def usage_routes(book: UsageBook, limits: GatewayLimits) -> APIRouter:
    """The routes.

    Args:
        book: Does the work.
        limits: What is accepted.
    """
    router = APIRouter(tags=["usage"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.get("/v1/usage", summary="What tenants and their keys used", **documented(UsageResponse))
    async def get_usage(since: Since = None, until: Until = None, tenant: Tenant = "") -> Response:
        now = time.time()
        begin, end = _seconds("from", since, month_of(now)), _seconds("to", until, now)
        report = await book.usage(principal(), begin=begin, end=end, tenant=tenant)
        usage = [
            {"tenant": one.tenant, "key": one.key_id or None}
            | {kind.value: one.amounts.get(kind, 0) for kind in USED_KINDS}
            for one in report.usage
        ]
        stored = None
        if report.stored is not None:
            stored = [
                {"tenant": whose, "documents": one.documents, "bytes": one.bytes}
                for whose, one in sorted(report.stored.items())
            ]
        times = {"from": _moment(report.begin), "to": _moment(report.end)}
        return JsonResponse({**times, "usage": usage, "stored": stored})

    @router.get("/v1/quotas", summary="What tenants and their keys may use", **documented(ListQuotasResponse))
    async def list_quotas(tenant: Tenant = "") -> Response:
        return JsonResponse({"quotas": [_json(one) for one in await book.quotas(principal(), tenant)]})

    @router.put(
        "/v1/quotas", summary="Set what a tenant, or one of its keys, may use", **documented(QuotaShape, QuotaBody)
    )
    async def set_quota(request: Request) -> Response:
        body = await read_json(request, QuotaBody, limits.max_body_bytes)
        state = await book.set(principal(), tenant=body.tenant, key_id=body.key, limits=body.limits, weight=body.weight)
        return JsonResponse(_json(state))

    return router


def _json(state: QuotaState) -> dict[str, Any]:
    quota = state.quota
    return {
        "tenant": quota.tenant,
        "key": quota.key_id or None,
        "limits": {kind.value: str(rate) for kind, rate in quota.limits.items()},
        "left": {kind.value: left for kind, left in state.left.items()},
        "weight": quota.weight,
        "own": state.is_own,
    }


def _seconds(field: str, text: str | None, otherwise: float) -> float:
    if text is None:
        return otherwise
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidField(field, f"{field} is {text[:40]!r}; it must be a day such as {_WHEN}.") from None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
