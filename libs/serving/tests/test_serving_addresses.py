"""Settings that are addresses: what is refused, and that no secret is repeated."""

from __future__ import annotations

import dataclasses
import importlib

import pytest
from trivium_serving.addresses import AddressKind, address_problem, is_loopback
from trivium_serving.settings import load_settings

SERVICES = ("embed", "rerank", "generate", "gateway", "qdrant_edge")
_NAMES = ("listen", "target", "url", "origins")


def _address_settings() -> list[tuple[str, str]]:
    """Each setting whose name or text says that it is an address, by service; secret ones may hold credentials."""
    found = []
    for service in SERVICES:
        for field in dataclasses.fields(_settings_of(service)):
            text = str(field.metadata["help"])
            if not field.metadata["secret"] and (field.name.endswith(_NAMES) or text.startswith("Address")):
                found.append((service, field.name))
    return found


def _settings_of(service: str) -> type:
    module = importlib.import_module(f"trivium_{service}.settings")
    return next(
        value
        for value in vars(module).values()
        if dataclasses.is_dataclass(value) and value.__module__ == module.__name__
    )  # type: ignore[return-value]


@pytest.mark.parametrize(("service", "name"), _address_settings())
@pytest.mark.parametrize(
    "address",
    ["http://user:hunter2@10.1.2.3:6333", "user:hunter2@10.1.2.3:6333", "https://hunter2@10.1.2.3", "hunter2@host:1"],
)
def test_address_with_credentials_ends_the_start_unrepeated(
    service: str, name: str, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = f"TRIVIUM_{service.upper()}_"
    variable = prefix + name.upper()

    with pytest.raises(SystemExit) as ended:
        load_settings(
            _settings_of(service),
            prefix=prefix,
            program=f"trivium-{service}",
            description="",
            argv=[],
            environ={variable: address},
        )

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert variable in said
    assert "hunter2" not in said
    assert "10.1.2.3" not in said


def test_address_settings_of_all_services_are_found() -> None:
    assert {service for service, _ in _address_settings()} == set(SERVICES)
    assert ("gateway", "qdrant_url") in _address_settings()


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (AddressKind.LISTEN, "127.0.0.1:0"),
        (AddressKind.LISTEN, "[::]:8080"),
        (AddressKind.TARGET, "embed:50051"),
        (AddressKind.TARGET, "dns:///embed:50051"),
        (AddressKind.SERVER, "http://127.0.0.1:6333"),
        (AddressKind.SERVER, "https://qdrant.example/"),
        (AddressKind.SERVER, "http://[::1]:6333"),
        (AddressKind.API, "https://api.example.com/openai/v1"),
    ],
)
def test_address_that_is_one_is_no_problem(kind: AddressKind, address: str) -> None:
    assert address_problem(kind, address) is None


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (AddressKind.LISTEN, "8080a"),
        (AddressKind.TARGET, "http://embed:50051"),
        (AddressKind.SERVER, "nonsense"),
        (AddressKind.SERVER, "127.0.0.1:6333"),
        (AddressKind.SERVER, "ftp://x"),
        (AddressKind.SERVER, "http://"),
        (AddressKind.SERVER, "http://:::x"),
        (AddressKind.SERVER, "http://x:99999"),
        (AddressKind.SERVER, "http://x:6333/qdrant"),
        (AddressKind.API, "api.example.com/v1"),
        (AddressKind.API, "http://127.0.0.1:port"),
        (AddressKind.API, "http://[1"),
        (AddressKind.API, "localhost:8000/v1"),
    ],
)
def test_address_that_is_none_is_a_problem_that_names_it(kind: AddressKind, address: str) -> None:
    assert address in (address_problem(kind, address) or "")


def test_key_behind_an_address_is_refused_unrepeated() -> None:
    problem = address_problem(AddressKind.API, "https://api.example.com/v1?key=hunter2")

    assert problem is not None
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("127.0.0.1:1", True), ("localhost:1", True), ("[::1]:1", True), ("0.0.0.0:1", False), ("[::]:1", False)],
)
def test_loopback_is_what_only_this_machine_reaches(listen: str, *, expected: bool) -> None:
    assert is_loopback(listen) is expected
