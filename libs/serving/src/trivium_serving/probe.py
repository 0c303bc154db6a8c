"""Asks a service for its health, for containers: `python -m trivium_serving.probe HOST:PORT [NAME]`.

Exits with 0 if it serves, with 1 and the reason on standard error if not. The health protocol is
`grpc.health.v1`; NAME is the gRPC service to ask about, the server as a whole by default.
"""

import sys
from typing import Any

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

_TIMEOUT_SECONDS = 3.0


def main(arguments: list[str]) -> int:
    """Asks, and returns the process's exit status."""
    if not 1 <= len(arguments) <= 2:
        print("usage: python -m trivium_serving.probe HOST:PORT [NAME]", file=sys.stderr)
        return 2
    target, name = arguments[0], "".join(arguments[1:])
    with grpc.insecure_channel(target) as channel:
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
