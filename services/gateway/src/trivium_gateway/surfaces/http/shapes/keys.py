"""Keys."""

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.shape import Shape


class KeyResponse(Shape):
    """A key, without what opens anything."""

    id: str
    name: str
    tenant: str
    scopes: list[str]
    user: str | None
    groups: list[str]
    created_at: str = Field(description="When it was made, RFC 3339.")
    expires_at: str | None = Field(description="When it ends; null for never.")


class MadeKeyResponse(KeyResponse):
    """A key with its text, which is shown once."""

    key: str = Field(description="What its owner sends, as `Authorization: Bearer tv_...`.")


class ListKeysResponse(Shape):
    """Keys, the oldest first."""

    keys: list[KeyResponse]


class DeleteKeyResponse(Shape):
    """The id of the key that is revoked."""

    deleted: str
