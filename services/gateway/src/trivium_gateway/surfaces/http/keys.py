"""/v1/keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request  # noqa: TC002 - FastAPI reads it
from starlette.responses import Response  # noqa: TC002 - FastAPI reads it
from trivium_serving.errors import InvalidField

from trivium_gateway.access.guard import MOST_GROUPS
from trivium_gateway.access.keyring import DEFAULT_GRACE_SECONDS
from trivium_gateway.request.principal import Scope
from trivium_gateway.surfaces.door import principal
from trivium_gateway.surfaces.http.bodies import JsonBody, at_most, read_json
from trivium_gateway.surfaces.http.parameters import refuse_unknown_parameters
from trivium_gateway.surfaces.http.reference import documented
from trivium_gateway.surfaces.http.rendering import JsonResponse
from trivium_gateway.surfaces.http.shapes.keys import DeleteKeyResponse, ListKeysResponse, MadeKeyResponse

if TYPE_CHECKING:
    from trivium_gateway.access.keyring import Keyring
    from trivium_gateway.access.keys import Key, MadeKey
    from trivium_gateway.domain.limits import GatewayLimits


class KeyBody(JsonBody):
    """A key to make."""

    name: str = Field(description="What people call it.")
    scopes: Annotated[list[str], *at_most(len(Scope))] = Field(
        default_factory=lambda: ["read"], description="What it may do: read, ingest, admin, act-as, operator."
    )
    tenant: str = Field(default="", description="Whose data it opens; that of the key which makes it if not given.")
    user: str = Field(default="", description="For whom it asks, if it is one person's.")
    groups: Annotated[list[str], *at_most(MOST_GROUPS)] = Field(
        default_factory=list, description="What they belong to."
    )
    expires_at: str | None = Field(
        default=None, description="When it ends, for example 2027-01-31T00:00:00Z; null for never."
    )


class RotateBody(JsonBody):
    """How to rotate a key."""

    grace_seconds: float = Field(
        default=DEFAULT_GRACE_SECONDS, description="How long the secret that it has had is still taken."
    )


def key_routes(keyring: Keyring, limits: GatewayLimits) -> APIRouter:
    """The routes.

    Args:
        keyring: Does the work.
        limits: What is accepted.
    """
    router = APIRouter(tags=["keys"], dependencies=[Depends(refuse_unknown_parameters)])

    @router.post(
        "/v1/keys", summary="Make a key; it is shown once", status_code=201, **documented(MadeKeyResponse, KeyBody)
    )
    async def create_key(request: Request) -> Response:
        body = await read_json(request, KeyBody, limits.max_body_bytes)
        made = await keyring.create(
            principal(),
            name=body.name,
            tenant=body.tenant,
            scopes=body.scopes,
            user=body.user,
            groups=body.groups,
            expires_at=None if body.expires_at is None else _seconds(body.expires_at),
        )
        return JsonResponse(_made_json(made), status_code=201)

    @router.get("/v1/keys", summary="List the keys that one may change", **documented(ListKeysResponse))
    async def list_keys() -> Response:
        return JsonResponse({"keys": [key_json(key) for key in await keyring.list(principal())]})

    @router.post(
        "/v1/keys/{id}/rotate",
        summary="Give a key another secret; the one before is taken for a while",
        **documented(MadeKeyResponse, RotateBody),
    )
    async def rotate_key(request: Request, id: str) -> Response:  # noqa: A002 - the path's word
        body = await read_json(request, RotateBody, limits.max_body_bytes)
        return JsonResponse(_made_json(await keyring.rotate(principal(), id, grace_seconds=body.grace_seconds)))

    @router.delete("/v1/keys/{id}", summary="Revoke a key", **documented(DeleteKeyResponse))
    async def revoke_key(id: str) -> Response:  # noqa: A002 - the path's word
        await keyring.revoke(principal(), id)
        return JsonResponse({"deleted": id})

    return router


def key_json(key: Key) -> dict[str, Any]:
    """What is shown of a key: nothing that opens anything."""
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": sorted(key.scopes),
        "user": key.user or None,
        "groups": sorted(key.groups),
        "created_at": _moment(key.created_at),
        "expires_at": None if key.expires_at is None else _moment(key.expires_at),
    }


def _made_json(made: MadeKey) -> dict[str, Any]:
    return {**key_json(made.key), "key": made.text}


def _seconds(moment: str) -> float:
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise InvalidField(
            "expires_at", f"expires_at is {moment[:40]!r}; it must be a moment such as 2027-01-31T00:00:00Z."
        )
    return parsed.timestamp()


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
