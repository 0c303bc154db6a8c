"""Converts models before any service starts, as the images of embed and rerank do when they are built.

    python -m trivium_encoders.prepare --into FOLDER [--model NAME]...

A service whose `TRIVIUM_PREPARED_DIR` is that folder finds them there.
"""

import argparse
import sys
from pathlib import Path

from trivium_encoders.conversion import converted, output_kind
from trivium_encoders.description import describe
from trivium_encoders.errors import EncoderError
from trivium_encoders.options import DEFAULT_MODEL
from trivium_encoders.resolution import resolve


def main(arguments: list[str]) -> int:
    """Converts each model that is named; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m trivium_encoders.prepare")
    parser.add_argument("--into", type=Path, required=True, help="folder to keep the converted models in")
    parser.add_argument("--model", action="append", help=f"a folder or a name; {DEFAULT_MODEL} if none is given")
    options = parser.parse_args(arguments)
    for name in options.model or [DEFAULT_MODEL]:
        try:
            model = describe(resolve(name))
            converted(model, output_kind(model), options.into)
        except EncoderError as error:
            print(f"prepare: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
