"""Makes certificates for tests, with the openssl command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, in two files of PEM."""

    certificate: Path
    key: Path


def authority(folder: Path, name: str = "authority") -> Certificate:
    """Makes a certificate authority."""
    made = _pair(folder, name)
    subject = ["-subj", f"/CN={name}", "-days", "2"]
    _openssl("req", "-x509", *_NEW_KEY, "-keyout", made.key, "-out", made.certificate, *subject)
    return made


def issued(
    by: Certificate,
    folder: Path,
    name: str = "service",
    *,
    for_names: str = "IP:127.0.0.1,DNS:localhost",
    days: int = 2,
) -> Certificate:
    """Makes a certificate for a process that serves and calls.

    Args:
        by: The authority.
        folder: Where to.
        name: Of the files, and common name.
        for_names: What it is called by, as openssl writes it.
        days: How long it is valid; negative if it has ended.
    """
    made = _pair(folder, name)
    request, extensions = folder / f"{name}.csr", folder / f"{name}.cnf"
    extensions.write_text(
        f"basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={for_names}\n"
    )
    _openssl("req", "-new", *_NEW_KEY, "-keyout", made.key, "-out", request, "-subj", f"/CN={name}")
    signed_by = ("-CA", by.certificate, "-CAkey", by.key, "-CAcreateserial", "-days", str(days))
    _openssl("x509", "-req", "-in", request, "-out", made.certificate, *signed_by, "-extfile", extensions)
    return made


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def _pair(folder: Path, name: str) -> Certificate:
    return Certificate(folder / f"{name}.crt", folder / f"{name}.key")


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
