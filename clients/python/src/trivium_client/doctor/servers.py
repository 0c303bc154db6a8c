"""What runs: the gateway with its stages, and Qdrant."""

import http.client
import json
import re
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from trivium_client import GatewayUnreachable, Status, Trivium, TriviumError
from trivium_client.doctor.findings import Finding, ok, problem, skipped, warning
from trivium_client.doctor.installation import Installation, distribution_version

_TIMEOUT_SECONDS = 1.0
_DEFAULT_QDRANT_URL = "http://127.0.0.1:6333"
_DEFAULT_QDRANT_GRPC_PORT = "6334"


@dataclass(frozen=True, slots=True)
class GatewayAnswer:
    """What a gateway said of itself.

    Attributes:
        address: Where it is.
        status: How it is; None if it did not say.
        error: Why it did not say.
    """

    address: str
    status: Status | None
    error: TriviumError | None = None


def ask_gateway(address: str | None) -> GatewayAnswer:
    """Asks a gateway how it is."""
    try:
        with Trivium(address, timeout_seconds=_TIMEOUT_SECONDS) as trivium:
            try:
                return GatewayAnswer(trivium.address, trivium.status())
            except TriviumError as error:
                return GatewayAnswer(trivium.address, None, error)
    except TriviumError as error:  # the address, or the files for TLS
        return GatewayAnswer(address or "", None, error)


def judge_gateway(answer: GatewayAnswer, *, named: bool) -> list[Finding]:
    """How a gateway and its stages are.

    Args:
        answer: What it said.
        named: Whether somebody named its address; otherwise it need not run.
    """
    if answer.status is None:
        assert answer.error is not None
        if isinstance(answer.error, GatewayUnreachable) and not named:
            return [skipped("gateway", f"none runs at {answer.address}; `trivium up` starts one")]
        return [
            problem("gateway", answer.error.message, "see `trivium status`, and what the gateway printed or logged")
        ]
    missing = [stage for stage in answer.status.stages if not stage.ready]
    if not answer.status.ready:
        found = [problem("gateway", f"{answer.address} cannot answer yet", "wait, and look at the stages below")]
    else:
        found = [ok("gateway", f"{answer.address} answers questions")]
    for stage in missing:
        found.append(
            warning(
                "gateway",
                f"the stage {stage.stage} does not work{': ' + stage.detail if stage.detail else ''}",
                "look at the output of that service; until it is back, answers come by the next best means",
            )
        )
    if not missing:
        names = ", ".join(
            f"{stage.stage} ({stage.model})" if stage.model else stage.stage for stage in answer.status.stages
        )
        found.append(ok("stages", f"all work: {names}"))
    return found


@dataclass(frozen=True, slots=True)
class QdrantAnswer:
    """What a Qdrant said.

    Attributes:
        url: Where it is.
        version: Its version; empty if it did not answer.
        error: Why it did not.
        grpc_open: Whether its gRPC port takes connections.
        grpc_port: That port.
    """

    url: str
    version: str
    error: str = ""
    grpc_open: bool = True
    grpc_port: str = _DEFAULT_QDRANT_GRPC_PORT


def judge_qdrant(answer: QdrantAnswer, client_version: str) -> Finding:
    """Whether the gateway can use a Qdrant.

    Args:
        answer: What it said.
        client_version: The version of the installed client; empty if there is none.
    """
    if answer.error:
        return problem(
            "Qdrant",
            f"{answer.url}: {answer.error}",
            "start it, or correct TRIVIUM_GATEWAY_QDRANT_URL and TRIVIUM_GATEWAY_QDRANT_API_KEY",
        )
    text = f"{answer.url} has version {answer.version}"
    if not answer.grpc_open:
        return problem(
            "Qdrant",
            f"{text}, but its gRPC port {answer.grpc_port} takes no connections",
            "open it in Qdrant's configuration, or set TRIVIUM_GATEWAY_QDRANT_GRPC_PORT",
        )
    server, client = _major_minor(answer.version), _major_minor(client_version)
    if server is None or client is None:
        return ok("Qdrant", f"{text}; whether client and server fit was not checked")
    if server[0] != client[0] or abs(server[1] - client[1]) > 1:
        return warning(
            "Qdrant",
            f"{text}, the installed client {client_version}",
            f"use a server of version {client[0]}.{client[1]}, or at most one minor version away from it",
        )
    return ok("Qdrant", f"{text}, which fits the client {client_version}")


def qdrant(environment: dict[str, str], installed: Installation) -> Finding:
    url = environment.get("TRIVIUM_GATEWAY_QDRANT_URL", "").strip()
    if not url:
        return skipped(
            "Qdrant",
            "none is named" if installed.is_client_only else "none is named: `trivium up` starts the embedded one",
        )
    port = environment.get("TRIVIUM_GATEWAY_QDRANT_GRPC_PORT") or _DEFAULT_QDRANT_GRPC_PORT
    key = environment.get("TRIVIUM_GATEWAY_QDRANT_API_KEY", "")
    authorities = environment.get("TRIVIUM_GATEWAY_QDRANT_TLS_CA") or environment.get("TRIVIUM_TLS_CA") or None
    return judge_qdrant(ask_qdrant(url, port, key, authorities), distribution_version("qdrant-client"))


def ask_qdrant(url: str, grpc_port: str, key: str, authorities: str | None) -> QdrantAnswer:
    """Asks a Qdrant for its version, and whether its gRPC port takes connections."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if parts.scheme not in ("http", "https") or not host:
            return QdrantAnswer(url, "", "this is no address of the form http://HOST:PORT")
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=authorities)
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port or 6333, timeout=_TIMEOUT_SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port or 6333, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/", headers={"api-key": key} if key else {})
            response = connection.getresponse()
            body = response.read(65_536)
        finally:
            connection.close()
        if response.status in (401, 403):
            return QdrantAnswer(url, "", "it refuses the key, or asks for one")
        version = str(json.loads(body)["version"])
    except (OSError, http.client.HTTPException) as error:
        return QdrantAnswer(url, "", getattr(error, "strerror", None) or str(error) or "it does not answer")
    except (ValueError, KeyError, TypeError):
        return QdrantAnswer(url, "", "what answers there is no Qdrant")
    try:
        with socket.create_connection((host, int(grpc_port)), timeout=_TIMEOUT_SECONDS):
            grpc_open = True
    except (OSError, ValueError):
        grpc_open = False
    return QdrantAnswer(url, version, "", grpc_open, grpc_port)


def _major_minor(version: str) -> tuple[int, int] | None:
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None
