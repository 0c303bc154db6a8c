"""Asks a service for its health, for containers: `python -m trivium_serving.probe HOST:PORT [NAME]`.

Exits with 0 if it serves, with 1 and the reason on standard error if not. The health protocol is
`grpc.health.v1`; NAME is the gRPC service to ask about, the server as a whole by default. The service is asked with
the environment that it runs in itself: where that names a certificate, over TLS.
"""

import sys
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from trivium_serving.tls import TlsError, TlsFiles

_TIMEOUT_SECONDS = 3.0


def main(arguments: list[str]) -> int:
    """Asks, and returns the process's exit status."""
    if not 1 <= len(arguments) <= 2:
        print("usage: python -m trivium_serving.probe HOST:PORT [NAME]", file=sys.stderr)
        return 2
    target, name = arguments[0], "".join(arguments[1:])
    try:
        opened = _channel(target, TlsFiles.from_environment())
    except TlsError as error:
        print(f"{target}: {error.message}", file=sys.stderr)
        return 1
    with opened as channel:
        stub: Any = HealthStub(channel)  # its types know no methods
        try:
            response = stub.Check(HealthCheckRequest(service=name), timeout=_TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            print(f"{target}: {error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    if response.status != HealthCheckResponse.SERVING:
        print(f"{target}: {HealthCheckResponse.ServingStatus.Name(response.status)}", file=sys.stderr)
        return 1
    return 0


def _channel(target: str, files: TlsFiles) -> grpc.Channel:
    if files.certificate is None:
        return grpc.insecure_channel(target)
    own = files.read()
    # It is the same process's files, so the certificate is trusted as it is, and whatever name it is for.
    credentials = grpc.ssl_channel_credentials(own.certificate + own.authorities, own.key, own.certificate)
    options = [("grpc.ssl_target_name_override", own.names[0])] if own.names else []
    return grpc.secure_channel(target, credentials, options=options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
