"""TLS between the services, from three files that the environment names; without them nothing is encrypted.

`TRIVIUM_TLS_CERT` and `TRIVIUM_TLS_KEY` are what a process shows: its servers speak TLS then. `TRIVIUM_TLS_CA` are the
authorities that it trusts: it calls other services over TLS then, and its servers ask their clients for certificates,
too (mTLS). All are PEM. They are read again when they change.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc

from trivium_serving.errors import TriviumError

if TYPE_CHECKING:
    from collections.abc import Mapping

_logger = logging.getLogger(__name__)

_CERTIFICATE, _KEY, _AUTHORITIES = "TRIVIUM_TLS_CERT", "TRIVIUM_TLS_KEY", "TRIVIUM_TLS_CA"
_NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which the ssl module has no name


class TlsError(TriviumError):
    """The files for TLS cannot be used."""

    default_reason = "TLS_MISCONFIGURED"


@dataclass(frozen=True, slots=True)
class TlsContent:
    """What the files hold; empty where there is no such file.

    Attributes:
        certificate: The process's certificate, and those between it and its authority; PEM.
        key: Its private key; PEM.
        authorities: Certificates of the authorities that are trusted; PEM.
        names: Host names and addresses that the certificate is for.
        ends: When the certificate ends; None where there is none.
    """

    certificate: bytes = b""
    key: bytes = b""
    authorities: bytes = b""
    names: tuple[str, ...] = ()
    ends: datetime | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"TlsContent(names={self.names}, ends={self.ends})"

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """Credentials with which to call others; with the certificate, if there is one."""
        return grpc.ssl_channel_credentials(
            root_certificates=self.authorities or None,
            private_key=self.key or None,
            certificate_chain=self.certificate or None,
        )


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where a process's certificate, its key and the authorities that it trusts are.

    Attributes:
        certificate: File of the certificate; None if servers speak no TLS.
        key: File of its key; None if and only if there is no certificate.
        authorities: File of the authorities' certificates; None if others are called without TLS.
    """

    certificate: Path | None = None
    key: Path | None = None
    authorities: Path | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> TlsFiles:
        """The files that the environment names.

        Raises:
            TlsError: It names a certificate without a key, or a key without a certificate.
        """
        environ = os.environ if environ is None else environ
        values = [environ.get(variable, "").strip() for variable in (_CERTIFICATE, _KEY, _AUTHORITIES)]
        if bool(values[0]) != bool(values[1]):
            given, missing = (_CERTIFICATE, _KEY) if values[0] else (_KEY, _CERTIFICATE)
            raise TlsError(f"{given} is set, but {missing} is not. Set both, or neither.")
        return cls(*(Path(value) if value else None for value in values))

    def read(self) -> TlsContent:
        """Reads and checks them.

        Raises:
            TlsError: One is missing, is no PEM, does not belong to the other, or has ended.
        """
        authorities = _read(self.authorities)
        if self.authorities is not None:
            _check_authorities(self.authorities)
        if self.certificate is None or self.key is None:
            return TlsContent(authorities=authorities)
        certificate, key = _read(self.certificate), _read(self.key)
        described = _described(self.certificate, self.key)
        begins, ends = _time(described["notBefore"]), _time(described["notAfter"])
        if datetime.now(UTC) > ends:
            raise TlsError(
                f"the certificate in {self.certificate} ended on {ends:%Y-%m-%d %H:%M} UTC. Put a new one there."
            )
        if datetime.now(UTC) < begins:
            raise TlsError(
                f"the certificate in {self.certificate} begins on {begins:%Y-%m-%d %H:%M} UTC only. Is the clock right?"
            )
        names = tuple(name for _, name in described.get("subjectAltName", ()))
        return TlsContent(certificate, key, authorities, names, ends)

    def version(self) -> tuple[tuple[int, int], ...]:
        """What differs when one of them has changed."""
        with contextlib.suppress(OSError):
            found = [os.stat(path) for path in (self.certificate, self.key, self.authorities) if path is not None]
            return tuple((one.st_mtime_ns, one.st_ino) for one in found)
        return ()


class CurrentTls:
    """The content of the files, read again when they change. Safe to share between threads.

    New files that cannot be used are logged, and the old content stays in use.

    Args:
        files: The files.

    Raises:
        TlsError: They cannot be used now.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._version = files.version()
        self._content = files.read()

    def get(self) -> TlsContent:
        """The content; the same object as long as the files have not changed."""
        with self._lock:
            version = self._files.version()
            if version != self._version:
                self._version = version
                try:
                    self._content = self._files.read()
                    _logger.info("TLS: took up changed files; %s", _summary(self._content))
                except TlsError as error:
                    _logger.error("TLS: changed files are not taken up: %s", error.message)
            return self._content


def server_credentials(current: CurrentTls) -> grpc.ServerCredentials | None:
    """Credentials of a gRPC server that follow the files; None if there is no certificate."""
    known = current.get()
    if not known.certificate:
        return None
    mutual = bool(known.authorities)
    _logger.info("TLS: %s; clients %s", _summary(known), "must show a certificate" if mutual else "need no certificate")

    def fetch() -> Any:
        nonlocal known
        content = current.get()
        if content is known:
            return None  # which means: as before
        known = content
        return _configuration(content)

    # Whoever is asked for a certificate checks it: without authorities there is nothing to check it by.
    return grpc.dynamic_ssl_server_credentials(_configuration(known), fetch, require_client_authentication=mutual)


def https_context(files: TlsFiles) -> ssl.SSLContext | None:
    """The context of an HTTPS server that follows the files; None if there is no certificate. It asks clients for none.

    Raises:
        TlsError: The files cannot be used.
    """
    if files.certificate is None or files.key is None:
        return None
    certificate, key = files.certificate, files.key
    current = CurrentTls(files)
    known = current.get()
    first = _server_context(certificate, key)
    latest = first

    def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal known, latest
        content = current.get()
        if content is not known:
            with contextlib.suppress(TlsError):  # they changed once more: the next connection sees it
                latest, known = _server_context(certificate, key), content
        connection.context = latest

    first.sni_callback = choose  # called for each connection, with a name or without
    return first


def hint(details: str) -> str:
    """What to do about a connection that failed, if its error looks like a matter of TLS; otherwise empty.

    Args:
        details: What gRPC says about it.
    """
    if "CERTIFICATE_VERIFY_FAILED" in details:
        why = "expired" if "expired" in details else "not by an authority in TRIVIUM_TLS_CA"
        return f"Its certificate is {why}."
    if "Hostname Verification" in details:
        return "Its certificate is for another name: add the name by which it is called to the certificate."
    if "WRONG_VERSION_NUMBER" in details:
        return "It speaks no TLS: set TRIVIUM_TLS_CERT and TRIVIUM_TLS_KEY there, or no TRIVIUM_TLS_CA here."
    if "last error" in details and details.endswith("Socket closed"):  # as soon as it was open
        return (
            "It closed the connection at once. If it speaks TLS, set TRIVIUM_TLS_CA here, and for mTLS also "
            "TRIVIUM_TLS_CERT and TRIVIUM_TLS_KEY, from an authority that it trusts."
        )
    return ""


def _configuration(content: TlsContent) -> Any:
    return grpc.ssl_server_certificate_configuration(
        [(content.key, content.certificate)], root_certificates=content.authorities or None
    )


def _summary(content: TlsContent) -> str:
    if content.ends is None:
        return "no certificate of its own"
    return f"certificate for {', '.join(content.names) or 'no name'}, until {content.ends:%Y-%m-%d %H:%M} UTC"


def _read(path: Path | None) -> bytes:
    if path is None:
        return b""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"cannot read {path}, which the settings for TLS name: {error.strerror}.") from error


def _check_authorities(path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        raise TlsError(f"{path} holds no certificates in PEM form.") from error
    ends = [_time(str(one["notAfter"])) for one in context.get_ca_certs()]
    if ends and max(ends) < datetime.now(UTC):
        raise TlsError(f"the authority in {path} ended on {max(ends):%Y-%m-%d %H:%M} UTC. Put a new one there.")


def _server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(
            certificate, key, password=functools.partial(str)
        )  # or a terminal would be asked for it
    except (ssl.SSLError, OSError) as error:
        raise TlsError(
            f"{certificate} and {key} are not a certificate and its key, in PEM form and without a password "
            f"({getattr(error, 'reason', None) or error})."
        ) from error
    return context


def _described(certificate: Path, key: Path) -> dict[str, Any]:
    """What the certificate says, as the ssl module shows it to a client: so one connects, in memory."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = _server_context(certificate, key)
    try:
        client.load_verify_locations(certificate)
        asking = client.wrap_bio(to_client, to_server)
        shown = context.wrap_bio(to_server, to_client, server_side=True)
        for side in (asking, shown, asking):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
        return dict(asking.getpeercert() or {})
    except (ssl.SSLError, ValueError) as error:
        problem = getattr(error, "verify_message", "") or error
        raise TlsError(f"the certificate in {certificate} does not do for a server: {problem}.") from error


def _time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
