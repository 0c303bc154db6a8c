"""Checks bundles and installs them. Needs Python and nothing else: each bundle carries this file, for its install.sh.

A bundle is an uncompressed tar archive of one folder, or that folder unpacked. Its first member, SHA256SUMS, lists all
other files; manifest.json says what they are and which machines they fit.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

SUMS = "SHA256SUMS"
MANIFEST = "manifest.json"
LOCK = "requirements.lock"
FORMAT = 1

Manifest = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Told what is being done, how many bytes of it are done, and how many there are."""

_LONGEST_TEXT = 16 << 20
_BLOCK = 1 << 20
_MANIFEST_KEYS = {"name", "version", "profile", "platform", "models", "images", "files", "installed_bytes"}
_COPIED = (
    "docker-compose.yml",
    ".env.example",
    "deploy/",
    "docs/",
    "examples/",
    "LICENSE",
    "CHANGELOG.md",
    "README.md",
)


class BundleError(Exception):
    """The bundle cannot be used; the message says why, and what to do."""


@dataclass(frozen=True)
class Installed:
    """What was installed.

    Attributes:
        folder: Where.
        models: For each model its name, its folder, and under `use` the name to set for it.
        images: For each container image its name, and the `file` to load it from; None if the engine has it.
        next: Commands that use the installation.
    """

    folder: str
    models: list[dict[str, str]]
    images: list[dict[str, str | None]]
    next: list[str]

    def lines(self) -> list[str]:
        """What to tell the person who installs it."""
        models = [
            f"model {model['name']}: use {model['use']} as its name; its files are in {model['folder']}"
            for model in self.models
        ]
        images = [
            f"image {image['name']}: "
            + (f"not loaded; docker load --input {image['file']}" if image["file"] else "loaded")
            for image in self.images
        ]
        words = ("next", "then")
        return [*models, *images, *(f"{word}: {command}" for word, command in zip(words, self.next, strict=False))]


def verify(source: Path, progress: Progress, sha256: str | None = None) -> Manifest:
    """Checks every file of a bundle and changes nothing.

    Args:
        source: An archive, or the folder that was unpacked from one.
        progress: Told how far it is.
        sha256: What the archive's own SHA-256 must be, from a place that is trusted. The sums inside show damage; only
            this shows that somebody has made another archive.

    Raises:
        BundleError: If anything is missing, damaged, added, or not what a bundle may hold.
    """
    if not source.exists():
        raise BundleError(f"there is no {source}")
    try:
        if sha256 is not None:
            if source.is_dir():
                raise BundleError("a SHA-256 can be checked of an archive, not of a folder; give the archive")
            with open(source, "rb") as archive:
                found = hashlib.file_digest(archive, "sha256").hexdigest()
            if found != sha256.lower():
                raise BundleError(f"{source} is not the archive that you expect: its SHA-256 is {found}")
        return _read(source, progress, into=None)
    except OSError as error:
        raise BundleError(f"cannot read {source}: {error.strerror}") from None


def install(
    source: Path, into: Path | None, progress: Progress, *, images: bool = True, sha256: str | None = None
) -> Installed:
    """Installs a bundle into a new folder, with no network. If it fails, the folder is gone again.

    Args:
        source: An archive, or the folder that was unpacked from one.
        into: The folder to make; it may exist if it is empty. None for `trivium-VERSION` in the current one.
        progress: Told how far it is.
        images: Whether container images are loaded, if an engine answers.
        sha256: As for `verify`.

    Raises:
        BundleError: If the bundle is bad, does not fit this machine, or cannot be installed.
    """
    manifest = verify(source, progress, sha256)
    _check_fits(manifest)
    into = (into or Path(f"trivium-{manifest['version']}")).expanduser().absolute()
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise BundleError(f"{into} is there already and not empty; choose another folder with --into, or delete it")
    try:
        into.mkdir(parents=True, exist_ok=True)
        _check_space(manifest, source, into)
        with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=into) as unpacked:
            folder = source
            if not source.is_dir():
                folder = Path(unpacked)
                _read(source, progress, into=folder)
            _install_packages(folder, into, progress)
            for name in manifest["files"]:
                if name.startswith(_COPIED):
                    _copy(folder / name, into / name)
            shutil.copyfile(folder / MANIFEST, into / MANIFEST)
            models = _place_models(folder, into, manifest)
            loaded = _load_images(folder, into, manifest, images, progress)
    except OSError as error:
        shutil.rmtree(into, ignore_errors=True)
        if error.errno == errno.ENOSPC:
            raise BundleError(f"no space left at {into}; free some, or choose another folder with --into") from None
        raise BundleError(f"cannot install into {into}: {error}") from None
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise
    return Installed(str(into), models, loaded, _next_commands(into, manifest))


def this_machine() -> dict[str, str]:
    """What decides which wheels run here."""
    libc, version = platform.libc_ver()
    return {
        "system": platform.system().lower(),
        "machine": platform.machine().lower(),
        "python": f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}",
        "glibc": version if libc == "glibc" else "",
    }


def _check_fits(manifest: Manifest) -> None:
    needed, here = manifest["platform"], this_machine()
    for what, name in (("system", "for"), ("machine", "for processors of the kind"), ("python", "for")):
        if needed[what] != here[what]:
            advice = "run it with that Python" if what == "python" else "make one on a machine like this"
            raise BundleError(f"this bundle is {name} {needed[what]}, and this is {here[what]}; {advice}")
    if needed["glibc"] and _version(here["glibc"]) < _version(needed["glibc"]):
        have = f"glibc {here['glibc']}" if here["glibc"] else "another C library"
        raise BundleError(f"this bundle needs glibc {needed['glibc']} or newer, and this system has {have}")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _check_space(manifest: Manifest, source: Path, into: Path) -> None:
    needed = int(manifest["installed_bytes"]) + (0 if source.is_dir() else source.stat().st_size)
    free = shutil.disk_usage(into).free
    if free < needed:
        raise BundleError(f"{into} has {size(free)} free, and the installation needs {size(needed)}")


def _entries(source: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Each file's name within the bundle, size in bytes, and content; SHA256SUMS comes first."""
    if source.is_dir():
        paths = [path for path in source.rglob("*") if not path.is_dir() or path.is_symlink()]
        for path in sorted(paths, key=lambda path: (path != source / SUMS, path)):
            name = path.relative_to(source).as_posix()
            if path.is_symlink() or not path.is_file():
                raise BundleError(f"{name} is not a plain file, and a bundle has no others")
            with open(path, "rb") as file:
                yield name, path.stat().st_size, file
        return
    with tarfile.open(source, "r:") as archive:  # uncompressed only, so that a small one cannot become a large one
        for member in archive:
            name = _inner_name(member.name)
            if not member.isreg() or member.issparse():
                raise BundleError(f"{member.name!r} is a link, a folder or a device, and a bundle has plain files only")
            content = archive.extractfile(member)
            assert content is not None
            yield name, member.size, content


def _inner_name(name: str) -> str:
    """A member's name without the bundle's folder.

    Raises:
        BundleError: If it points out of that folder.
    """
    parts = name.split("/")
    if len(parts) < 2 or any(part in ("", ".", "..") for part in parts) or re.search(r"[\\:\x00-\x1f]", name):
        raise BundleError(f"the archive has a member {name!r}, which would not stay in its folder; do not trust it")
    return "/".join(parts[1:])


def _read(source: Path, progress: Progress, into: Path | None) -> Manifest:
    """Checks all files, and writes them into a folder if there is one."""
    try:
        return _read_entries(source, progress, into)
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"{source} is truncated, damaged or no bundle ({error}); copy it again") from None


def _read_entries(source: Path, progress: Progress, into: Path | None) -> Manifest:
    entries = _entries(source)
    name, length, content = next(entries, ("", 0, None))
    if name != SUMS or content is None or length > _LONGEST_TEXT:
        raise BundleError(f"{source} is no bundle of Trivium's: it does not begin with {SUMS}")
    sums = _parse_sums(content.read())
    manifest: Manifest | None = None
    what, done, total = "unpacking" if into else "checking", 0, _total(source)
    missing = set(sums)
    for name, length, content in entries:
        if name not in missing:
            raise BundleError(f"the bundle has {name}, which {SUMS} {'has once' if name in sums else 'does not list'}")
        missing.remove(name)
        kept = bytearray() if name == MANIFEST and length <= _LONGEST_TEXT else None
        digest = hashlib.sha256()
        with contextlib.ExitStack() as stack:
            target = stack.enter_context(_created(into / name)) if into else None
            while block := content.read(_BLOCK):
                digest.update(block)
                if target:
                    target.write(block)
                if kept is not None:
                    kept += block
                done += len(block)
                progress(what, done, total)
        if digest.hexdigest() != sums[name]:
            raise BundleError(
                f"{name} in the bundle is damaged: its SHA-256 is not the listed one; copy the bundle again"
            )
        if kept is not None:
            manifest = _parse_manifest(bytes(kept))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BundleError(f"the bundle lacks {min(missing)}{more}; copy it again")
    if manifest is None:
        raise BundleError(f"the bundle has no {MANIFEST}")
    for listed in (*manifest["files"], *(image["file"] for image in manifest["images"])):
        if listed not in sums:
            raise BundleError(f"the manifest names {listed}, which is not in the bundle")
    return manifest


def _total(source: Path) -> int:
    if source.is_file():
        return source.stat().st_size
    return sum(path.stat().st_size for path in source.rglob("*") if path.is_file())


def _parse_sums(data: bytes) -> dict[str, str]:
    sums = {}
    for line in data.decode("utf-8", "replace").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        if match is None:
            raise BundleError(f"{SUMS} in the bundle is damaged; copy the bundle again")
        _inner_name(f"bundle/{match[2]}")
        sums[match[2]] = match[1]
    return sums


def _parse_manifest(data: bytes) -> Manifest:
    try:
        manifest: Manifest = json.loads(data)
        version = manifest["format"]
        if version == FORMAT and not manifest.keys() >= _MANIFEST_KEYS:
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BundleError(f"{MANIFEST} in the bundle is not one of Trivium's") from None
    if version != FORMAT:
        raise BundleError(
            f"this bundle has format {version}, and this command reads {FORMAT}; use the bundle's install.sh"
        )
    return manifest


@contextlib.contextmanager
def _created(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as file:
        yield file


def _copy(source: Path, target: Path) -> None:
    """Copies a file, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    shutil.copyfile(source, partial)
    os.replace(partial, target)


def _install_packages(folder: Path, into: Path, progress: Progress) -> None:
    """Makes a virtual environment and installs the wheels into it. pip checks each against its hash."""
    venv = into / "venv"
    progress("making the virtual environment", 0, 0)
    made = subprocess.run([sys.executable, "-I", "-m", "venv", str(venv)], capture_output=True, text=True)
    if made.returncode != 0:
        raise BundleError(
            f"could not make {venv}; on Debian, install python3-venv: {(made.stdout + made.stderr).strip()}"
        )
    progress("installing the packages", 0, 0)
    # The lock lists every package that is needed, so there is nothing to resolve.
    command = [str(venv / "bin" / "python"), "-I", "-m", "pip", "install", "--isolated", "--quiet", "--no-index"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--require-hashes"]
    command += ["--find-links", str(folder / "wheels"), "--requirement", str(folder / LOCK)]
    installed = subprocess.run(command, capture_output=True, text=True)
    if installed.returncode != 0:
        raise BundleError(f"pip could not install the packages: {installed.stderr.strip()[-2000:]}")


def hub_cache() -> Path:
    """Where the Hugging Face libraries look for models."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def _place_models(folder: Path, into: Path, manifest: Manifest) -> list[dict[str, str]]:
    """Puts hub models where their names are looked up, and others under `models/`; names to use for them."""
    placed = []
    for model in manifest["models"]:
        inside = PurePosixPath(model["folder"])
        place = hub_cache() / inside.name if model["revision"] else into / "models" / inside.name
        use = model["name"] if model["revision"] else str(place)
        placed.append({"name": model["name"], "folder": str(place), "use": use})
        for name in manifest["files"]:
            if name.startswith(f"{inside}/"):
                _copy(folder / name, place / PurePosixPath(name).relative_to(inside))
    return placed


def _load_images(
    folder: Path, into: Path, manifest: Manifest, wanted: bool, progress: Progress
) -> list[dict[str, str | None]]:
    """Gives the images to the container engine; without one they are kept as files."""
    images: list[dict[str, str | None]] = []
    for image in manifest["images"]:
        if wanted and shutil.which("docker"):
            progress(f"loading {image['name']}", 0, 0)
            loaded = subprocess.run(["docker", "load", "--input", str(folder / image["file"])], capture_output=True)
            if loaded.returncode == 0:
                images.append({"name": image["name"], "file": None})
                continue
        _copy(folder / image["file"], into / image["file"])
        images.append({"name": image["name"], "file": str(into / image["file"])})
    return images


def _next_commands(into: Path, manifest: Manifest) -> list[str]:
    command = into / "venv" / "bin" / "trivium"
    if manifest["profile"] in ("stack", "stack-ocr"):
        return [f"{command} up", f"{command} ingest {into / 'examples' / 'corpus'}"]
    if command.exists():
        return [f"{command} --help"]
    return [f"{into / 'venv' / 'bin' / 'python'} -m trivium_{manifest['profile'].partition('-')[0]} --help"]


def size(count: float) -> str:
    """A number of bytes, for people."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _shown() -> Progress:
    """Shows progress in one line on a terminal, and each step in a line elsewhere."""
    shown = ""

    def progress(what: str, done: int, total: int) -> None:
        nonlocal shown
        share = f" {100 * done // total:3d}%" if total else " ..."
        if sys.stderr.isatty():
            print(f"\r\033[K{what}{share}", end="", file=sys.stderr, flush=True)
        elif what != shown:
            print(what, file=sys.stderr, flush=True)
        shown = what

    return progress


def main() -> int:
    """Runs `install.py install|verify SOURCE`."""
    parser = argparse.ArgumentParser(description="Install Trivium from a bundle, without any network.")
    parser.add_argument("command", choices=("install", "verify"), help=argparse.SUPPRESS)
    parser.add_argument("source", type=Path, help=argparse.SUPPRESS)
    parser.add_argument(
        "--into", type=Path, metavar="FOLDER", help="the folder to make; trivium-VERSION here by default"
    )
    parser.add_argument("--no-images", action="store_true", help="keep container images as files")
    options = parser.parse_args()
    try:
        if options.command == "verify":
            name = verify(options.source, _shown())["name"]
            said = [f"{name}: every file is as it was written"]
        else:
            said = install(options.source, options.into, _shown(), images=not options.no_images).lines()
    except (BundleError, KeyboardInterrupt) as error:
        print(f"\nerror: {error or 'interrupted'}", file=sys.stderr)
        return 1 if isinstance(error, BundleError) else 130
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print("\n".join(said))
    return 0


if __name__ == "__main__":
    sys.exit(main())
