"""Importing one module of a large package without the rest of it."""

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from types import ModuleType

__all__ = ["import_alone"]


def import_alone(name: str) -> ModuleType:
    """Import a module without running the code of the package that it lies in.

    It must not need the package's own code. Whoever imports the package later gets it whole, with this module in it.

    Args:
        name: `package.module`.

    Raises:
        ModuleNotFoundError: There is no such package or module.
    """
    package = name.partition(".")[0]
    spec = find_spec(package)
    if package in sys.modules or spec is None:
        return importlib.import_module(name)
    sys.modules[package] = module_from_spec(spec)
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules[package]
