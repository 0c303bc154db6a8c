"""Everything about the service that can be set."""

from dataclasses import dataclass
from pathlib import Path

from trivium_encoders.options import Precision, Runtime
from trivium_serving.settings import setting


@dataclass(frozen=True, slots=True)
class EmbedSettings:
    """Flag, environment variable (`TRIVIUM_EMBED_...`) and documentation of each setting."""

    listen: str = setting("127.0.0.1:50051", "Address to serve gRPC on, HOST:PORT; port 0 takes a free one.")
    metrics_port: int = setting(9101, "Port for Prometheus; 0 for none.", minimum=0, maximum=65535)
    backend: str = setting("local", "What computes the vectors.", choices=("local",))
    model: str = setting(
        "sentence-transformers/all-MiniLM-L6-v2",
        "Any sentence-transformers model: a folder, or the name of an installed package's, cached or hub model.",
    )
    runtime: Runtime = setting("auto", "What executes the model.", choices=("auto", "openvino", "torch"))
    precision: Precision = setting(
        "auto", "Numbers inside the model; auto is bf16 where the hardware has it.", choices=("auto", "bf16", "fp32")
    )
    workers: int = setting(0, "Single-threaded sessions; 0 for one per core.", minimum=0, maximum=1024)
    budget_tokens: int = setting(
        1024, "Most padded tokens in a batch. More helps a GPU; on a CPU it only adds padding.", minimum=16
    )
    max_length: int = setting(0, "Longest input in tokens; 0 for the model's own maximum.", minimum=0)
    cache_bytes: int = setting(
        32 << 20,
        "Most bytes of vectors to keep in memory, half for queries and half for documents (about 1,800 for a vector of "
        "384 numbers); 0 for none.",
        minimum=0,
    )
    max_texts: int = setting(2048, "Most texts in one call.", minimum=1, maximum=8192)
    max_text_characters: int = setting(1_000_000, "Longest text, in characters.", minimum=1)
    max_call_bytes: int = setting(32 << 20, "Most bytes of text (UTF-8) in one call.", minimum=1024, maximum=60 << 20)
    max_in_flight_requests: int = setting(
        1024, "Most requests that are computed or wait; more are refused at once.", minimum=1
    )
    max_in_flight_tokens: int = setting(
        1_048_576, "Most tokens that are computed or wait, estimated from the texts' sizes.", minimum=1
    )
    stream_in_flight: int = setting(
        4, "Requests of one stream that are worked on at a time; the others wait at the caller.", minimum=1, maximum=64
    )
    drain_seconds: float = setting(10.0, "Time that running calls have to end after SIGTERM.", minimum=0)
    data_dir: Path = setting(
        Path(".data"), "Folder for what may be kept; converted models go to its cache/.", env="TRIVIUM_DATA_DIR"
    )
