"""Query parameters: those that a route does not have are refused, so that a misspelled one is not passed over."""

from fastapi.routing import APIRoute
from starlette.requests import Request
from trivium_serving.errors import InvalidField

_SHOWN_CHARACTERS = 80


async def refuse_unknown_parameters(request: Request) -> None:
    """Checks the query parameters of a request against those of its route.

    It awaits nothing; FastAPI would run it in a thread if it were not a coroutine.

    Raises:
        InvalidField: There is one that the route does not have (UNKNOWN_FIELD).
    """
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    known = {field.alias for field in route.dependant.query_params}
    for name in request.query_params:
        if name not in known:
            has = f"It has {', '.join(sorted(known))}." if known else "It has none; what it takes is in the body."
            shown = name[:_SHOWN_CHARACTERS]
            raise InvalidField(shown, f"There is no parameter {shown} here. {has}", reason="UNKNOWN_FIELD")
