"""Collects what an installation needs and writes it as one archive."""

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trivium_client.bundle import install
from trivium_client.bundle.install import BundleError, Progress, size
from trivium_client.bundle.models import find_model
from trivium_client.bundle.wheels import Wheel, needed_glibc, read_wheel

_REPOSITORY_FILES = ("docker-compose.yml", ".env.example", "LICENSE", "CHANGELOG.md", "README.md")
_REPOSITORY_FOLDERS = ("deploy", "docs", "examples")
_VARIABLE = re.compile(r"\$\{(\w++)(?::?-([^{}]*+))?\}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What goes into a bundle.

    Attributes:
        repository: Trivium's folder.
        profile: What is installed: the name of a file in requirements/.
        models: Hub names and folders of further models.
        images: Whether the container images of docker-compose.yml go in.
    """

    repository: Path
    profile: str = "stack"
    models: Sequence[str] = ()
    images: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """An archive that was written.

    Attributes:
        path: The archive.
        sha256: Its own SHA-256.
        bytes_by_part: How much of it is wheels, models, images and the rest.
    """

    path: Path
    sha256: str
    bytes_by_part: Mapping[str, int]


def write(wanted: Wanted, output: Path | None, progress: Progress) -> Written:
    """Writes a bundle for machines like this one: the same system, processor and Python.

    Args:
        wanted: What goes in.
        output: The archive; it appears when it is complete. None for `NAME.tar` in the current folder.
        progress: Told how far it is.

    Raises:
        BundleError: If something is missing, or there is no space.
    """
    root = wanted.repository
    if not (root / "scripts" / "setup").is_file():
        raise BundleError(f"{root.absolute()} is not Trivium's folder; go there, or name it with --source")
    if not (root / "requirements" / f"{wanted.profile}.txt").is_file():
        raise BundleError(f"there is no requirements/{wanted.profile}.txt")
    machine = install.this_machine()
    version = _version(root)
    tag = machine["python"].replace(" ", "").replace(".", "")
    stem = f"trivium-{version}" if wanted.profile == "stack" else f"trivium-{version}-{wanted.profile}"
    name = f"{stem}-{machine['system']}-{machine['machine']}-{tag}"
    output = output or Path(f"{name}.tar")
    models = [model for wish in wanted.models if (model := find_model(wish)) is not None]
    images = _images(root) if wanted.images else []
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as staging:
            folder = Path(staging)
            wheels = _collect_wheels(root, wanted.profile, folder / "wheels", progress)
            files = {f"wheels/{wheel.path.name}": wheel.path for wheel in wheels}
            files |= _repository_files(root)
            for model in models:
                files |= model.files
            saved = _save_images(images, folder, progress)
            files |= {image["file"]: folder / image["file"] for image in saved}
            manifest = {
                "format": install.FORMAT,
                "name": name,
                "version": version,
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "profile": wanted.profile,
                "platform": machine | {"glibc": _glibc(files, machine["glibc"])},
                "packages": [
                    {"name": wheel.name, "version": wheel.version, "licence": wheel.licence} for wheel in wheels
                ],
                "models": [model.described() for model in models],
                "images": saved,
                "files": sorted(name for name in files if not name.startswith(("wheels/", "images/"))),
                "installed_bytes": sum(wheel.installed_bytes for wheel in wheels)
                + sum(path.stat().st_size for name, path in files.items() if not name.startswith("wheels/")),
            }
            texts = _own_members(machine["python"].split()[1]) | {
                install.LOCK: _lock(wheels),
                install.MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode(),
            }
            return _write_archive(output, name, texts, files, progress)
    except OSError as error:
        raise BundleError(f"cannot write {output}: {error.strerror or error}") from None


def _version(root: Path) -> str:
    project = tomllib.loads((root / "clients" / "python" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"]).partition("+")[0]


def _collect_wheels(root: Path, profile: str, folder: Path, progress: Progress) -> list[Wheel]:
    """Has scripts/setup, which alone calls pip, collect all wheels."""
    environment = os.environ | {"PYTHON": sys.executable}
    command = [str(root / "scripts" / "setup"), profile, "--wheels", str(folder.absolute())]
    progress("collecting wheels", 0, 0)
    last: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            last = [*last[-15:], line.rstrip()]
            if collected := re.match(r"\s*(?:Collecting|Processing|Saved|Building wheels? for) (\S+)", line):
                progress(f"collecting wheels: {Path(collected[1]).name}", 0, 0)
    if process.returncode != 0:
        raise BundleError("the wheels could not be collected:\n" + "\n".join(last))
    return sorted(map(read_wheel, folder.glob("*.whl")), key=lambda wheel: wheel.path.name)


def _glibc(names: Collection[str], here: str) -> str:
    """The oldest glibc that the wheels run on. One that was compiled here may need this machine's."""
    return here if any("-linux_" in name for name in names) else needed_glibc(names)


def _lock(wheels: Sequence[Wheel]) -> bytes:
    """Every wheel with its hash, for pip's --require-hashes."""
    lines = []
    for wheel in wheels:
        with open(wheel.path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{wheel.name}=={wheel.version} --hash=sha256:{digest}\n")
    return "".join(lines).encode()


def _repository_files(root: Path) -> dict[str, Path]:
    """Files that a person with an installation wants at hand; what git does not track is left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *_REPOSITORY_FILES, *_REPOSITORY_FOLDERS], cwd=root, capture_output=True
    )
    if listed.returncode == 0 and listed.stdout:
        names = listed.stdout.decode().split("\0")
    else:  # an unpacked release has no .git
        found = [path for folder in _REPOSITORY_FOLDERS for path in (root / folder).rglob("*")]
        names = [*_REPOSITORY_FILES, *(path.relative_to(root).as_posix() for path in found)]
    return {name: root / name for name in names if name and (root / name).is_file()}


def _own_members(python: str) -> dict[str, bytes]:
    source = Path(install.__file__)
    script = source.with_name("install.sh").read_text(encoding="utf-8").replace("@PYTHON@", python)
    return {"install.py": source.read_bytes(), "install.sh": script.encode()}


def _images(root: Path) -> list[str]:
    """The images that docker-compose.yml names, which must all be on this machine."""
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True).returncode != 0:
        raise BundleError("--images needs a Docker engine, and none answers; start one, or leave --images out")

    def value(match: re.Match[str]) -> str:
        return os.environ.get(match[1]) or match[2] or ""

    compose = (root / "docker-compose.yml").read_text(encoding="utf-8")
    names = sorted({_VARIABLE.sub(value, name) for name in re.findall(r"^ +image: (\S+)$", compose, re.MULTILINE)})
    for name in names:
        if subprocess.run(["docker", "image", "inspect", name], capture_output=True).returncode != 0:
            raise BundleError(f"image {name} is not on this machine; build ours with scripts/images, pull others first")
    return names


def _save_images(names: Sequence[str], folder: Path, progress: Progress) -> list[dict[str, str]]:
    saved = []
    for name in names:
        file = "images/" + re.sub(r"[^\w.-]", "_", name) + ".tar"
        (folder / "images").mkdir(exist_ok=True)
        progress(f"saving image {name}", 0, 0)
        outcome = subprocess.run(
            ["docker", "save", "--output", str(folder / file), name], capture_output=True, text=True
        )
        if outcome.returncode != 0:
            raise BundleError(f"image {name} could not be saved: {outcome.stderr.strip()}")
        saved.append({"name": name, "file": file})
    return saved


def _write_archive(
    output: Path, name: str, texts: Mapping[str, bytes], files: Mapping[str, Path], progress: Progress
) -> Written:
    """Writes the archive beside its place and moves it there when it is complete."""
    total = sum(path.stat().st_size for path in files.values())
    free = shutil.disk_usage(output.parent).free
    if free < total:
        raise BundleError(f"{output.parent.absolute()} has {size(free)} free, and the bundle needs {size(total)}")
    sums = {inner: hashlib.sha256(data).hexdigest() for inner, data in texts.items()}
    done = 0
    for inner, path in files.items():
        with open(path, "rb") as file:
            sums[inner] = hashlib.file_digest(file, "sha256").hexdigest()
        done += path.stat().st_size
        progress("adding up", done, total)
    listing = "".join(f"{digest}  {inner}\n" for inner, digest in sorted(sums.items())).encode()
    partial = output.with_name(f"{output.name}.partial")
    try:
        with tarfile.open(partial, "w:", format=tarfile.PAX_FORMAT) as archive:
            for inner, data in {install.SUMS: listing, **texts}.items():
                archive.addfile(_member(f"{name}/{inner}", len(data)), io.BytesIO(data))
            done = 0
            for inner, path in files.items():
                with open(path, "rb") as file:
                    archive.addfile(_member(f"{name}/{inner}", path.stat().st_size), file)
                done += path.stat().st_size
                progress("writing", done, total)
        with open(partial, "rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
            os.fsync(written.fileno())
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)
    parts: dict[str, int] = {}
    for inner, path in files.items():
        part = inner.partition("/")[0] if inner.startswith(("wheels/", "models/", "images/")) else "files"
        parts[part] = parts.get(part, 0) + path.stat().st_size
    return Written(output, digest, parts)


def _member(name: str, length: int) -> tarfile.TarInfo:
    """A plain file that belongs to nobody in particular."""
    member = tarfile.TarInfo(name)
    member.size = length
    member.mode = 0o755 if name.endswith("/install.sh") else 0o644
    member.mtime = int(time.time())
    return member
