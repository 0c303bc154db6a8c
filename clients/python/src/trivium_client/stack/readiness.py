"""Asks a gateway how far it is."""

import http.client
import json
import ssl
from dataclasses import dataclass

from trivium_client.stack.ports import Address

_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """How far a stack is.

    Attributes:
        ready: Whether it answers questions, be it without some stages.
        missing: Stages that do not work, and what is wrong with each; `gateway` if that itself does not answer.
    """

    ready: bool
    missing: dict[str, str]


def probe(gateway: Address, *, tls: bool = False) -> Readiness:
    """Asks `/readyz` once; blocks for a few seconds at most.

    Args:
        gateway: Where a gateway listens that this process has started.
        tls: Whether it speaks HTTPS. Its certificate is not checked: it may be for a name that is not this machine's.
    """
    connection = (
        http.client.HTTPSConnection(gateway.host, gateway.port, timeout=_TIMEOUT_SECONDS, context=_unchecked())
        if tls
        else http.client.HTTPConnection(gateway.host, gateway.port, timeout=_TIMEOUT_SECONDS)
    )
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        body = json.loads(response.read())
        stages = [(stage["stage"], stage["ready"], stage.get("detail") or "") for stage in body["stages"]]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
        return Readiness(False, {"gateway": getattr(error, "strerror", None) or "does not answer"})
    finally:
        connection.close()
    return Readiness(response.status == 200, {stage: detail for stage, ready, detail in stages if not ready})


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
