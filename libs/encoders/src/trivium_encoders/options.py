"""How an encoder is to run, and what it says about itself."""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Runtime = Literal["auto", "openvino", "torch"]
Precision = Literal["auto", "bf16", "fp32", "int8"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


class Role(enum.Enum):
    """What a text is for; decides the prompt that is put before it."""

    QUERY = "query"
    """A question or search phrase."""
    DOCUMENT = "document"
    """A text to be found."""


class Priority(enum.Enum):
    """Which waiting work goes first."""

    INTERACTIVE = "interactive"
    """Somebody waits for it."""
    BULK = "bulk"
    """Ingestion and the like: goes behind interactive work, but is never starved by it."""


@dataclass(frozen=True, slots=True)
class EncoderOptions:
    """Which model to run, and how."""

    model: str = DEFAULT_MODEL
    """A folder, or a name: an installed package's, the hub cache's, or the hub's."""
    runtime: Runtime = "auto"
    """What computes. `auto`: torch where it has a GPU, else OpenVINO where the model converts, else torch."""
    precision: Precision = "auto"
    """Numbers inside the model. `auto`: bf16 where the hardware multiplies them, else fp16 on a GPU and fp32 on a CPU,
    and for a cross-encoder only if it then orders as in fp32; never `int8`, which needs OpenVINO and NNCF and is
    refused when it changes the model too much. Results are always fp32."""
    int8_texts: Path | None = None
    """Texts of your own that int8 is calibrated and judged with: one `{"query": "..."}` or `{"passage": "..."}` per
    line; None for this package's."""
    workers: int = 0
    """Single-threaded sessions, 0 to 1024; 0 means one per core that the process may use (cgroup quota, affinity)."""
    budget_tokens: int = 512
    """Most padded tokens in one batch of one session, 16 to 1,048,576. A single longer text is served alone."""
    express_tokens: int = 0
    """Most padded tokens of an interactive call that one more session takes at once, however busy the others are; 0 to
    1,048,576, 0 for no such session. It needs the memory of the weights once more. Only OpenVINO has it."""
    cache_dir: Path = Path(".data/cache")
    """Folder for converted models; made when missing, shared by processes, may be deleted at any time."""
    prepared_dir: Path | None = None
    """Folder of models that `trivium_encoders.prepare` converted before; read first, never written."""
    max_length: int = 0
    """Longest input in tokens; 0 means the model's own maximum, which cannot be exceeded."""


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """A loaded encoder's description."""

    name: str
    """The model's name."""
    fingerprint: str
    """64 hexadecimal digits over all that decides the vectors: weights, tokenizer, pooling, prompts, normalisation,
    dimension and maximum length. Runtime and precision are not in it, but that int8 has a fingerprint of its own."""
    runtime: str
    """What computes: `openvino` or `torch`."""
    precision: str
    """Numbers inside the model: `bf16`, `fp32` or `int8`; `fp16` on a GPU that does not multiply bf16."""
    dimension: int
    """Numbers per vector; 1 for a `PairScorer`."""
    normalized: bool
    """Whether vectors have unit length."""
    max_tokens: int
    """Longest input in tokens, prompt and special tokens included."""
    token_fingerprint: str = ""
    """As `fingerprint`, over all that decides the vectors of single tokens, however they are pooled; empty if there are
    none to be had."""
    pools_parts: bool = False
    """Whether it gives vectors of the parts of a text that it reads whole (`late_chunking`)."""
    sparse_fingerprint: str = ""
    """As `fingerprint`, over all that decides the learned sparse vectors; empty if there are none to be had."""
