"""TLS to the gateway: which files, and what their failures mean."""

import os
from pathlib import Path

import grpc

from trivium_client._errors import InvalidRequest

CA_VARIABLE, CERTIFICATE_VARIABLE, KEY_VARIABLE = "TRIVIUM_TLS_CA", "TRIVIUM_TLS_CERT", "TRIVIUM_TLS_KEY"


def channel_credentials(
    tls_ca: str | os.PathLike[str] | None,
    tls_cert: str | os.PathLike[str] | None,
    tls_key: str | os.PathLike[str] | None,
) -> grpc.ChannelCredentials | None:
    """Credentials for a channel to the gateway; None for one without TLS.

    Args:
        tls_ca: File of the authorities to trust, PEM; None for the environment's TRIVIUM_TLS_CA, else no TLS.
        tls_cert: File of the certificate to show; None for the environment's TRIVIUM_TLS_CERT, else none.
        tls_key: File of its key; None for the environment's TRIVIUM_TLS_KEY.

    Raises:
        InvalidRequest: A file cannot be read, or one is given without the others that it needs.
    """
    if tls_ca is None and (tls_cert is not None or tls_key is not None) and not os.environ.get(CA_VARIABLE):
        raise _wrong("a certificate is given, but not whom to trust: give tls_ca, too")
    ca = _given(tls_ca, CA_VARIABLE)
    if ca is None:
        return None
    certificate, key = _given(tls_cert, CERTIFICATE_VARIABLE), _given(tls_key, KEY_VARIABLE)
    if (certificate is None) != (key is None):
        raise _wrong("a certificate needs its key, and a key its certificate: give tls_cert and tls_key, or neither")
    roots = _read(ca)
    if b"-----BEGIN CERTIFICATE" not in roots:
        raise _wrong(f"{ca} holds no certificates in PEM form")
    if certificate is None or key is None:
        return grpc.ssl_channel_credentials(roots)
    return grpc.ssl_channel_credentials(roots, _read(key), _read(certificate))


def _given(path: str | os.PathLike[str] | None, variable: str) -> Path | None:
    chosen = os.environ.get(variable, "").strip() if path is None else os.fspath(path)
    return Path(chosen) if chosen else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _wrong(f"cannot read {path}: {error.strerror}") from None


def _wrong(message: str) -> InvalidRequest:
    return InvalidRequest(message, reason="INVALID_TLS_FILES", field="tls")
