"""What a model is, read from its own files, without the libraries that trained it."""

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium_encoders.catalog import Prompts, missing_prompts
from trivium_encoders.errors import ModelDamaged, ModelUnsupported
from trivium_encoders.resolution import ModelFolder

POOLING_MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
_ACTIVATIONS = {"torch.nn.modules.linear.Identity": "identity", "torch.nn.modules.activation.Tanh": "tanh"}
_SENTENCE_CONFIGS = ("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_xlnet_config.json")
_NO_LIMIT = 1 << 30
_ENTAILMENT = ("entailment", "entails", "entail")
_KNOWN_CODE = ("sentence_transformers.", "pylate.")


class Family(enum.Enum):
    """What a model's output is."""

    TEXT = "text"
    """One vector per text."""
    PAIR = "pair"
    """A score per pair of texts (cross-encoder)."""
    TOKEN = "token"
    """A vector per token, trained for late interaction."""


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """A linear layer after the pooling."""

    folder: Path
    """Where its weights are."""
    activation: str
    """`identity` or `tanh`."""


@dataclass(frozen=True, slots=True)
class ModelDescription:
    """All that is needed to run a model, but its weights."""

    name: str
    """The name that it is known by."""
    folder: Path
    """Its files."""
    family: Family
    """What its output is."""
    transformer_folder: Path
    """Where the transformer's config and weights are."""
    hidden_size: int
    """Numbers per token embedding."""
    max_tokens: int
    """Longest input in tokens."""
    pad_token_id: int
    """Fills the end of shorter texts of a batch."""
    lower_case: bool
    """Whether texts are put in lower case before tokenising."""
    prompts: Prompts
    """What is put before a text, by its role."""
    pooling: tuple[str, ...]
    """How token embeddings become one vector; several modes are concatenated."""
    pools_prompt: bool
    """Whether the prompt's tokens count in the pooling."""
    dense: tuple[DenseLayer, ...]
    """Linear layers after the pooling, in order."""
    normalized: bool
    """Whether vectors are brought to unit length."""
    label_count: int
    """Outputs of a classification head; 0 without one."""
    entailment_label: int | None
    """Which of them says that the second text follows from the first, in a model for natural language inference; None
    in any other."""
    transformer_obstacle: str
    """Why the transformer cannot be run alone; empty when it can."""
    head_obstacle: str
    """Why only the model's own modules can do what follows the transformer; empty when this description is enough."""

    @property
    def module_folders(self) -> tuple[Path, ...]:
        """Folders that have weights: the transformer's first."""
        return (self.transformer_folder, *(layer.folder for layer in self.dense))

    def obstacle_to(self, output: Family) -> str:
        """Why an output takes the model's own modules; empty when the transformer and this description are enough."""
        if output is Family.TOKEN and self.family is Family.TEXT:
            return self.transformer_obstacle
        return self.transformer_obstacle or self.head_obstacle


def describe(model: ModelFolder) -> ModelDescription:
    """Reads a model's description.

    Raises:
        ModelDamaged: A file is missing or is not JSON.
        ModelUnsupported: The model is no encoder that this library knows.
    """
    modules = _modules(model.path)
    transformer = model.path / (modules[0]["path"] if modules and modules[0]["type"] == "Transformer" else "")
    if not (transformer / "config.json").is_file():
        raise ModelUnsupported(
            f"model {model.name} does not begin with a transformer: {transformer} has no config.json"
        )
    foreign = [module["class"] for module in modules if not module["class"].startswith(_KNOWN_CODE)]
    if foreign:
        raise ModelUnsupported(
            f"model {model.name} needs code from its repository ({', '.join(foreign)}), which is never run;"
            " choose another"
        )
    config = _read_json(transformer / "config.json")
    sentence = _first_json(transformer, _SENTENCE_CONFIGS)
    options = _first_json(model.path, ("config_sentence_transformers.json",))
    family = _family(modules, config, options)
    head = _Head.read(model.path, modules, family)
    return ModelDescription(
        name=model.name,
        folder=model.path,
        family=family,
        transformer_folder=transformer,
        hidden_size=_hidden_size(config),
        max_tokens=_max_tokens(transformer, config, sentence),
        pad_token_id=int(config.get("pad_token_id") or 0),
        lower_case=bool(sentence.get("do_lower_case")),
        prompts=_prompts(model.name, options),
        pooling=head.pooling,
        pools_prompt=head.pools_prompt,
        dense=head.dense,
        normalized=head.normalized,
        label_count=_label_count(config) if family is Family.PAIR else 0,
        entailment_label=_entailment_label(config) if family is Family.PAIR else None,
        transformer_obstacle=_transformer_obstacle(config, sentence),
        head_obstacle=head.obstacle,
    )


@dataclass(frozen=True, slots=True)
class _Head:
    """What follows the transformer."""

    pooling: tuple[str, ...]
    pools_prompt: bool
    dense: tuple[DenseLayer, ...]
    normalized: bool
    obstacle: str

    @classmethod
    def read(cls, folder: Path, modules: Sequence[Mapping[str, str]], family: Family) -> "_Head":
        if family is Family.PAIR:
            return cls((), True, (), False, "" if len(modules) < 2 else "it has modules after its classification head")
        if family is Family.TOKEN:
            return cls((), True, (), True, "it has a head of its own for late interaction")
        if not modules:
            return cls(("mean",), True, (), False, "")
        names = [module["type"] for module in modules]
        normalized = names[-1] == "Normalize"
        dense_count = len(names) - 2 - normalized
        if names != ["Transformer", "Pooling", *["Dense"] * dense_count, *["Normalize"] * normalized]:
            return cls((), True, (), normalized, f"its modules are {', '.join(names)}")
        pooling = _read_json(folder / modules[1]["path"] / "config.json")
        modes = _pooling_modes(pooling)
        dense = [_dense(folder / module["path"]) for module in modules[2 : 2 + dense_count]]
        unknown = [mode for mode in modes if mode not in POOLING_MODES]
        obstacle = f"its pooling is {', '.join(unknown)}" if unknown else ""
        if None in dense:
            obstacle = "its linear layers have an unusual activation, input or residual connection"
        layers = tuple(layer for layer in dense if layer)
        return cls(modes, bool(pooling.get("include_prompt", True)), layers, normalized, obstacle)


def _modules(folder: Path) -> list[dict[str, str]]:
    """The entries of modules.json, with the bare class name as `type`; empty when there is no such file."""
    if not (folder / "modules.json").is_file():
        return []
    entries: Any = _read_json(folder / "modules.json")
    return [
        {"path": entry["path"], "type": entry["type"].rpartition(".")[2], "class": entry["type"]} for entry in entries
    ]


def _family(modules: Sequence[Mapping[str, str]], config: Mapping[str, Any], options: Mapping[str, Any]) -> Family:
    names = [module["type"] for module in modules]
    architectures = config.get("architectures") or []
    declared = str(options.get("model_type", ""))
    if declared in ("MultiVectorEncoder", "ColBERT") or "MultiVectorMask" in names or "HF_ColBERT" in architectures:
        return Family.TOKEN
    if declared == "CrossEncoder" or "LogitScore" in names:
        return Family.PAIR
    if not declared and not modules and any(name.endswith("ForSequenceClassification") for name in architectures):
        return Family.PAIR
    return Family.TEXT


def _pooling_modes(config: Mapping[str, Any]) -> tuple[str, ...]:
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return (mode,) if isinstance(mode, str) else tuple(mode)
    older = {"cls_token": "cls", "max_tokens": "max", "mean_tokens": "mean", "weightedmean_tokens": "weightedmean"}
    names = {f"pooling_mode_{key}": mode for key, mode in older.items()}
    names |= {f"pooling_mode_{mode}": mode for mode in ("mean_sqrt_len_tokens", "lasttoken")}
    modes = tuple(mode for mode in POOLING_MODES for key, name in names.items() if name == mode and config.get(key))
    return modes or ("mean",)


def _dense(folder: Path) -> DenseLayer | None:
    """A linear layer, or None for one that is more than a product, a bias and a known activation."""
    config = _read_json(folder / "config.json")
    activation = _ACTIVATIONS.get(config.get("activation_function", "torch.nn.modules.activation.Tanh"))
    source, target = config.get("module_input_name", "sentence_embedding"), config.get("module_output_name")
    plain = source == "sentence_embedding" and target in (None, source) and not config.get("use_residual")
    has_weights = (folder / "model.safetensors").is_file()
    return DenseLayer(folder, activation) if activation and plain and has_weights else None


def _max_tokens(transformer: Path, config: Mapping[str, Any], sentence: Mapping[str, Any]) -> int:
    """As sentence-transformers has it: the sentence config's word is final, else the tokenizer's, cut by positions."""
    if sentence.get("max_seq_length"):
        return int(sentence["max_seq_length"])
    tokenizer = _first_json(transformer, ("tokenizer_config.json",))
    limits = [tokenizer.get("model_max_length"), config.get("max_position_embeddings")]
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return min(known, default=512)


def _prompts(name: str, options: Mapping[str, Any]) -> Prompts:
    shipped: Mapping[str, str] = options.get("prompts") or {}
    default = shipped.get(options.get("default_prompt_name") or "") or ""
    if any(shipped.values()):
        document = next((shipped[key] for key in ("document", "passage", "corpus") if key in shipped), None)
        query = shipped.get("query")
        return Prompts(default if query is None else query, default if document is None else document)
    return missing_prompts(name) or Prompts()


def _label_count(config: Mapping[str, Any]) -> int:
    labels = config.get("id2label")
    return len(labels) if labels else int(config.get("num_labels", 2 if config.get("architectures") else 1))


def _entailment_label(config: Mapping[str, Any]) -> int | None:
    labels: Mapping[str, Any] = config.get("id2label") or {}
    found = (int(number) for number, name in labels.items() if str(name).lower() in _ENTAILMENT)
    return next(found, None) if len(labels) > 1 else None


def _hidden_size(config: Mapping[str, Any]) -> int:
    """Numbers per token embedding; 0 when the config does not say."""
    return int(config.get("hidden_size") or config.get("dim") or config.get("d_model") or 0)


def _transformer_obstacle(config: Mapping[str, Any], sentence: Mapping[str, Any]) -> str:
    task = sentence.get("transformer_task", "feature-extraction")
    if task not in ("feature-extraction", "sequence-classification"):
        return f"its transformer's task is {task}"
    if config.get("is_encoder_decoder"):
        return "its transformer has a decoder"
    return "" if _hidden_size(config) else "its config does not say how wide the transformer is"


def _first_json(folder: Path, names: Sequence[str]) -> dict[str, Any]:
    """The content of the first of some files that exists; empty when none does."""
    return next((_read_json(folder / name) for name in names if (folder / name).is_file()), {})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelDamaged(f"{path} cannot be read as JSON ({error}); fetch the model again") from error
    return content
