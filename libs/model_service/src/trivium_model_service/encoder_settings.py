"""The settings that every service around an encoder has."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivium_encoders import EncoderOptions
from trivium_encoders.options import Precision, Runtime
from trivium_serving.addresses import AddressKind
from trivium_serving.settings import setting


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """Flag, environment variable and documentation of each; a service gives defaults to those that have none here."""

    listen: str
    metrics_port: int
    backend: str
    model: str
    budget_tokens: int
    max_in_flight_requests: int
    max_in_flight_tokens: int
    api_url: str = setting("", "Address of the model API; empty for the provider's own.", address=AddressKind.API)
    api_key: str = setting("", "Key of the model API; an address of your own may need none.", secret=True)
    api_attempts: int = setting(4, "Most attempts of a request to the API.", minimum=1, maximum=20)
    api_timeout_seconds: float = setting(30.0, "Longest time of one attempt.", minimum=0.1, maximum=600)
    api_concurrency: int = setting(8, "Most requests to the API at the same time.", minimum=1, maximum=256)
    api_requests_per_minute: int = setting(0, "Most requests to the API in a minute; 0 for no bound.", minimum=0)
    api_tokens_per_minute: int = setting(
        0, "Most tokens (estimated) to the API in a minute; 0 for no bound.", minimum=0
    )
    runtime: Runtime = setting("auto", "What executes the model.", choices=("auto", "openvino", "torch"))
    precision: Precision = setting(
        "auto",
        "Numbers inside the model; auto is bf16 where the hardware has it. int8 needs nncf, and a model that passes "
        "its quality check.",
        choices=("auto", "bf16", "fp32", "int8"),
    )
    int8_texts: Path | None = setting(
        None,
        'File of your own texts to calibrate and judge int8 with, one {"query": ...} or {"passage": ...} per line; '
        "without it, texts that come along.",
    )
    workers: int = setting(0, "Single-threaded sessions; 0 for one per core.", minimum=0, maximum=1024)
    max_length: int = setting(0, "Longest input in tokens; 0 for the model's own maximum.", minimum=0)
    drain_seconds: float = setting(10.0, "Time that running calls have to end after SIGTERM.", minimum=0)
    data_dir: Path = setting(
        Path(".data"), "Folder for what may be kept; converted models go to its cache/.", env="TRIVIUM_DATA_DIR"
    )
    prepared_dir: Path | None = setting(
        None,
        "Folder of models that were converted before, which is read first and never written; images have one with the "
        "default model.",
        env="TRIVIUM_PREPARED_DIR",
    )

    def encoder_options(self, model: str, **more: Any) -> EncoderOptions:
        """How an encoder is to run.

        Args:
            model: Which.
            more: What else the service sets.
        """
        return EncoderOptions(
            model=model,
            runtime=self.runtime,
            precision=self.precision,
            int8_texts=self.int8_texts,
            workers=self.workers,
            budget_tokens=self.budget_tokens,
            cache_dir=self.data_dir / "cache",
            prepared_dir=self.prepared_dir,
            max_length=self.max_length,
            **more,
        )
