"""The five processes: their names, modules and ports, and the variables that tell each where the others are."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from trivium_client.stack.ports import Address, free_ports

LOCALHOST = "127.0.0.1"
_MODEL_NICENESS = 5


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service.

    Attributes:
        use: `grpc`, `http` or `metrics`.
        variable: The environment variable that sets it.
        default: Its number if nobody sets it.
        number_only: Whether the variable holds just the number, not HOST:PORT.
    """

    use: str
    variable: str
    default: int
    number_only: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A process of the stack.

    Attributes:
        name: What people call it.
        module: What `python -m` runs.
        requirements: The file that lists what it needs.
        ports: Where it listens.
        stages: The stages of a question that it serves, as the gateway's status names them.
        niceness: How far it stands back behind the others. Models take whatever processors there are: what answers
            everybody, and what refuses those that come too many, must not wait in line with them.
        works_in_silence: Whether it may be unable to answer while it works: the embedded engine holds Python's lock.
    """

    name: str
    module: str
    requirements: str
    ports: tuple[Port, ...]
    stages: tuple[str, ...] = ()
    niceness: int = 0
    works_in_silence: bool = False


SERVICES: dict[str, Service] = {
    service.name: service
    for service in (
        Service(
            "qdrant",
            "trivium_qdrant_edge",
            "requirements/qdrant_edge.txt",
            (
                Port("grpc", "TRIVIUM_QDRANT_EDGE_LISTEN", 6334),
                Port("http", "TRIVIUM_QDRANT_EDGE_HTTP_LISTEN", 6333),
            ),
            ("search",),
            works_in_silence=True,
        ),
        Service(
            "embed",
            "trivium_embed",
            "requirements/embed.txt",
            (
                Port("grpc", "TRIVIUM_EMBED_LISTEN", 50051),
                Port("metrics", "TRIVIUM_EMBED_METRICS_PORT", 9101, number_only=True),
            ),
            ("embed",),
            _MODEL_NICENESS,
        ),
        Service(
            "rerank",
            "trivium_rerank",
            "requirements/rerank.txt",
            (
                Port("grpc", "TRIVIUM_RERANK_LISTEN", 50052),
                Port("metrics", "TRIVIUM_RERANK_METRICS_PORT", 9102, number_only=True),
            ),
            ("rerank",),
            _MODEL_NICENESS,
        ),
        Service(
            "generate",
            "trivium_generate",
            "requirements/generate.txt",
            (
                Port("grpc", "TRIVIUM_GENERATE_LISTEN", 50053),
                Port("metrics", "TRIVIUM_GENERATE_METRICS_PORT", 9103, number_only=True),
            ),
            ("generate",),
            _MODEL_NICENESS,
        ),
        Service(
            "gateway",
            "trivium_gateway",
            "requirements/gateway.txt",
            (
                Port("grpc", "TRIVIUM_GATEWAY_GRPC_LISTEN", 50050),
                Port("http", "TRIVIUM_GATEWAY_HTTP_LISTEN", 8080),
            ),
        ),
    )
}
"""In the order in which they are started: what others need comes first."""

STOP_ORDER = (("gateway",), ("generate",), ("rerank", "embed"), ("qdrant",))
"""The gateway finishes the questions that it has while the rest still serve it."""

# Which variables say where a service is, and how they say it.
_TARGETS: dict[str, tuple[str, Callable[[Mapping[str, Address]], str]]] = {
    "TRIVIUM_GATEWAY_EMBED_TARGET": ("embed", lambda at: str(at["grpc"].reachable)),
    "TRIVIUM_GATEWAY_RERANK_TARGET": ("rerank", lambda at: str(at["grpc"].reachable)),
    "TRIVIUM_GATEWAY_GENERATE_TARGET": ("generate", lambda at: str(at["grpc"].reachable)),
    "TRIVIUM_GATEWAY_QDRANT_URL": ("qdrant", lambda at: f"http://{at['http'].reachable}"),
    "TRIVIUM_GATEWAY_QDRANT_GRPC_PORT": ("qdrant", lambda at: str(at["grpc"].port)),
    "TRIVIUM_GENERATE_EMBED_TARGET": ("embed", lambda at: str(at["grpc"].reachable)),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each service of a stack listens.

    Attributes:
        addresses: By service and use, of the services that are to be started.
        isolated: Whether this stack is closed in itself, whatever the environment says.
    """

    addresses: Mapping[str, Mapping[str, Address]]
    isolated: bool

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """The variables with which the services find their ports and each other.

        Args:
            base: The variables they inherit. A target that is set there is kept, unless the stack is isolated.
        """
        environment = dict(base)
        for name, addresses in self.addresses.items():
            for port in SERVICES[name].ports:
                address = addresses[port.use]
                environment[port.variable] = str(address.port) if port.number_only else str(address)
        for variable, (name, target) in _TARGETS.items():
            if name in self.addresses and (self.isolated or not base.get(variable)):
                value = target(self.addresses[name])
                # Where there is a certificate, all of them speak TLS; for Qdrant its address says so.
                environment[variable] = value.replace("http:", "https:") if base.get("TRIVIUM_TLS_CERT") else value
        environment["PYTHONUNBUFFERED"] = "1"  # or a line of a log appears when the next hundred are there
        return environment


def layout_on_free_ports(services: Collection[str]) -> Layout:
    """A layout that collides with nothing that runs now."""
    wanted = [(name, port.use) for name in services for port in SERVICES[name].ports]
    addresses: dict[str, dict[str, Address]] = {name: {} for name in services}
    for (name, use), number in zip(wanted, free_ports(len(wanted)), strict=True):
        addresses[name][use] = Address(LOCALHOST, number)
    return Layout(addresses, isolated=True)


def layout_from_settings(services: Collection[str], environment: Mapping[str, str], offset: int) -> Layout:
    """The layout that the environment's variables, or else the defaults, say.

    Args:
        services: The services to start.
        environment: Variables such as TRIVIUM_EMBED_LISTEN.
        offset: Added to every port, so that a second stack can stand beside the first.

    Raises:
        ValueError: If a variable holds no address, or a port is out of range; the message names the variable.
    """
    addresses: dict[str, dict[str, Address]] = {}
    for name in services:
        addresses[name] = {}
        for port in SERVICES[name].ports:
            try:
                address = Address.parse(environment.get(port.variable) or str(port.default))
            except ValueError as error:
                raise ValueError(f"{port.variable}: {error}") from None
            number = address.port + offset if address.port else 0
            if not 0 <= number <= 65_535:
                raise ValueError(f"port {number} of {name} is out of range; choose another --port-offset")
            addresses[name][port.use] = Address(address.host, number)
    return Layout(addresses, isolated=offset != 0)
