"""What a model is, read from its own files, without the libraries that trained it."""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium_encoders.catalog import Prompts, missing_prompts
from trivium_encoders.errors import ModelUnsupported
from trivium_encoders.head_files import DenseLayer, HeadFiles, pair_head, text_head, token_head
from trivium_encoders.late_interaction import LateInteraction, read_late_interaction
from trivium_encoders.model_files import first_json, read_json, read_modules
from trivium_encoders.resolution import ModelFolder
from trivium_encoders.sparse_layout import SparseLayout, read_sparse_layout

SENTENCE_CONFIGS = ("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_xlnet_config.json")
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
    SPARSE = "sparse"
    """A weight per token of the vocabulary (learned sparse)."""


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
    """Linear layers after the pooling, or of each token in a model trained for late interaction, in order."""
    normalized: bool
    """Whether vectors are brought to unit length."""
    label_count: int
    """Outputs of a classification head; 0 without one."""
    late: LateInteraction | None
    """How a model that was trained for late interaction reads; None for any other."""
    sparse: SparseLayout | None
    """Where the parts of a learned sparse model are; None for any other."""
    lexical_linear: Path | None
    """The layer of an embedding model that also weighs tokens, as BGE-M3 does; None without one."""
    token_linear: Path | None
    """The layer of an embedding model that also has token vectors of its own, as BGE-M3 does; None without one."""
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
    modules = read_modules(model.path)
    options = first_json(model.path, ("config_sentence_transformers.json",))
    sparse = read_sparse_layout(model.path, modules, str(options.get("model_type", "")))
    transformer = model.path / (modules[0]["path"] if modules and modules[0]["type"] == "Transformer" else "")
    if sparse:
        transformer = sparse.transformer
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
    config = read_json(transformer / "config.json")
    if not modules and (own_code := _own_code(config)):
        raise ModelUnsupported(
            f"model {model.name} needs code from its repository ({own_code}), which is never run; choose another"
        )
    sentence = first_json(transformer, SENTENCE_CONFIGS)
    family = Family.SPARSE if sparse else _family(modules, config, options)
    own = _max_tokens(transformer, config, sentence)
    late = read_late_interaction(model, modules, options, sentence, own) if family is Family.TOKEN else None
    head = _head(model.path, modules, family)
    return ModelDescription(
        name=model.name,
        folder=model.path,
        family=family,
        transformer_folder=transformer,
        hidden_size=_hidden_size(config),
        max_tokens=late.document_tokens if late else own,
        pad_token_id=int(config.get("pad_token_id") or 0),
        lower_case=bool(sentence.get("do_lower_case")),
        prompts=_prompts(model.name, options, late),
        pooling=head.pooling,
        pools_prompt=head.pools_prompt,
        dense=head.dense,
        normalized=head.normalized,
        label_count=_label_count(config) if family is Family.PAIR else 0,
        late=late,
        sparse=sparse,
        lexical_linear=_beside(transformer, "sparse_linear.pt", family),
        token_linear=_beside(transformer, "colbert_linear.pt", family),
        entailment_label=_entailment_label(config) if family is Family.PAIR else None,
        transformer_obstacle=_transformer_obstacle(config, sentence),
        head_obstacle=head.obstacle or (late.obstacle if late else ""),
    )


def _beside(transformer: Path, name: str, family: Family) -> Path | None:
    """A layer of an embedding model in a file beside its transformer; None without one."""
    path = transformer / name
    return path if family is Family.TEXT and path.is_file() else None


def _own_code(config: Mapping[str, Any]) -> str:
    """The class of a bare transformer that is in its repository alone; empty if a library has it.

    Without that class its files may still load as a known transformer, which computes something else.
    """
    paths: Mapping[str, Any] = config.get("auto_map") or {}
    own = [str(path) for name, path in paths.items() if name.startswith("AutoModel")]
    return next((path for path in own if path.rpartition(".")[2] in (config.get("architectures") or [])), "")


def _head(folder: Path, modules: Sequence[Mapping[str, str]], family: Family) -> HeadFiles:
    if family is Family.PAIR:
        return pair_head(modules)
    if family is Family.SPARSE:
        return HeadFiles(obstacle="its head weighs every word of its vocabulary")
    return token_head(folder, modules) if family is Family.TOKEN else text_head(folder, modules)


def _family(modules: Sequence[Mapping[str, str]], config: Mapping[str, Any], options: Mapping[str, Any]) -> Family:
    names = [module["type"] for module in modules]
    architectures = config.get("architectures") or []
    declared = str(options.get("model_type", ""))
    by_pylate = any(module["class"].startswith("pylate.") for module in modules)
    if declared in ("MultiVectorEncoder", "ColBERT") or by_pylate or "MultiVectorMask" in names:
        return Family.TOKEN
    if "HF_ColBERT" in architectures:
        return Family.TOKEN
    if declared == "CrossEncoder" or "LogitScore" in names:
        return Family.PAIR
    if not declared and not modules and any(name.endswith("ForSequenceClassification") for name in architectures):
        return Family.PAIR
    return Family.TEXT


def _max_tokens(transformer: Path, config: Mapping[str, Any], sentence: Mapping[str, Any]) -> int:
    """As sentence-transformers has it: the sentence config's word is final, else the tokenizer's, cut by positions."""
    if sentence.get("max_seq_length"):
        return int(sentence["max_seq_length"])
    tokenizer = first_json(transformer, ("tokenizer_config.json",))
    limits = [tokenizer.get("model_max_length"), config.get("max_position_embeddings")]
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < _NO_LIMIT]
    return min(known, default=512)


def _prompts(name: str, options: Mapping[str, Any], late: LateInteraction | None) -> Prompts:
    shipped: Mapping[str, str] = options.get("prompts") or {}
    default = shipped.get(options.get("default_prompt_name") or "") or ""
    if not any(shipped.values()):
        return Prompts() if late else missing_prompts(name) or Prompts()
    document = next((shipped[key] for key in ("document", "passage", "corpus") if key in shipped), None)
    query = shipped.get("query")
    prompts = Prompts(default if query is None else query, default if document is None else document)
    if late:  # a marker that the prompt begins with is put there once
        return Prompts(
            prompts.query.removeprefix(late.markers.query), prompts.document.removeprefix(late.markers.document)
        )
    return prompts


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
