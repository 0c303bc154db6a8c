"""Model names to folders: a local path, an installed package, the hub's cache, the hub."""

import importlib.util
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from trivium_encoders.digests import verify_files
from trivium_encoders.errors import ModelNotFound
from trivium_encoders.packaged import ALIASES, PACKAGED, PackagedModel

_log = logging.getLogger(__name__)

_FORMATS_NEVER_READ = ["onnx/*", "openvino/*", "*.onnx", "*.h5", "*.msgpack", "*.ot", "*.gguf", "*.mlmodel", "coreml/*"]


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model's files on this machine."""

    name: str
    """The name that the model is known by."""
    path: Path
    """The folder."""


def resolve(name: str) -> ModelFolder:
    """Finds a model's folder; the first place that has it wins.

    Args:
        name: A folder's path, or a name such as `sentence-transformers/all-MiniLM-L6-v2`. A name may end in
            `@REVISION`, a commit, tag or branch of the hub, which no package serves.

    Raises:
        ModelNotFound: No place has it; says where it was looked for, and what to do.
        ModelDamaged: An installed package has it, with files that are not the published ones.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _local(name, folder)
    if name.startswith(("/", "./", "../", "~")):
        raise ModelNotFound(f"there is no model folder {name}; give a folder that has a config.json, or a hub name")
    base, at, revision = name.partition("@")
    base = ALIASES.get(base, base)
    name = base + at + revision
    if at and not revision:
        raise ModelNotFound(f"{name!r} ends in @ and names no revision; put a commit, tag or branch after it")
    if packaged := PACKAGED.get(name):
        path = _installed(packaged)
        if path:
            return ModelFolder(name, path)
    return ModelFolder(name, _from_hub(base, revision or None))


def _local(name: str, folder: Path) -> ModelFolder:
    if not (folder / "config.json").is_file() and not (folder / "modules.json").is_file():
        raise ModelNotFound(f"the folder {name} holds no model: it has neither config.json nor modules.json")
    return ModelFolder(name, folder.resolve())


def _installed(packaged: PackagedModel) -> Path | None:
    """The packaged model's folder, every file checked; None when the package is not installed."""
    spec = importlib.util.find_spec(packaged.module)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / packaged.folder
    verify_files(folder, packaged.digests, f"install {packaged.distribution} again")
    return folder


def _from_hub(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        cached = Path(snapshot_download(name, revision=revision, local_files_only=True))
    except HFValidationError as error:
        raise ModelNotFound(f"{name!r} is neither a folder nor a hub name: {error}") from error
    except LocalEntryNotFoundError:
        cached = None
    if cached and _complete(cached):
        return cached
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise ModelNotFound(
            f"model {_named(name, revision)} is in no installed package and not in the hub's cache, and HF_HUB_OFFLINE"
            " forbids fetching it; unset HF_HUB_OFFLINE, or give the path of a folder that has the model"
        )
    return _download(name, revision)


def _complete(folder: Path) -> bool:
    """Whether a snapshot has weights; an interrupted download leaves one without."""
    weights = (*folder.rglob("*.safetensors"), *folder.rglob("pytorch_model*.bin"))
    return (folder / "config.json").exists() and any(path.exists() for path in weights)


def _named(name: str, revision: str | None) -> str:
    return f"{name}@{revision}" if revision else name


def _download(name: str, revision: str | None) -> Path:
    from huggingface_hub import HfApi, snapshot_download

    _log.info("fetching model %s from the hub", _named(name, revision))
    try:
        # Unlike the calls that list files page by page, this one does not try again and again without a network.
        files = [file.rfilename for file in HfApi().model_info(name, revision=revision).siblings or ()]
        never = list(_FORMATS_NEVER_READ)
        if any(file.endswith(".safetensors") for file in files):
            never.append("pytorch_model*.bin")
        return Path(snapshot_download(name, revision=revision, ignore_patterns=never))
    except Exception as error:  # the hub's client raises what the transport of its version raises
        cause = next(iter(str(error).splitlines()), "no detail")
        raise ModelNotFound(
            f"model {_named(name, revision)} is in no installed package and not in the hub's cache, and the hub did not"
            f" give it ({type(error).__name__}: {cause}); check the name and"
            " the network (HF_ENDPOINT, HF_TOKEN), or give the path of a folder that has the model"
        ) from error
