"""Judges a converted cross-encoder in bf16 by pairs and their order; run as a child process, for its memory.

    python -m trivium_encoders.judge_bf16 --model FOLDER --name NAME --graph FILE --inputs NAME,NAME --max-tokens N
        --into FOLDER

Writes `report.json` with what was measured. Exit status 3 means that bf16 ranks otherwise than fp32, or scores too far
from it; `refusal.json` then says in what.
"""

import argparse
import json
import sys
from pathlib import Path

from trivium_encoders.children import die_with_parent, refuse
from trivium_encoders.conversion import ConvertedModel
from trivium_encoders.description import Family, describe
from trivium_encoders.errors import EncoderError
from trivium_encoders.judgement import JudgedModel
from trivium_encoders.quality import violations
from trivium_encoders.quality_texts import OWN_TEXTS, read_quality_texts
from trivium_encoders.resolution import ModelFolder
from trivium_encoders.runtimes.openvino import OpenVinoRuntime


def main(arguments: list[str]) -> int:
    """Judges one model; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m trivium_encoders.judge_bf16")
    parser.add_argument("--model", type=Path, required=True, help="folder of the model")
    parser.add_argument("--name", required=True, help="name that the model is known by")
    parser.add_argument("--graph", type=Path, required=True, help="the converted transformer")
    parser.add_argument("--inputs", required=True, help="names of its inputs, with commas between")
    parser.add_argument("--max-tokens", type=int, required=True, help="longest input in tokens")
    parser.add_argument("--into", type=Path, required=True, help="folder to write to; must exist")
    options = parser.parse_args(arguments)
    die_with_parent()
    try:
        model = describe(ModelFolder(options.name, options.model))
        judged = JudgedModel(model, Family.PAIR, options.max_tokens)
        graph = ConvertedModel(options.graph, tuple(options.inputs.split(",")), 1.0)
        original, candidate = (
            OpenVinoRuntime(graph, judged.head, precision=precision, pad_token_id=model.pad_token_id, session_count=1)
            for precision in ("fp32", "bf16")
        )
        numbers, limits = judged.compare(original, candidate, read_quality_texts(OWN_TEXTS)[1])
    except EncoderError as error:
        raise SystemExit(str(error)) from error
    found = violations(numbers, limits)
    (options.into / "report.json").write_text(json.dumps({"numbers": numbers, "violations": found}, indent=2))
    return refuse(options.into, "; ".join(found)) if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
