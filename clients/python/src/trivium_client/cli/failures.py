"""What becomes of an error: the exit status, and the words."""

from trivium_client import GatewayUnreachable, InternalError, InvalidRequest, NotFound, TemporaryError, TriviumError

FAILED = 1
USAGE = 2
UNREACHABLE = 3
NOT_NOW = 4
NOT_FOUND = 5
REFUSED = 6

# From the leaves of the tree of exceptions to its root: the first that fits counts.
_STATUSES: tuple[tuple[type[TriviumError], int], ...] = (
    (GatewayUnreachable, UNREACHABLE),
    (TemporaryError, NOT_NOW),
    (NotFound, NOT_FOUND),
    (InvalidRequest, REFUSED),
    (TriviumError, FAILED),
)

_NEXT = {"COLLECTION_NOT_FOUND": "`trivium collections` lists them, `trivium collections create NAME` makes one."}
"""What to type next, which the gateway does not know: it has callers of other kinds."""


def status_of(error: TriviumError) -> int:
    """The exit status of a command that ends with this error."""
    return next(status for kind, status in _STATUSES if isinstance(error, kind))


def failure_text(error: TriviumError) -> str:
    """What is wrong, in a line: the field if the message does not name it, the message, the reason, what is next."""
    if isinstance(error, GatewayUnreachable):
        return error.message
    field = f"{error.field}: " if error.field and error.field not in error.message else ""
    # Of a fault, the logs say more under this id.
    logged = f", request {error.request_id}" if isinstance(error, InternalError) and error.request_id else ""
    following = f" {_NEXT[error.reason]}" if error.reason in _NEXT else ""
    return f"{field}{error.message} ({error.reason}{logged}){following}"
