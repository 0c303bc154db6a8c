"""Writes an image's bill of materials: CycloneDX 1.6, of what is installed where this runs.

Image builds run it, so it needs nothing but Python: `python image_sbom.py NAME VERSION FILE`.
"""

from __future__ import annotations

import glob
import json
import re
import sys
import uuid
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message

# Pythons beside the one that runs this: a base image has its own, with pip.
_OTHER_PYTHONS = ("/usr/lib/python3/dist-packages", "/usr/local/lib/python3*/*-packages")
_LONGEST_LICENCE_NAME = 64  # beyond, it is the licence's text


def bill_of_image(name: str, version: str, root: Path = Path("/")) -> dict[str, Any]:
    """The bill of materials of the image whose files are at root. The same packages give the same bill."""
    components = {component["bom-ref"]: component for component in (*_debian(root), *_python())}
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": name, "name": name, "version": version}},
        "components": [components[reference] for reference in sorted(components)],
    }
    bill["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bill, sort_keys=True))}"
    return bill


def _python() -> Iterator[dict[str, Any]]:
    folders = [*sys.path, *(folder for pattern in _OTHER_PYTHONS for folder in glob.glob(pattern))]
    for installed in distributions(path=folders):
        metadata: Any = installed.metadata
        name, version = metadata["Name"], metadata["Version"]
        if not name or not version:  # what is left of a package that was removed
            continue
        # torch's +cpu names a build, ours +src that it is not released
        number = version.partition("+")[0]
        component = _component(name, number, f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{number}")
        licence = _licence(metadata)
        yield component | ({"licenses": [licence]} if licence else {})


def _licence(metadata: Message) -> dict[str, Any] | None:
    if expression := metadata["License-Expression"]:
        return {"expression": expression}
    named = (metadata["License"] or "").strip()
    if not named or "\n" in named or len(named) > _LONGEST_LICENCE_NAME or named == "UNKNOWN":
        classifiers = metadata.get_all("Classifier") or []
        named = ", ".join(one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License :: "))
    return {"license": {"name": named}} if named else None


def _debian(root: Path) -> Iterator[dict[str, Any]]:
    status, release = root / "var/lib/dpkg/status", root / "etc/os-release"
    if not status.exists():
        return
    lines = release.read_text(encoding="utf-8") if release.exists() else ""
    system = dict(re.findall(r'^(\w+)="?(.*?)"?$', lines, re.MULTILINE)).get("ID", "debian")
    for paragraph in status.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version, processor = fields["Package"], fields["Version"], fields["Architecture"]
            encoded = version.replace("+", "%2B").replace(":", "%3A")
            yield _component(name, version, f"pkg:deb/{system}/{name}@{encoded}?arch={processor}")


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def main() -> int:
    """Writes the file."""
    name, version, file = sys.argv[1:]
    bill = bill_of_image(name, version)
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(bill, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(bill['components'])} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
