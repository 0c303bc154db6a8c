"""An issuer of tokens: it serves discovery and the keys that it makes over HTTP, and can be broken, or sign anew."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Iterator

AUDIENCE = "trivium"


@dataclass
class Issuer:
    """An issuer, and what it signs by."""

    port: int = 0
    keys: dict[str, Any] = field(default_factory=dict)
    said: bytes | None = None
    """What it answers instead."""

    @property
    def address(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def rotate(self, key_id: str, kind: str = "RSA") -> None:
        """Makes another key, and forgets those before."""
        made = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ec.generate_private_key(ec.SECP256R1())
        self.keys = {key_id: made}

    def described(self) -> dict[str, Any]:
        """Its keys, the public halves."""
        listed = []
        for key_id, key in self.keys.items():
            algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
            name = "RS256" if algorithm is RSAAlgorithm else "ES256"
            listed.append({**json.loads(algorithm.to_jwk(key.public_key())), "kid": key_id, "use": "sig", "alg": name})
        return {"keys": listed}

    def token(self, **changes: Any) -> str:
        """A token, good but for what is changed; None leaves a claim out."""
        key_id, key = next(iter(self.keys.items()))
        now = time.time()
        claims = {
            "iss": self.address,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 300,
            "sub": "ann",
            "team": "legal",
            "realm_access": {"roles": ["hr", "board"]},
            "scope": "openid trivium:ingest trivium:operator",
            **changes,
        }
        algorithm = "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, key, algorithm, headers={"kid": key_id})

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Listens, on the port it had before if there was one."""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                described = {"issuer": issuer.address, "jwks_uri": f"{issuer.address}/keys"}
                answer = json.dumps(issuer.described() if self.path == "/keys" else described).encode()
                if issuer.said is None:
                    self.send_response(200)
                    self.end_headers()
                self.wfile.write(answer if issuer.said is None else issuer.said)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
