"""Errors."""

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.shape import Shape


class ErrorShape(Shape):
    """What is wrong."""

    code: int
    status: str
    reason: str
    message: str
    field: str | None = Field(None, description="Only where one field is at fault.")


class ErrorResponse(Shape):
    """An error. `message` and `detail` repeat the message."""

    error: ErrorShape
    message: str
    detail: str
