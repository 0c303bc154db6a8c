"""How a server says no."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

if TYPE_CHECKING:
    from collections.abc import Awaitable


async def refusal(call: Awaitable[Any], code: grpc.StatusCode) -> str:
    """Awaits a call that has to fail with a code.

    Returns:
        The error's text.
    """
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code, caught.value.details()
    return caught.value.details() or ""
