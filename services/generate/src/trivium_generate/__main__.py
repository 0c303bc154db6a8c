"""Runs the answer writing service: `python -m trivium_generate`."""

from __future__ import annotations

import sys

from trivium_model_service.app import run
from trivium_serving.starting import prepare_process, refuse_to_start
from trivium_serving.tls import TlsError

from trivium_generate.app import App
from trivium_generate.settings import GenerateSettings


def main() -> None:
    """Runs the service until SIGTERM or SIGINT."""
    settings = prepare_process(
        GenerateSettings,
        service="generate",
        description="Writes cited answers to questions from numbered passages.",
    )
    try:
        status = run(lambda: App(settings), settings)
    except (ValueError, TlsError) as error:
        refuse_to_start("generate", error)
    sys.exit(status)


if __name__ == "__main__":
    main()
