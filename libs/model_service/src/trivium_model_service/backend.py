"""A backend that is loaded after the server has started: until then calls are told so."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from trivium_serving.errors import Unavailable


class Backend(Protocol):
    """What computes."""

    @property
    def healthy(self) -> bool:
        """Whether it can compute now; cheap."""

    async def close(self) -> None:
        """Fails what waits, and frees everything."""


_Backend = TypeVar("_Backend", bound=Backend)


class BackendOwner(Generic[_Backend]):
    """Who loads a backend, and closes it. It sets `_backend` once that is warm."""

    def __init__(self) -> None:
        self._backend: _Backend | None = None

    @property
    def backend(self) -> _Backend:
        """The loaded backend.

        Raises:
            Unavailable: It is not loaded yet (LOADING).
        """
        if self._backend is None:
            raise still_loading()
        return self._backend

    @property
    def healthy(self) -> bool:
        """Whether it can compute now."""
        return self._backend is not None and self._backend.healthy

    async def close(self) -> None:
        """Fails what waits, and frees the backend; there may be none."""
        if self._backend is not None:
            await self._backend.close()


def still_loading() -> Unavailable:
    """What a call is told until the backend is loaded."""
    return Unavailable("The model is still loading. Try again in some seconds.", reason="LOADING")
