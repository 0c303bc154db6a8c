"""Cohere's API, version 2, for the services that call it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import httpx
from cohere import AsyncClientV2
from cohere.core.api_error import ApiError
from cohere.core.parse_error import ParsingError

from trivium_model_apis.calls import ApiFailure, retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

URL = "https://api.cohere.com"

_INVALID_TOKEN, _UNAUTHORIZED, _PAYMENT_REQUIRED = 498, 401, 402


class CohereApi:
    """The official client, whose own retries are off: they know no deadline.

    Args:
        url: Address of the API; empty for Cohere's own.
        key: Its key; may be empty for an address that needs none.
    """

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.AsyncClient(timeout=None)
        self.client = AsyncClientV2(api_key=key or "none", base_url=url or URL, max_retries=0, httpx_client=self._http)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()


@contextlib.contextmanager
def cohere_failures(missing: str) -> Iterator[None]:
    """Makes whatever goes wrong in a request, or in reading its answer, an ApiFailure.

    Args:
        missing: What an answer that cannot be read lacks.
    """
    try:
        yield
    except ApiError as error:
        raise _failure(error) from error
    except httpx.HTTPError as error:
        raise ApiFailure(f"it cannot be reached ({error})") from error
    except (ParsingError, AttributeError, TypeError, ValueError) as error:
        raise ApiFailure(f"an answer that has no {missing}") from error


def _failure(error: ApiError) -> ApiFailure:
    status = error.status_code or 0
    body = error.body
    return ApiFailure(
        str(body["message"]) if isinstance(body, dict) and "message" in body else "an answer that cannot be read",
        status=_UNAUTHORIZED if status == _INVALID_TOKEN else status if status >= 400 else 0,
        retry_after_seconds=retry_after_seconds(error.headers or {}),
        quota_exhausted=status == _PAYMENT_REQUIRED,
    )
