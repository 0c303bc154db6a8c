"""A backend that comes after its server."""

import pytest
from trivium_model_service.backend import BackendOwner
from trivium_serving.errors import Unavailable


class Backend:
    """Computes nothing."""

    healthy = True
    closed = False

    async def close(self) -> None:
        self.closed = True


class Owner(BackendOwner[Backend]):
    """Loads it."""

    def load(self) -> Backend:
        self._backend = Backend()
        return self._backend


async def test_backend_before_it_is_loaded_is_unavailable_and_closes_like_a_loaded_one() -> None:
    owner = Owner()
    with pytest.raises(Unavailable) as refusal:
        _ = owner.backend
    assert refusal.value.reason == "LOADING"
    assert not owner.healthy
    await owner.close()

    backend = owner.load()
    assert owner.backend is backend
    assert owner.healthy
    await owner.close()
    assert backend.closed
