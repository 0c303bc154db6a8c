"""The Qdrant that the gateway is told to use: whether it is there, new enough, and lets the gateway do its work."""

import http.client
import json
import re
import socket
import ssl
import uuid
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from trivium_client.doctor.findings import Finding, ok, problem, skipped, warning
from trivium_client.doctor.installation import Installation, distribution_version

LEAST_VERSION = "1.19"
"""The gateway uses none that is older."""

_TIMEOUT_SECONDS = 1.0
_DEFAULT_PORT = 6333
_DEFAULT_GRPC_PORT = "6334"
_KEY_VARIABLE = "TRIVIUM_GATEWAY_QDRANT_API_KEY"


class Access(Enum):
    """What a Qdrant lets the gateway do."""

    ALL = "all"
    UNKNOWN = "unknown"
    READ_ONLY = "read-only"
    KEY_REFUSED = "key refused"
    KEY_MISSING = "key missing"


@dataclass(frozen=True, slots=True)
class QdrantAnswer:
    """What a Qdrant said.

    Attributes:
        url: Where it is.
        version: Its version; empty if it did not answer.
        error: Why it did not.
        grpc_open: Whether its gRPC port takes connections.
        grpc_port: That port.
        access: What it lets one do with the key that is set.
    """

    url: str
    version: str
    error: str = ""
    grpc_open: bool = True
    grpc_port: str = _DEFAULT_GRPC_PORT
    access: Access = Access.ALL


def judge_qdrant(answer: QdrantAnswer, client_version: str) -> Finding:
    """Whether the gateway can use a Qdrant.

    Args:
        answer: What it said.
        client_version: The version of the installed client; empty if there is none.
    """
    if answer.error:
        return problem(
            "Qdrant",
            f"{answer.url}: {answer.error}".removeprefix(": "),
            "start it, or correct TRIVIUM_GATEWAY_QDRANT_URL",
        )
    text = f"{answer.url} has version {answer.version}"
    server, least = _major_minor(answer.version), _major_minor(LEAST_VERSION)
    if server is not None and least is not None and server < least:
        return problem(
            "Qdrant",
            f"{text}, and the gateway uses none older than {LEAST_VERSION}",
            f"update the server to {LEAST_VERSION} or later; its data stays",
        )
    if not answer.grpc_open:
        return problem(
            "Qdrant",
            f"{text}, but its gRPC port {answer.grpc_port} takes no connections",
            "open it in Qdrant's configuration, or set TRIVIUM_GATEWAY_QDRANT_GRPC_PORT",
        )
    return _judge_access(answer, text) or _judge_version(text, server, client_version)


def _judge_access(answer: QdrantAnswer, text: str) -> Finding | None:
    if answer.access is Access.KEY_MISSING:
        return problem("Qdrant", f"{text}, and asks for an API key; none is set", f"set {_KEY_VARIABLE}")
    if answer.access is Access.KEY_REFUSED:
        return problem("Qdrant", f"{text}, and refuses the API key", f"correct {_KEY_VARIABLE}")
    if answer.access is Access.READ_ONLY:
        return problem(
            "Qdrant",
            f"{text}; the API key takes reading only: questions work, ingestion fails",
            f"set {_KEY_VARIABLE} to the key that may write",
        )
    if answer.access is Access.UNKNOWN:
        return warning(
            "Qdrant", f"{text}, but does not do what it is asked", "look into its log: is its cluster whole?"
        )
    return None


def _judge_version(text: str, server: tuple[int, int] | None, client_version: str) -> Finding:
    client = _major_minor(client_version)
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
    port = environment.get("TRIVIUM_GATEWAY_QDRANT_GRPC_PORT") or _DEFAULT_GRPC_PORT
    key = environment.get(_KEY_VARIABLE, "")
    authorities = environment.get("TRIVIUM_GATEWAY_QDRANT_TLS_CA") or environment.get("TRIVIUM_TLS_CA") or None
    return judge_qdrant(ask_qdrant(url, port, key, authorities), distribution_version("qdrant-client"))


def ask_qdrant(url: str, grpc_port: str, key: str, authorities: str | None) -> QdrantAnswer:
    """Asks a Qdrant for its version, whether its gRPC port takes connections, and what the key allows."""
    if "@" in url:  # unrepeated
        return QdrantAnswer(
            "", "", "TRIVIUM_GATEWAY_QDRANT_URL holds a user name or a password, and the gateway takes none"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORT
        if parts.scheme not in ("http", "https") or not host or parts.path not in ("", "/"):
            return QdrantAnswer(url, "", "this is no address of the form http://HOST:PORT")
        context = ssl.create_default_context(cafile=authorities) if parts.scheme == "https" else None
        server = _Server(host, port, key, context)
        status, body = server.ask("GET", "/")
        if status in (401, 403):
            return QdrantAnswer(url, "", "it refuses the key, or asks for one")
        version = str(json.loads(body)["version"])
        access = _access(server, bool(key))
    except (OSError, http.client.HTTPException) as error:
        return QdrantAnswer(url, "", getattr(error, "strerror", None) or str(error) or "it does not answer")
    except (ValueError, KeyError, TypeError):
        return QdrantAnswer(url, "", "what answers there is no Qdrant")
    try:
        with socket.create_connection((host, int(grpc_port)), timeout=_TIMEOUT_SECONDS):
            grpc_open = True
    except (OSError, ValueError):
        grpc_open = False
    return QdrantAnswer(url, version, "", grpc_open, grpc_port, access)


@dataclass(frozen=True, slots=True)
class _Server:
    """Where to ask, and with which key."""

    host: str
    port: int
    key: str
    context: ssl.SSLContext | None

    def ask(self, method: str, path: str) -> tuple[int, bytes]:
        """The status and the body of an answer."""
        if self.context is None:
            connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT_SECONDS)
        else:
            connection = http.client.HTTPSConnection(
                self.host, self.port, timeout=_TIMEOUT_SECONDS, context=self.context
            )
        try:
            connection.request(method, path, headers={"api-key": self.key} if self.key else {})
            response = connection.getresponse()
            return response.status, response.read(65_536)
        finally:
            connection.close()


def _access(server: _Server, has_key: bool) -> Access:
    """What the key allows; `/` asks for none, so that it tells nothing."""
    status, _ = server.ask("GET", "/collections")
    if status in (401, 403):
        return Access.KEY_REFUSED if has_key else Access.KEY_MISSING
    if status == 404:  # the embedded engine, which has neither keys nor this API
        return Access.ALL
    if status != 200:
        return Access.UNKNOWN
    # To delete what is not there needs the right to write, and changes nothing.
    try:
        status, _ = server.ask("DELETE", f"/collections/trivium-doctor-{uuid.uuid4().hex}")
    except OSError:  # a cluster that finds no majority takes its time
        return Access.UNKNOWN
    return Access.READ_ONLY if status in (401, 403) else Access.ALL


def _major_minor(version: str) -> tuple[int, int] | None:
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None
