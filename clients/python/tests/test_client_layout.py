"""Ports of a stack, and what the services are told of each other."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from trivium_client.stack.ports import Address, free_ports, holder, is_free
from trivium_client.stack.preflight import package_problems, port_problems
from trivium_client.stack.running import StackOptions
from trivium_client.stack.services import SERVICES, layout_from_settings, layout_on_free_ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this process listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("[::1]:80", Address("::1", 80)),
        ("80", Address("127.0.0.1", 80)),
        ("0.0.0.0:0", Address("0.0.0.0", 0)),
    ],
)
def test_address_is_read(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:65536", "host:-1"])
def test_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not HOST:PORT"):
        Address.parse(text)


def test_port_is_free_until_somebody_listens(taken: int) -> None:
    assert not is_free(Address("127.0.0.1", taken))
    assert all(is_free(Address("127.0.0.1", port)) for port in free_ports(3))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_free_ports_are_none_that_the_system_gives_to_connections() -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert all(port < first for port in free_ports(20))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_holder_of_a_port_is_named(taken: int) -> None:
    assert "python" in holder(taken)
    assert holder(free_ports(1)[0]) == ""


def test_default_layout_is_that_of_the_interface() -> None:
    layout = layout_from_settings(SERVICES, {}, 0)

    assert {name: {use: at.port for use, at in uses.items()} for name, uses in layout.addresses.items()} == {
        "gateway": {"grpc": 50050, "http": 8080},
        "embed": {"grpc": 50051, "metrics": 9101},
        "rerank": {"grpc": 50052, "metrics": 9102},
        "generate": {"grpc": 50053, "metrics": 9103},
        "qdrant": {"grpc": 6334, "http": 6333},
    }
    assert {at.host for uses in layout.addresses.values() for at in uses.values()} == {"127.0.0.1"}


def test_environment_tells_every_service_where_the_others_are() -> None:
    layout = layout_on_free_ports(SERVICES)
    at = layout.addresses

    environment = layout.environment({"TRIVIUM_GATEWAY_EMBED_TARGET": "elsewhere:1", "PATH": "x"})

    assert environment["TRIVIUM_GATEWAY_EMBED_TARGET"] == str(at["embed"]["grpc"])
    assert environment["TRIVIUM_GENERATE_EMBED_TARGET"] == str(at["embed"]["grpc"])
    assert environment["TRIVIUM_GATEWAY_QDRANT_URL"] == f"http://{at['qdrant']['http']}"
    assert environment["TRIVIUM_GATEWAY_QDRANT_GRPC_PORT"] == str(at["qdrant"]["grpc"].port)
    assert environment["TRIVIUM_EMBED_METRICS_PORT"] == str(at["embed"]["metrics"].port)
    assert environment["PATH"] == "x"


def test_environment_keeps_a_target_that_somebody_set() -> None:
    base = {"TRIVIUM_GATEWAY_QDRANT_URL": "http://qdrant:6333", "TRIVIUM_EMBED_LISTEN": "0.0.0.0:7"}
    layout = layout_from_settings([name for name in SERVICES if name != "qdrant"], base, 0)

    environment = layout.environment(base)

    assert environment["TRIVIUM_GATEWAY_QDRANT_URL"] == "http://qdrant:6333"
    assert "TRIVIUM_GATEWAY_QDRANT_GRPC_PORT" not in environment
    assert environment["TRIVIUM_EMBED_LISTEN"] == "0.0.0.0:7"
    assert environment["TRIVIUM_GATEWAY_EMBED_TARGET"] == "127.0.0.1:7"


def test_offset_moves_every_port() -> None:
    layout = layout_from_settings(["embed"], {}, 1000)
    assert {at.port for at in layout.addresses["embed"].values()} == {51051, 10101}


@pytest.mark.parametrize(
    ("environment", "offset", "message"),
    [
        ({"TRIVIUM_EMBED_LISTEN": "nonsense"}, 0, "TRIVIUM_EMBED_LISTEN"),
        ({"TRIVIUM_EMBED_METRICS_PORT": "99999"}, 0, "TRIVIUM_EMBED_METRICS_PORT"),
        ({}, 60_000, "--port-offset"),
    ],
)
def test_layout_that_cannot_be_is_refused(environment: dict[str, str], offset: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layout_from_settings(SERVICES, environment, offset)


def test_taken_port_is_named_with_service_and_setting(taken: int) -> None:
    ports = {"TRIVIUM_EMBED_LISTEN": f"127.0.0.1:{taken}", "TRIVIUM_EMBED_METRICS_PORT": "0"}

    (problem,) = port_problems(layout_from_settings(["embed"], ports, 0))

    assert f"port {taken}, which embed (grpc) wants, is taken" in problem
    assert "set TRIVIUM_EMBED_LISTEN=" in problem


def test_port_wanted_twice_is_a_problem() -> None:
    port = free_ports(1)[0]
    ports = {"TRIVIUM_EMBED_LISTEN": f"127.0.0.1:{port}", "TRIVIUM_EMBED_METRICS_PORT": str(port)}

    (problem,) = port_problems(layout_from_settings(["embed"], ports, 0))

    assert f"port {port} is wanted twice" in problem


def test_address_of_another_machine_is_a_problem() -> None:
    ports = {"TRIVIUM_EMBED_LISTEN": "192.0.2.1:5000", "TRIVIUM_EMBED_METRICS_PORT": "0"}

    (problem,) = port_problems(layout_from_settings(["embed"], ports, 0))

    assert "embed (grpc) cannot listen at 192.0.2.1:5000" in problem


def test_missing_package_is_named_with_its_requirements(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    interpreters = {"embed": sys.executable, "generate": str(bare), "rerank": str(tmp_path / "absent")}

    problems = package_problems(["embed", "generate", "rerank"], interpreters)

    assert len(problems) == 2
    assert "generate is not installed" in problems[0]
    assert "requirements/generate.txt" in problems[0]
    assert "make setup" in problems[0]
    assert "does not exist" in problems[1]


def test_services_keep_data_and_models_where_they_are_told(tmp_path: Path) -> None:
    options = StackOptions(layout_on_free_ports(SERVICES), tmp_path / "data", model_dir=tmp_path / "models")

    folders = {command.name: Path(command.environment["TRIVIUM_DATA_DIR"]).name for command in options.commands()}

    assert folders["qdrant"] == "data"
    assert folders["embed"] == folders["rerank"] == "models"


def test_generate_runs_from_the_environment_that_is_given(tmp_path: Path) -> None:
    layout = layout_on_free_ports(SERVICES)
    commands = StackOptions(layout, tmp_path, generate_python=tmp_path / "vllm/bin/python").commands()

    programs = {command.name: command.argv[0] for command in commands}

    assert programs.pop("generate") == str(tmp_path / "vllm/bin/python")
    assert set(programs.values()) == {sys.executable}
