"""The files for TLS: whether they can be read, belong together, and how long the certificate lasts."""

import ssl
import time
from pathlib import Path

from trivium_client.doctor.findings import Finding, ok, problem, skipped, warning

_SUBJECT = "TLS"
_DAY_SECONDS = 86_400
_SOON_DAYS = 21
_NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which the ssl module has no name


def judge_expiry(now: float, begins: float, ends: float, file: Path) -> Finding:
    """How long a certificate lasts.

    Args:
        now: Seconds since 1970, as are the others.
        begins: From when it is valid.
        ends: Until when it is.
        file: Where it is.
    """
    until = time.strftime("%Y-%m-%d", time.gmtime(ends))
    if now > ends:
        return problem(_SUBJECT, f"the certificate in {file} ended on {until}", "put a new one there")
    if now < begins:
        return problem(_SUBJECT, f"the certificate in {file} is not valid yet", "wait, or set the clock")
    if ends - now < _SOON_DAYS * _DAY_SECONDS:
        days = int((ends - now) // _DAY_SECONDS)
        return warning(_SUBJECT, f"the certificate in {file} ends in {days} days, on {until}", "renew it")
    return ok(_SUBJECT, f"the certificate in {file} is valid until {until}")


def certificates(environment: dict[str, str]) -> list[Finding]:
    certificate, key, authorities = (
        Path(value) if (value := environment.get(variable, "").strip()) else None
        for variable in ("TRIVIUM_TLS_CERT", "TRIVIUM_TLS_KEY", "TRIVIUM_TLS_CA")
    )
    if certificate is None and key is None and authorities is None:
        return [skipped(_SUBJECT, "off: no TRIVIUM_TLS_... variable is set")]
    found = []
    if authorities is not None:
        found.append(_authorities(authorities))
    if (certificate is None) != (key is None):
        given, missing = ("CERT", "KEY") if key is None else ("KEY", "CERT")
        found.append(
            problem(_SUBJECT, f"TRIVIUM_TLS_{given} is set, but TRIVIUM_TLS_{missing} is not", "set both, or neither")
        )
    elif certificate is not None and key is not None:
        found.append(_certificate(certificate, key))
    return found


def _authorities(file: Path) -> Finding:
    try:
        count = len(ssl.create_default_context(cafile=str(file)).get_ca_certs())
    except (OSError, ValueError) as error:
        return problem(_SUBJECT, f"TRIVIUM_TLS_CA: cannot use {file}: {_reason(error)}", "give a readable PEM file")
    return ok(_SUBJECT, f"{file} holds {count} authorities")


def _certificate(certificate: Path, key: Path) -> Finding:
    try:
        begins, ends = _validity(certificate, key)
    except (OSError, ValueError) as error:
        return problem(
            _SUBJECT,
            f"cannot use {certificate} with {key}: {_reason(error)}",
            "give readable PEM files of a certificate and its own key, which has no password",
        )
    return judge_expiry(time.time(), begins, ends, certificate)


def _validity(certificate: Path, key: Path) -> tuple[float, float]:
    """When a certificate begins and ends, as the ssl module shows it to a client: so one connects, in memory."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    server.load_cert_chain(certificate, key, password="")  # rather than a question
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    client.load_verify_locations(certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server)
    shown = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, shown, asking):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    described = asking.getpeercert() or {}
    return tuple(ssl.cert_time_to_seconds(str(described[name])) for name in ("notBefore", "notAfter"))  # type: ignore[return-value]


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
