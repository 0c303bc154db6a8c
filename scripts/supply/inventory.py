"""Which packages each service brings, from the metadata of what is installed here."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from trivium_client.bundle.wheels import licence_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVICES = ("embed", "rerank", "generate", "gateway", "qdrant_edge", "client")
"""What is installed by itself: the names of files in requirements/."""
EXTRAS = {"gateway-ocr": "gateway"}
"""What is installed in place of one of these, and adds to it."""


@dataclass(slots=True)
class Package:
    """An installed distribution.

    Attributes:
        name: As it writes it.
        version: Without a local part: torch's `+cpu` names a build, not a version.
        licence: What its metadata say, else the title of its licence's file; empty if neither says anything.
        needs: Canonical names of the packages that it needs here.
    """

    name: str
    version: str
    licence: str
    needs: set[str] = field(default_factory=set)

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("trivium-")


_OF_CUDA_BUILD = re.compile(r"(nvidia|cuda)-.*|triton")
"""What torch needs where the package index's own build of it was taken (TRIVIUM_TORCH=any)."""


def packages_of(profile: str, root: Path) -> dict[str, Package]:
    """Everything that a file in requirements/ brings, by canonical name, but the libraries of CUDA.

    They come with one build of torch and not with the other, so they would make what this says depend on the machine.

    Raises:
        SystemExit: If something of it is not installed.
    """
    found: dict[str, Package] = {}
    waiting = list(_wanted(root / "requirements" / f"{profile}.txt", root))
    ours = _our_projects(root)
    asked: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in asked:
            continue
        asked.add((name, extra))
        project = ours.get(name)
        try:
            package = found.setdefault(name, _our_package(project) if project else _package(distribution(name)))
        except PackageNotFoundError:
            raise SystemExit(f"{name} is not installed; run scripts/setup dev") from None
        for line in _requirements(project, extra) if project else distribution(name).requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = canonicalize_name(requirement.name)
                if name == "torch" and _OF_CUDA_BUILD.fullmatch(needed):
                    continue
                package.needs.add(needed)
                waiting += [(needed, inner) for inner in ("", *requirement.extras)]
    return found


def _our_projects(root: Path) -> dict[str, dict[str, Any]]:
    """Our own packages by name, as their pyproject.toml says: what is installed editable may be older."""
    projects = (tomllib.loads(path.read_text(encoding="utf-8"))["project"] for path in root.glob("*/*/pyproject.toml"))
    return {canonicalize_name(project["name"]): project for project in projects}


def _our_package(project: dict[str, Any]) -> Package:
    return Package(project["name"], project["version"].partition("+")[0], project["license"])


def _requirements(project: dict[str, Any], extra: str) -> list[str]:
    return [
        *project.get("dependencies", ()),
        *(project.get("optional-dependencies", {}).get(extra, ()) if extra else ()),
    ]


def _package(installed: Distribution) -> Package:
    licence = licence_of(installed.metadata) or _title_of_licence(installed)
    return Package(installed.name, installed.version.partition("+")[0], licence)


def _title_of_licence(installed: Distribution) -> str:
    """The first line of the licence's file, where the metadata say nothing else."""
    files = [path for path in installed.files or () if path.parent.name == "licenses"]
    return files[0].read_text().strip().partition("\n")[0] if files else ""


def _wanted(requirements: Path, root: Path) -> Iterator[tuple[str, str]]:
    """Names and extras that a file of requirements lists, with those of the files that it refers to."""
    for line in requirements.read_text(encoding="utf-8").splitlines():
        line = line.partition("#")[0].strip()
        if reference := re.fullmatch(r"-r (\S+)", line):
            yield from _wanted(requirements.parent / reference[1], root)
        elif editable := re.fullmatch(r"-e \./([^\[]+)(?:\[(.*)\])?", line):
            project = tomllib.loads((root / editable[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
            for extra in ("", *filter(None, (editable[2] or "").split(","))):
                yield canonicalize_name(project["name"]), extra
        elif line and not line.startswith("-"):
            requirement = Requirement(line)
            for extra in ("", *requirement.extras):
                yield canonicalize_name(requirement.name), extra
