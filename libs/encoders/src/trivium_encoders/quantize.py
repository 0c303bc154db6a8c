"""Quantises a converted transformer to int8 and judges the result; run as a child process, because NNCF imports torch.

    python -m trivium_encoders.quantize --model FOLDER --name NAME --output text|pair|token --graph FILE
        --inputs NAME,NAME --texts FILE --max-tokens N --unquantized bf16|fp32 --into FOLDER

The first recipe that passes is taken: all products in int8, then without the layers that lose most by it, the second
ones of the feed-forward blocks, whose inputs have outliers. Writes `model.xml`, `model.bin` and `report.json`. Exit
status 3 means that no recipe comes close enough to the original: `refusal.json` then says in what, and `report.json`
has the numbers, but there is no model. What is judged is what would be served: the same tokenizer, runtime and pooling,
on texts that the calibration has not seen.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trivium_encoders.children import die_with_parent, refuse
from trivium_encoders.conversion import ConvertedModel
from trivium_encoders.description import Family, ModelDescription, describe
from trivium_encoders.errors import EncoderError
from trivium_encoders.judgement import JudgedModel
from trivium_encoders.privacy import silence_telemetry
from trivium_encoders.quality import violations
from trivium_encoders.quality_texts import read_quality_texts, texts_digest
from trivium_encoders.resolution import ModelFolder
from trivium_encoders.runtimes.base import padded_inputs
from trivium_encoders.runtimes.openvino import OpenVinoRuntime

_SMOOTHING = 0.8  # of NNCF's SmoothQuant; .95, its default, and .5 gave lower least cosines (.946, .962, against .969)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be quantised."""

    model: ModelDescription
    output: Family
    graph: ConvertedModel
    texts: Path
    max_tokens: int
    unquantized: str


def main(arguments: list[str]) -> int:
    """Quantises one model; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m trivium_encoders.quantize")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--name", required=True, help="name that the model is known by")
    parser.add_argument("--output", choices=[family.value for family in Family], required=True, help="what is served")
    parser.add_argument("--graph", type=Path, required=True, help="the converted transformer")
    parser.add_argument("--inputs", required=True, help="names of its inputs, with commas between")
    parser.add_argument("--texts", type=Path, required=True, help="texts to calibrate and judge with")
    parser.add_argument("--max-tokens", type=int, required=True, help="longest input in tokens")
    parser.add_argument("--unquantized", choices=("bf16", "fp32"), required=True, help="numbers of what stays as it is")
    parser.add_argument("--into", type=Path, required=True, help="folder to write to; must exist")
    options = parser.parse_args(arguments)
    die_with_parent()
    silence_telemetry()
    try:
        job = Job(
            model=describe(ModelFolder(options.name, options.model)),
            output=Family(options.output),
            graph=ConvertedModel(options.graph, tuple(options.inputs.split(",")), 1.0),
            texts=options.texts,
            max_tokens=options.max_tokens,
            unquantized=options.unquantized,
        )
        report = quantize(job, options.into)
    except EncoderError as error:
        raise SystemExit(str(error)) from error
    (options.into / "report.json").write_text(json.dumps(report, indent=2))
    if report["violations"]:
        for name in ("model.xml", "model.bin"):
            (options.into / name).unlink()
        return refuse(options.into, "; ".join(report["violations"]))
    return 0


def quantize(job: Job, into: Path) -> dict[str, Any]:
    """Quantises a transformer into a folder and compares it with the original.

    Returns:
        A report: versions, texts, the measured numbers, their limits, and which of them are crossed.
    """
    calibration, judgement = read_quality_texts(job.texts)
    judged = JudgedModel(job.model, job.output, job.max_tokens)
    samples = judged.calibration(calibration)
    feeds = [[padded_inputs([item], job.model.pad_token_id)[name] for name in job.graph.inputs] for item in samples]
    candidate = ConvertedModel(into / "model.xml", job.graph.inputs, job.graph.bf16_cosine)
    attempts: list[dict[str, Any]] = []
    for recipe in ("all", "without contractions"):
        _write_quantized(job, feeds, candidate.graph, keeps_contractions=recipe != "all")
        numbers, limits = judged.compare(
            _runtime(job, judged, job.graph, "fp32"), _runtime(job, judged, candidate, "int8"), judgement
        )
        attempts.append({"recipe": recipe, "numbers": numbers, "violations": violations(numbers, limits)})
        if not attempts[-1]["violations"]:
            break
    return {
        "model": job.model.name,
        "versions": {name: version(name) for name in ("nncf", "openvino")},
        "texts": {
            "file": job.texts.name,
            "sha256": texts_digest(job.texts),
            "calibration_inputs": len(feeds),
            "judged_queries": len(judgement.queries),
            "judged_passages": len(judgement.passages),
        },
        "unquantized": job.unquantized,
        "attempts": attempts,
        "limits": {
            name: {"least": limit.least} if limit.most is None else {"most": limit.most}
            for name, limit in limits.items()
        },
        "violations": attempts[-1]["violations"],
    }


def _runtime(job: Job, judged: JudgedModel, graph: ConvertedModel, precision: str) -> OpenVinoRuntime:
    return OpenVinoRuntime(
        graph,
        judged.head,
        precision=precision,
        pad_token_id=job.model.pad_token_id,
        session_count=1,
        unquantized=job.unquantized if precision == "int8" else "fp32",
    )


def _write_quantized(job: Job, feeds: list[Any], to: Path, *, keeps_contractions: bool) -> None:
    """Quantises the transformer and saves it.

    Args:
        job: The transformer.
        feeds: Its inputs, for the calibration.
        to: The `model.xml` to write.
        keeps_contractions: Leave layers that are wider at their input than at their output in floating point.
    """
    import nncf  # type: ignore[import-not-found,import-untyped,unused-ignore]
    import openvino  # type: ignore[import-untyped]

    graph = openvino.Core().read_model(job.graph.graph)
    kept = _contractions(graph) if keeps_contractions else []
    alphas = nncf.AdvancedSmoothQuantParameters(matmul=_SMOOTHING)
    quantized = nncf.quantize(
        graph,
        nncf.Dataset(feeds),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(feeds),
        ignored_scope=nncf.IgnoredScope(names=kept),
        advanced_parameters=nncf.AdvancedQuantizationParameters(smooth_quant_alphas=alphas),
    )
    openvino.save_model(quantized, to, compress_to_fp16=False)


def _contractions(graph: Any) -> list[str]:
    """Names of the products with constant weights that have fewer outputs than inputs."""
    names = []
    for operation in graph.get_ops():
        if operation.get_type_name() == "MatMul" and operation.input_value(1).get_node().get_type_name() == "Constant":
            shape = operation.input_value(1).get_partial_shape().to_shape()
            outputs, inputs = shape if operation.get_attributes()["transpose_b"] else reversed(shape)
            if outputs < inputs:
                names.append(operation.get_friendly_name())
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
