"""Which parts of Trivium are installed beside this command, and where. Nothing is imported."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from trivium_client.stack.services import SERVICES


@dataclass(frozen=True, slots=True)
class Installation:
    """What is installed.

    Attributes:
        services: Names of the services that can be run here.
    """

    services: tuple[str, ...]

    @property
    def is_client_only(self) -> bool:
        return not self.services


def find_installation() -> Installation:
    """Looks at the environment of this interpreter."""
    return Installation(tuple(name for name, service in SERVICES.items() if package_folder(service.module) is not None))


def package_folder(module: str) -> Path | None:
    """The folder of an installed package; None if it is not installed."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def distribution_version(name: str) -> str:
    """The version of an installed distribution; empty if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def settings_files() -> Iterator[tuple[str, Path]]:
    """The prefix of each installed service's variables, and the file that declares them."""
    for service in SERVICES.values():
        folder = package_folder(service.module)
        if folder is not None and (folder / "settings.py").is_file():
            prefix = service.module.removeprefix("trivium_").upper()
            yield f"TRIVIUM_{prefix}_", folder / "settings.py"
