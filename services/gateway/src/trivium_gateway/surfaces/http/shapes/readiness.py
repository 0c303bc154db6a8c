"""Readiness."""

from pydantic import Field

from trivium_gateway.surfaces.http.shapes.shape import Shape


class StageShape(Shape):
    """How a stage is."""

    stage: str = Field(description="For example embed, search, rerank or generate.")
    ready: bool
    model: str
    detail: str


class ReadinessResponse(Shape):
    """Whether any answer is possible, and how each stage is."""

    ready: bool
    stages: list[StageShape]
