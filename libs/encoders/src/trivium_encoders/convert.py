"""Converts a transformer for OpenVINO; run as a child process, so that the parent never imports torch.

    python -m trivium_encoders.convert --model FOLDER --output-kind hidden|logits --into FOLDER

Writes `model.xml`, `model.bin` and `report.json`. Exit status 3 means that this transformer cannot be converted, or
that the converted one computes something else; `refusal.json` then says why, and nobody tries again. Status 1 is every
other failure, such as want of memory. The check runs real sentences in several shapes through both, and compares token
by token.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from trivium_encoders.children import die_with_parent, refuse
from trivium_encoders.fingerprint import weight_files
from trivium_encoders.privacy import silence_telemetry
from trivium_encoders.weights import lacking_weights

if TYPE_CHECKING:
    import torch

_LEAST_COSINE = 0.9999

_SENTENCES = (
    "A reranker reads query and passage together.",
    "Paris",
    "The budget of a batch is counted in padded tokens, because that is what the processor computes; a batch of texts"
    " of equal length wastes nothing, and one of unequal length wastes whatever the shorter texts are filled up with.",
    "检索增强生成先找到相关的段落，再写出带有引用的答案。",
    "1879: Edison, Swan & 40 hours -- really?",
)
_CHECK_BATCHES = ((0,), (1, 2), (4, 3, 0, 1), (2, 2, 4))


class Refused(Exception):
    """The transformer cannot be converted faithfully."""


def main(arguments: list[str]) -> int:
    """Converts one model; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m trivium_encoders.convert")
    parser.add_argument("--model", type=Path, required=True, help="folder of the transformer")
    parser.add_argument("--output-kind", choices=("hidden", "logits"), required=True, help="what the result computes")
    parser.add_argument("--into", type=Path, required=True, help="folder to write to; must exist")
    options = parser.parse_args(arguments)
    die_with_parent()
    silence_telemetry()
    try:
        report = convert(options.model, options.output_kind, options.into)
    except Refused as refusal:
        return refuse(options.into, str(refusal))
    (options.into / "report.json").write_text(json.dumps(report))
    return 0


def convert(model_folder: Path, output_kind: str, into: Path) -> dict[str, Any]:
    """Converts a transformer and checks the result.

    Returns:
        A report: names of the inputs, and the least cosine to torch for fp32 and bf16.

    Raises:
        Refused: The transformer cannot be converted, or computes something else afterwards.
        SystemExit: It failed for want of memory, or for another reason that may pass.
    """
    _check_weights(model_folder)
    import openvino  # type: ignore[import-untyped]
    import torch

    refusals, failure = [], None
    for attention in ("sdpa", "eager"):
        try:
            module, tokenizer = _load(model_folder, output_kind, attention)
            example = _features(tokenizer, [0, 4])
            graph = _Graph(module, tuple(example), output_kind)
            with torch.no_grad():
                model = openvino.convert_model(graph.module, example_input=example)
        except Refused:
            raise
        except Exception as error:  # transformers, torch and OpenVINO raise what they like
            refusals.append(f"with {attention} attention: {type(error).__name__}: {str(error)[:300]}")
            failure = failure or (None if _is_verdict(error) else error)
            continue
        cosines = {precision: _least_cosine(model, graph, tokenizer, precision) for precision in ("f32", "bf16")}
        if cosines["f32"] < _LEAST_COSINE:
            refusals.append(
                f"with {attention} attention: the result differs from torch's (cosine {cosines['f32']:.4f})"
            )
            continue
        openvino.save_model(model, into / "model.xml", compress_to_fp16=False)
        return {"inputs": list(example), "attention": attention, "least_cosine": cosines}
    if failure is not None:
        raise SystemExit("; ".join(refusals)) from failure
    raise Refused("; ".join(refusals))


def _is_verdict(error: BaseException) -> bool:
    """Whether an error says something of the model, and not of this machine at this moment.

    Want of memory or disk comes as MemoryError, OSError or a bare RuntimeError, often inside another error: the one
    that came first decides.
    """
    from openvino import frontend

    links = [error]
    while (cause := links[-1].__cause__ or links[-1].__context__) and cause not in links:
        links.append(cause)
    if any(isinstance(link, MemoryError | OSError) or "memory" in str(link).lower() for link in links):
        return False
    of_model = (NotImplementedError, ValueError, TypeError, KeyError, AttributeError, IndexError)
    of_graph = (frontend.OpConversionFailure, frontend.NotImplementedFailure, frontend.OpValidationFailure)
    return isinstance(links[-1], (*of_model, *of_graph))


def _check_weights(folder: Path) -> None:
    """Opens the weights before the slow imports, so that damaged ones are named at once."""
    for path in weight_files(folder):
        if path.suffix == ".safetensors":
            try:
                safe_open(path, framework="np")
            except SafetensorError as error:
                raise SystemExit(f"{path} is damaged ({error}); fetch the model again") from error


class _Graph:
    """A transformer as a function of its inputs in order, with one output."""

    def __init__(self, transformer: Any, inputs: tuple[str, ...], output_kind: str) -> None:
        import torch

        attribute = "last_hidden_state" if output_kind == "hidden" else "logits"

        class Module(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.transformer = transformer

            # Tracing matches inputs by name, so they are spelled out.
            def forward(
                self,
                input_ids: "torch.Tensor",
                attention_mask: "torch.Tensor",
                token_type_ids: "torch.Tensor | None" = None,
            ) -> Any:
                types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
                output = self.transformer(input_ids=input_ids, attention_mask=attention_mask, **types)
                return getattr(output, attribute)

        self.inputs = inputs
        self.module = Module().eval()


def _load(folder: Path, output_kind: str, attention: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    kind = AutoModel if output_kind == "hidden" else AutoModelForSequenceClassification
    module, info = kind.from_pretrained(
        str(folder),
        dtype=torch.float32,
        attn_implementation=attention,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    if lacking := lacking_weights(info, with_pooler=output_kind == "logits"):
        raise Refused(f"its files lack the weights {lacking}")
    module.config.use_cache = False
    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    return module.eval(), tokenizer


def _features(tokenizer: Any, sentences: list[int]) -> dict[str, "torch.Tensor"]:
    """The inputs that the model's tokenizer makes of some of the sentences, in the order that the graph takes them."""
    tokenizer.padding_side = "right"
    made = tokenizer([_SENTENCES[index] for index in sentences], padding=True, return_tensors="pt")
    names = ("input_ids", "attention_mask", "token_type_ids")
    return {name: made[name] for name in names if name in made}


def _least_cosine(model: Any, graph: _Graph, tokenizer: Any, precision: str) -> float:
    """The least cosine of any output row to torch's, over the real tokens of several batches."""
    import openvino
    import torch

    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    least = 1.0
    for batch in _CHECK_BATCHES:
        features = _features(tokenizer, list(batch))
        with torch.no_grad():
            expected = graph.module(**features).numpy()
        found = compiled([value.numpy() for value in features.values()])[0]
        if expected.ndim == 3:
            real = features["attention_mask"].numpy().astype(bool)
            least = min(least, _cosines(expected[real], found[real]))
        elif not np.allclose(expected, found, atol=1e-3 if precision == "f32" else 0.3):
            return 0.0
    return float(least)


def _cosines(expected: NDArray[np.float32], found: NDArray[np.float32]) -> float:
    norms = np.linalg.norm(expected, axis=-1) * np.linalg.norm(found, axis=-1)
    return float(np.min((expected * found).sum(-1) / np.maximum(norms, 1e-12)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
