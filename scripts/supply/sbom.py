"""Writes a bill of materials per service: CycloneDX 1.6, from the metadata of what is installed."""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from supply.inventory import SERVICES, packages_of

if TYPE_CHECKING:
    from supply.inventory import Package

ROOT = Path(__file__).resolve().parents[2]


def bill_of(service: str) -> dict[str, Any]:
    """A service's bill of materials. The same packages give the same bill, its serial number included."""
    packages = packages_of(service, ROOT)
    subject = packages.pop(f"trivium-{service.replace('_', '-')}")
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component(subject, "application")},
        "components": [_component(package, "library") for _, package in sorted(packages.items())],
        "dependencies": [
            {"ref": _reference(package), "dependsOn": [_reference(packages[name]) for name in sorted(package.needs)]}
            for package in (subject, *(packages[name] for name in sorted(packages)))
        ],
    }
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))}"
    return bill


def _component(package: Package, kind: str) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": kind,
        "bom-ref": _reference(package),
        "name": package.name,
        "version": package.version,
        "purl": _reference(package),
    }
    if package.licence:
        try:
            component["licenses"] = [{"expression": canonicalize_license_expression(package.licence)}]
        except InvalidLicenseExpression:  # older metadata name it in words
            component["licenses"] = [{"license": {"name": package.licence}}]
    return component


def _reference(package: Package) -> str:
    name = re.sub(r"[-_.]+", "-", package.name).lower()
    return f"pkg:pypi/{name}@{package.version}"


def main() -> int:
    """Runs `sbom.py FOLDER [SERVICE...]`."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for service in sys.argv[2:] or SERVICES:
        path = folder / f"trivium-{service}.cdx.json"
        path.write_text(json.dumps(bill_of(service), indent=2) + "\n", encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
