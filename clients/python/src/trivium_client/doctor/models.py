"""The models that the environment chooses: whether they are here and whole; keys of those behind APIs."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from trivium_client.doctor.findings import Finding, ok, problem, skipped, warning
from trivium_client.doctor.installation import Installation, package_folder

DEFAULT_ENCODER = "sentence-transformers/all-MiniLM-L6-v2"
_DEFAULT_CROSS_ENCODER = "cross-encoder/ms-marco-MiniLM-L12-v2"
_YES = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """What a service is told to run.

    Attributes:
        service: The service.
        backend: Its backend.
        name: The model; empty if none is chosen.
        api_url: Address of the model API; empty for the provider's own.
        has_key: Whether a key for it is set. The key itself is not kept.
    """

    service: str
    backend: str
    name: str
    api_url: str = ""
    has_key: bool = False

    @property
    def prefix(self) -> str:
        return f"TRIVIUM_{self.service.upper()}_"


def chosen_models(environment: Mapping[str, str]) -> Iterator[ChosenModel]:
    """What the variables of each service say, with the service's own defaults."""
    for service, backend in (("embed", "local"), ("rerank", "late-interaction"), ("generate", "extractive")):
        prefix = f"TRIVIUM_{service.upper()}_"
        backend = environment.get(f"{prefix}BACKEND") or backend
        default = {
            "local": DEFAULT_ENCODER,
            "late-interaction": DEFAULT_ENCODER,
            "cross-encoder": _DEFAULT_CROSS_ENCODER,
        }
        yield ChosenModel(
            service,
            backend,
            environment.get(f"{prefix}MODEL") or default.get(backend, ""),
            environment.get(f"{prefix}API_URL", ""),
            bool(environment.get(f"{prefix}API_KEY", "").strip()),
        )


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a model is.

    Attributes:
        place: Where, in words; empty if nowhere.
        damage: What is wrong with it there.
    """

    place: str
    damage: str = ""


def judge_model(model: ChosenModel, found: Whereabouts | None, *, offline: bool, has_vllm: bool) -> Finding:
    """Whether a service will find its model.

    Args:
        model: What it is told to run.
        found: Where that is on this machine; None if it was not looked for.
        offline: Whether the environment forbids the hub's client to fetch anything.
        has_vllm: Whether vLLM is installed beside this command.
    """
    subject = f"model of {model.service}"
    if model.backend == "extractive":
        return ok(subject, "none: answers are the best sentences of the documents")
    if model.backend in ("openai", "anthropic", "cohere"):
        return _judge_api(subject, model)
    if not model.name:
        return problem(subject, f"the backend {model.backend} has none", f"set {model.prefix}MODEL")
    if found is not None and found.damage:
        return problem(subject, f"{model.name}: {found.damage}", "install or fetch it again")
    if model.backend == "vllm" and not has_vllm:
        return warning(
            subject,
            f"{model.name} is for vLLM, which is not installed beside this command",
            "run generate by a Python that has it: `trivium up --generate-python .venv-vllm/bin/python`",
        )
    if found is not None and found.place:
        return ok(subject, f"{model.name} {found.place}")
    if model.name.startswith(("/", "./", "../", "~")):
        return problem(subject, f"there is no folder {model.name}", f"correct {model.prefix}MODEL")
    if offline:
        return problem(
            subject,
            f"{model.name} is not here, and HF_HUB_OFFLINE forbids fetching it",
            "unset HF_HUB_OFFLINE, bring the model in a bundle (`trivium bundle --model`), or name its folder",
        )
    return warning(
        subject,
        f"{model.name} is not here; the first start fetches it from the hub",
        "make sure that this machine reaches the hub, or bring the model in a bundle (`trivium bundle --model`)",
    )


def _judge_api(subject: str, model: ChosenModel) -> Finding:
    what = f"{model.name or 'the default'} behind the API of {model.api_url or model.backend}"
    if model.service == "generate" and not model.name:
        return problem(subject, f"the backend {model.backend} has none", f"set {model.prefix}MODEL")
    if not model.has_key and not model.api_url:
        return problem(subject, f"{what}: no key is set", f"set {model.prefix}API_KEY")
    return ok(subject, f"{what}; {'a key is set' if model.has_key else 'no key is set'}")


def models(environment: dict[str, str], installed: Installation) -> list[Finding]:
    found = []
    has_vllm = package_folder("vllm") is not None
    offline = environment.get("HF_HUB_OFFLINE", "").upper() in _YES
    for model in chosen_models(environment):
        if model.service not in installed.services:
            found.append(skipped(f"model of {model.service}", "the service is not installed here"))
            continue
        is_local = model.backend not in ("extractive", "openai", "anthropic", "cohere")
        place = locate(model.name, environment) if is_local and model.name else None
        found.append(judge_model(model, place, offline=offline, has_vllm=has_vllm))
    return found


def locate(name: str, environment: Mapping[str, str]) -> Whereabouts:
    """Looks for a model where the services do: a folder, an installed package, the hub's cache."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        if (folder / "config.json").is_file() or (folder / "modules.json").is_file():
            return Whereabouts(f"is in the folder {folder}")
        return Whereabouts("", f"the folder {folder} holds no model: it has neither config.json nor modules.json")
    packaged = _packaged(name)
    if packaged is not None:
        return packaged
    snapshots = hub_cache(environment) / f"models--{name.replace('/', '--')}" / "snapshots"
    for snapshot in snapshots.glob("*"):
        weights = (*snapshot.rglob("*.safetensors"), *snapshot.rglob("pytorch_model*.bin"))
        if (snapshot / "config.json").exists() and any(path.exists() for path in weights):
            return Whereabouts("is in the hub's cache")
    return Whereabouts("")


def hub_cache(environment: Mapping[str, str]) -> Path:
    """Where the hub's client keeps what it fetched."""
    cache = environment.get("HF_HUB_CACHE")
    home = environment.get("HF_HOME") or Path(environment.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(cache or Path(home) / "hub").expanduser()


def _packaged(name: str) -> Whereabouts | None:
    """Where an installed package has a model whose files are known by their digests; None if none has."""
    known = _known_packages()
    if known is None:
        return None
    package = known.PACKAGED.get(known.ALIASES.get(name, name))
    folder = package_folder(package.module) if package is not None else None
    if package is None or folder is None:
        return None
    for file, digest in package.digests.items():
        try:
            with (folder / package.folder / file).open("rb") as opened:
                actual = hashlib.file_digest(opened, "sha256").hexdigest()
        except OSError as error:
            return Whereabouts("", f"{file} of {package.distribution} cannot be read: {error.strerror}")
        if actual != digest:
            return Whereabouts("", f"{file} of {package.distribution} is not the published one")
    return Whereabouts(f"is in {package.distribution}, every file as it was published")


def _known_packages() -> ModuleType | None:
    """The encoders' list of packaged models, loaded without the encoders and all that they import."""
    folder = package_folder("trivium_encoders")
    spec = importlib.util.spec_from_file_location("_trivium_packaged", folder / "packaged.py") if folder else None
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks for its module by name
    spec.loader.exec_module(module)
    return module
