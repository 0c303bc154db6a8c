"""torch: on GPUs, as the reference on CPUs, and for models that only their own modules can run.

No GPU was at hand: what is particular to one was tested on a CPU as far as that goes. Pooling and what follows run on
the device, whichever it is.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.catalog import Prompts
from trivium_encoders.description import Family, ModelDescription
from trivium_encoders.errors import ModelUnsupported
from trivium_encoders.options import Role
from trivium_encoders.pooling import Head, TextHead
from trivium_encoders.runtimes.base import Item, ItemResult, padded_inputs, pooled, rows, skipped, unpadded, with_codes
from trivium_encoders.sparse_vectors import SparseVector
from trivium_encoders.weights import lacking_weights

_log = logging.getLogger(__name__)

_NOTHING = np.empty((0, 0), np.float32)


class TorchRuntime:
    """A transformer in torch, followed by the same head as elsewhere.

    Args:
        model: The model.
        head: What follows the transformer.
        precision: `bf16`, `fp16` or `fp32`.
        device: `cpu` or `cuda`.
        session_count: Sessions that will run at once on a CPU; a GPU has one, and so one stream.
        packed: Compute texts without padding where the architecture allows it; None for on a GPU. A classification
            head reads the first token of a row, so cross-encoders are never packed.
    """

    name = "torch"

    def __init__(
        self,
        model: ModelDescription,
        head: Head,
        *,
        precision: str,
        device: str,
        session_count: int,
        packed: bool | None = None,
    ) -> None:
        import torch
        from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

        kind = AutoModelForSequenceClassification if model.family is Family.PAIR else AutoModel
        self.precision = precision
        self.dimension = head.dimension
        self.budget_factor = gpu_budget_factor(device)
        self.session_limit = session_count if device == "cpu" else 1
        folder = str(model.transformer_folder)
        dtype = _number_type(precision)
        options: dict[str, Any] = {"dtype": dtype, "local_files_only": True, "output_loading_info": True}
        try:
            module, info = kind.from_pretrained(folder, attn_implementation="sdpa", **options)
        except ValueError:  # not every architecture has it
            module, info = kind.from_pretrained(folder, attn_implementation="eager", **options)
        if lacking := lacking_weights(info, with_pooler=model.family is Family.PAIR):
            raise ModelUnsupported(
                f"the files of model {model.name} lack the weights {lacking}: it is damaged, or needs code from its"
                " repository, which is never run; choose another"
            )
        self._module: Any = module.eval().to(device)
        self._module.config.use_cache = False
        names = AutoTokenizer.from_pretrained(folder, local_files_only=True).model_input_names
        self._inputs = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in names]
        self._head = head
        self._pooling: Any = None
        if isinstance(head, TextHead):
            from trivium_encoders.runtimes.device_pooling import DevicePooling

            self._pooling = DevicePooling(head, device)
        self._device = device
        self._pad_token_id = model.pad_token_id
        self._attribute = "logits" if model.family is Family.PAIR else "last_hidden_state"
        self.packed = False
        # Without padding all tokens attend to each other.
        expansion = model.late.expansion if model.late else None
        may_pack = model.family is not Family.PAIR and (expansion is None or expansion.attended)
        if may_pack and (device == "cuda" if packed is None else packed):
            from trivium_encoders.runtimes.packing import packs_faithfully

            self.packed = packs_faithfully(self._module, device)
            if not self.packed:
                _log.warning("model %s cannot be computed without padding; its batches are padded", model.name)
        if device == "cpu":
            torch.set_num_threads(1)  # one session per core, as elsewhere

    def open_session(self) -> "TorchRuntime":
        """The runtime itself: inference does not change the module."""
        return self

    def run(self, items: Sequence[Item]) -> list[ItemResult]:
        """Computes a batch."""
        import torch

        from trivium_encoders.runtimes.packing import on_device, packed_output

        lengths = [item.length for item in items]
        with torch.inference_mode():
            if self.packed:
                tokens = torch.cat(packed_output(self._module, [item.tokens.ids for item in items], self._device))
            else:
                arrays = padded_inputs(items, self._pad_token_id)
                feed = {name: on_device(arrays[name], self._device) for name in self._inputs}
                padded = getattr(self._module(**feed), self._attribute)
                if self._pooling is None:
                    outputs = unpadded(padded.float().cpu().numpy(), items)
                    return pooled(self._head, outputs, items)
                tokens = torch.cat([row[:length] for row, length in zip(padded, lengths, strict=True)])
            if self._pooling is None:
                return pooled(self._head, _apart(tokens, lengths), items)
            values = self._pooled(tokens, items)
            # Without codes and weights the tokens' own vectors stay on the device.
            outputs = (
                _apart(tokens, lengths)
                if any(item.coding or item.lexical for item in items)
                else [_NOTHING] * len(items)
            )
        return with_codes(values, outputs, items)

    def _pooled(self, tokens: Any, items: Sequence[Item]) -> list[Any]:
        """One vector for each text or part, of the items' token vectors end to end."""
        from trivium_encoders.runtimes.packing import on_device

        lengths = [item.length for item in items]
        if any(item.parts is not None for item in items):
            places, lengths = rows(items)
            tokens = tokens[on_device(places, self._device)]
        return list(self._pooling(tokens, lengths, skipped(items)))


def _apart(tokens: Any, lengths: Sequence[int]) -> list[NDArray[np.float32]]:
    return np.split(tokens.float().cpu().numpy(), np.cumsum(lengths)[:-1])


class ModulesRuntime:
    """A model run whole by sentence-transformers, with its own modules and tokenizer.

    It has one session, with a thread per core: the tokenizer inside keeps the length of the batch in itself, so two
    threads must not use it at once.

    Args:
        model: The model.
        precision: `bf16`, `fp16` or `fp32`.
        device: `cpu` or `cuda`.
        max_tokens: Longest input in tokens.
        thread_count: Threads of torch on a CPU.
    """

    name = "torch"
    session_limit = 1

    def __init__(
        self, model: ModelDescription, *, precision: str, device: str, max_tokens: int, thread_count: int
    ) -> None:
        import sentence_transformers
        import torch

        kinds = {
            Family.TEXT: sentence_transformers.SentenceTransformer,
            Family.PAIR: sentence_transformers.CrossEncoder,
            Family.TOKEN: sentence_transformers.MultiVectorEncoder,
            Family.SPARSE: sentence_transformers.SparseEncoder,
        }
        self._torch = torch
        self.precision = precision
        self.budget_factor = gpu_budget_factor(device)
        dtype = _number_type(precision)
        self.model: Any = kinds[model.family](
            str(model.folder), device=device, local_files_only=True, model_kwargs={"dtype": dtype}
        )
        self.model.max_seq_length = max_tokens
        # SPLADE's pooling knows its width only once it has run.
        self.dimension = 1 if model.family is Family.PAIR else int(self.model.get_embedding_dimension() or 0)
        markers = model.late.markers if model.late else Prompts()
        self._prompts = Prompts(markers.query + model.prompts.query, markers.document + model.prompts.document)
        self._run: Callable[[Sequence[Item]], list[ItemResult]] = {
            Family.TEXT: self._texts,
            Family.PAIR: self._pairs,
            Family.TOKEN: self._token_matrices,
            Family.SPARSE: self._sparse,
        }[model.family]
        if device == "cpu":
            torch.set_num_threads(thread_count)

    def open_session(self) -> "ModulesRuntime":
        """The runtime itself: inference does not change the modules."""
        return self

    def run(self, items: Sequence[Item]) -> list[ItemResult]:
        """Computes a batch."""
        return self._run(items)

    def _texts(self, items: Sequence[Item]) -> list[ItemResult]:
        return _results(self._by_role(items))

    def _sparse(self, items: Sequence[Item]) -> list[ItemResult]:
        none = np.empty(0, np.float32)
        rows = [row.coalesce() for row in self._by_role(items, convert_to_sparse_tensor=True)]
        return [
            ItemResult(none, sparse=SparseVector(row.indices()[0].numpy().astype(np.uint32), row.values().numpy()))
            for row in (row.float().cpu() for row in rows)
        ]

    def _token_matrices(self, items: Sequence[Item]) -> list[ItemResult]:
        """Per text the ids of the tokens that the model's own mask keeps, as a first column, beside their vectors."""
        matrices = []
        for features in self._by_role(items, output_value=None):
            kept = features["attention_mask"].bool()
            ids = features["input_ids"][kept].float().unsqueeze(1)
            vectors = features["token_embeddings"][kept].float()
            matrices.append(self._torch.cat([ids, self._torch.nn.functional.normalize(vectors, dim=-1)], dim=1).cpu())
        return _results(matrices)

    def _by_role(self, items: Sequence[Item], **options: Any) -> list[Any]:
        results: list[Any] = [None] * len(items)
        for role, encode, prompt in (
            (Role.QUERY, self.model.encode_query, self._prompts.query),
            (Role.DOCUMENT, self.model.encode_document, self._prompts.document),
        ):
            chosen = [index for index, item in enumerate(items) if item.source.role is role]
            texts = [items[index].source.text for index in chosen]
            if texts:
                rows = encode(texts, prompt=prompt, batch_size=len(texts), show_progress_bar=False, **options)
                for index, row in zip(chosen, rows, strict=True):
                    results[index] = row
        return results

    def _pairs(self, items: Sequence[Item]) -> list[ItemResult]:
        pairs = [(item.source.query, item.source.text) for item in items]
        scores = self.model.predict(
            pairs, batch_size=len(pairs), show_progress_bar=False, activation_fn=self._torch.nn.Sigmoid()
        )
        return _results(score.reshape(1) for score in scores)


def _results(rows: Iterable[Any]) -> list[ItemResult]:
    return [ItemResult(np.asarray(row, dtype=np.float32)) for row in rows]


def best_precision(device: str) -> str:
    """The smallest numbers that a device multiplies natively: an emulated bf16 is slower than fp32."""
    import torch

    if device != "cuda":
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"


def _number_type(precision: str) -> Any:
    import torch

    return {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]


def gpu_budget_factor(device: str) -> int:
    """How many times a CPU core's token budget one batch should have: a GPU needs far more to be busy."""
    return 32 if device == "cuda" else 1
