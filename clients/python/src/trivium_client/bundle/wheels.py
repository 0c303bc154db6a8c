"""What wheels say about themselves: name, version, licence, and where they run."""

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import PackageMetadata
from pathlib import Path

_OLD_TAGS = {"manylinux1_": "manylinux_2_5_", "manylinux2010_": "manylinux_2_12_", "manylinux2014_": "manylinux_2_17_"}


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel file.

    Attributes:
        path: The file.
        name: The distribution's name, as it writes it.
        version: With its local part, such as `2.13.0+cpu`.
        licence: As `licence_of` reads it.
        installed_bytes: The size of its files when unpacked.
    """

    path: Path
    name: str
    version: str
    licence: str
    installed_bytes: int


def read_wheel(path: Path) -> Wheel:
    """Reads a wheel's own metadata."""
    with zipfile.ZipFile(path) as archive:
        inside = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        metadata = HeaderParser().parsestr(archive.read(inside).decode("utf-8", "replace"))
        installed = sum(info.file_size for info in archive.infolist())
    return Wheel(path, metadata["Name"], metadata["Version"], licence_of(metadata), installed)


def licence_of(metadata: Message | PackageMetadata) -> str:
    """A distribution's licence: the expression it states, else its classifiers, else what it wrote in a line.

    Returns:
        An empty string if it says nothing, or nothing short.
    """
    if expression := metadata["License-Expression"]:
        return str(expression)
    prefix = "License :: "
    classifiers = [
        str(value).removeprefix(prefix).removeprefix("OSI Approved :: ")
        for value in metadata.get_all("Classifier", [])
        if str(value).startswith(prefix) and value != "License :: OSI Approved"
    ]
    if classifiers:
        return " AND ".join(sorted(classifiers))
    stated = str(metadata["License"] or "").strip()
    return stated if len(stated) <= 80 and "\n" not in stated else ""


def needed_glibc(names: Iterable[str]) -> str:
    """The oldest glibc on which all these wheels run, for example `2.28`; empty if none says."""
    needed = (0, 0)
    for name in names:
        for old, new in _OLD_TAGS.items():
            name = name.replace(old, new)
        tags = [(int(major), int(minor)) for major, minor in re.findall(r"manylinux_(\d+)_(\d+)_", name)]
        if tags:
            needed = max(needed, min(tags))
    return ".".join(map(str, needed)) if any(needed) else ""
