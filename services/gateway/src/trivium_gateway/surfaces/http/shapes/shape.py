"""What all shapes have in common."""

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """What all have in common."""

    model_config = ConfigDict(extra="forbid", strict=True)
