"""One module of a package, without the package."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from trivium_serving.importing import import_alone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package that notes when its own code is run, with a module in it that imports another one."""
    name = "package_of_a_test"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("from . import light\nwhole = True\n")
    (folder / "light.py").write_text(f"from {name} import lighter\nvalue = lighter.value\n")
    (folder / "lighter.py").write_text("value = object()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for module in (name, f"{name}.light", f"{name}.lighter"):
        sys.modules.pop(module, None)


def test_module_imported_alone_runs_no_code_of_its_package(package: str) -> None:
    light = import_alone(f"{package}.light")

    assert light.value is sys.modules[f"{package}.lighter"].value
    assert package not in sys.modules


def test_package_imported_later_is_whole_and_has_the_same_module(package: str) -> None:
    light = import_alone(f"{package}.light")

    whole = __import__(package)

    assert whole.whole
    assert whole.light is light
    assert import_alone(f"{package}.light") is light


def test_module_that_does_not_exist_is_not_found(package: str) -> None:
    for name in (f"{package}.nothing", "no_package_of_a_test.nothing"):
        with pytest.raises(ModuleNotFoundError):
            import_alone(name)
