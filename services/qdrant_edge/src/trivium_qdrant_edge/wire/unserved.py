"""Refuses, in words, the RPCs of a Qdrant server that are not served here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from trivium_qdrant_edge.wire.fields import unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_Servicer = TypeVar("_Servicer", bound=type)


def refuse_other_rpcs(servicer: _Servicer) -> _Servicer:
    """Class decorator: every RPC of the generated base class that the class does not serve is UNIMPLEMENTED, with a
    text that says so. The generated default would be taken for a defect."""
    base = servicer.__mro__[1]
    service = base.__name__.removesuffix("Servicer")
    for rpc in vars(base).keys() - vars(servicer).keys():
        if not rpc.startswith("_"):
            setattr(servicer, rpc, _refusal(f"the RPC {service}/{rpc}"))
    return servicer


def _refusal(what: str) -> Callable[..., Coroutine[Any, Any, None]]:
    async def refuse(self: object, request: object, context: object) -> None:
        raise unsupported(what)

    return refuse
