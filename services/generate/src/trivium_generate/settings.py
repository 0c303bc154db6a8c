"""Everything about the service that an operator can set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  # settings are read by their types at run time

from trivium_serving.addresses import AddressKind
from trivium_serving.settings import setting


@dataclass(frozen=True, slots=True)
class GenerateSettings:
    """The settings of the service; `--help` shows each with its variable and default."""

    listen: str = setting("127.0.0.1:50053", "Address to serve gRPC on, HOST:PORT.", address=AddressKind.LISTEN)
    """Where gRPC is served."""
    metrics_port: int = setting(9103, "Port for Prometheus on the same host; 0 for none.", minimum=0, maximum=65535)
    """Where Prometheus reads."""
    backend: str = setting(
        "extractive",
        "What writes answers: vllm, a language model in this service's process tree; openai, one behind the API of "
        "OpenAI, Azure or any server that speaks it; anthropic, one behind Anthropic's API; or extractive, the best "
        "sentences of the passages, without a language model.",
        choices=("extractive", "vllm", "openai", "anthropic"),
    )
    """Which language model backend is used; the extractive one is always there besides."""
    model: str = setting(
        "",
        "The language model: for vllm a folder, or a name on the Hugging Face hub, also NAME@REVISION; with an API the "
        "name there, on "
        "Azure that of the deployment. Each backend but extractive needs it.",
    )
    """The language model."""
    context_tokens: int = setting(
        0,
        "Longest prompt and answer together of a model behind an API, in tokens; 0 for what the API says, or the "
        "catalog, or else 8192. For vllm it is max_model_len among the engine arguments.",
        minimum=0,
    )
    """What passages are fitted into."""
    api_url: str = setting(
        "",
        "Address of the model API; empty for the provider's own. For other servers usually ends with /v1.",
        address=AddressKind.API,
    )
    """Where the API is."""
    api_key: str = setting("", "Key of the model API; an address of your own may need none.", secret=True)
    """What it lets in by."""
    api_version: str = setting(
        "",
        "Version of Azure's API, for example 2024-10-21; makes the address that of an Azure resource. Empty for every "
        "other API, and for Azure's own address that ends with /openai/v1.",
    )
    """Makes it Azure's."""
    api_fields: str = setting(
        "{}",
        'Further fields of each request to the API, as a JSON object, for example {"reasoning_effort": "low"}.',
    )
    """Passed through to the API."""
    api_attempts: int = setting(
        4, "Most attempts at an answer by the API until its first text; none after it.", minimum=1, maximum=20
    )
    """Bounds the repetition of what fails."""
    api_timeout_seconds: float = setting(
        60.0,
        "Longest time of one attempt until its first text, and from one text of the answer to the next. Models that "
        "think first need more.",
        minimum=0.1,
        maximum=3600,
    )
    """Bounds the wait for an API."""
    api_concurrency: int = setting(64, "Most answers by the API at the same time.", minimum=1, maximum=4096)
    """Bounds open streams."""
    api_requests_per_minute: int = setting(0, "Most requests to the API in a minute; 0 for no bound.", minimum=0)
    """Keeps within an account's limit of requests."""
    api_tokens_per_minute: int = setting(
        0,
        "Most tokens (estimated; the longest answer counts as if it were written) to and from the API in a minute; 0 "
        "for no bound.",
        minimum=0,
    )
    """Keeps within an account's limit of tokens."""
    engine_args: str = setting(
        "{}",
        "Further engine arguments of vLLM as a JSON object, named as in vLLM's documentation with underscores, for "
        'example {"tensor_parallel_size": 2, "max_model_len": 8192}. vLLM checks them.',
    )
    """Passed through to the engine."""
    adapters: str = setting(
        "{}",
        "LoRA adapters of the model, for vllm: a JSON object from the name that requests ask by to a folder, or a name "
        'on the Hugging Face hub, for example {"legal": "/models/legal-lora"}.',
    )
    """Which adapters requests may ask for."""
    tool_parser: str = setting(
        "",
        "vLLM's parser for the calls of tools that the model writes, for example hermes; its documentation says which "
        "one belongs to a model. Empty for none: then requests with tools are refused, unless a call is required. "
        "Models behind an API need none.",
    )
    """Reads the model's calls of tools."""
    embed_target: str = setting(
        "127.0.0.1:50051",
        "Address of the embedding service, which compares sentences with the question for extractive answers; empty "
        "to compare words only.",
        address=AddressKind.TARGET,
    )
    """Where sentence vectors come from."""
    embed_timeout_seconds: float = setting(
        1.0, "Longest wait for sentence vectors; after it, words are compared.", minimum=0.01, maximum=60
    )
    """How long an extractive answer waits for vectors."""
    extractive_candidates: int = setting(
        12, "Most sentences per answer, the best by their words, that are compared by vectors.", minimum=1, maximum=256
    )
    """Bounds the work of the embedding service for one answer."""
    prompts_dir: Path | None = setting(
        None, "Folder with prompt files en.toml and zh.toml in place of the built-in ones; a missing file is built in."
    )
    """Where prompts come from."""
    default_max_tokens: int = setting(
        512, "Most tokens of an answer if the request does not say.", minimum=1, maximum=1048576
    )
    """Length of answers."""
    limit_max_tokens: int = setting(131072, "Most tokens that a request may ask for.", minimum=1, maximum=1048576)
    """Upper bound of sampling.max_tokens."""
    limit_question_chars: int = setting(8192, "Longest question, in characters.", minimum=1, maximum=1048576)
    """Upper bound of the question."""
    limit_passages: int = setting(100, "Most passages of one request.", minimum=1, maximum=1000)
    """Upper bound of the number of passages."""
    limit_passage_chars: int = setting(16384, "Longest passage, in characters.", minimum=1, maximum=1048576)
    """Upper bound of one passage."""
    limit_passages_chars: int = setting(
        262144, "Longest passages of one request together, in characters.", minimum=1, maximum=4194304
    )
    """Upper bound of all passages together."""
    limit_history_turns: int = setting(64, "Most earlier turns of one request.", minimum=0, maximum=1000)
    """Upper bound of the number of turns."""
    limit_history_chars: int = setting(65536, "Longest earlier turn, in characters.", minimum=1, maximum=1048576)
    """Upper bound of one turn."""
    max_extractive_requests: int = setting(
        64, "Most extractive answers being written at a time; more are refused.", minimum=1, maximum=100000
    )
    """Bounds extractive work."""
    max_model_requests: int = setting(
        256,
        "Most answers of the language model in progress or waiting at a time; more fall back or are refused.",
        minimum=1,
        maximum=100000,
    )
    """Bounds the model's queue by requests."""
    max_model_tokens: int = setting(
        1048576,
        "Most prompt tokens, estimated, of the language model's answers in progress or waiting at a time.",
        minimum=1,
    )
    """Bounds the model's queue by tokens."""
    restart_pause_seconds: float = setting(
        1.0, "Pause before a broken model is started again; doubles with each failure in a row.", minimum=0.01
    )
    """First pause before a restart."""
    restart_longest_pause_seconds: float = setting(60.0, "Where that doubling ends.", minimum=0.01)
    """Longest pause before a restart."""
    drain_seconds: float = setting(
        10.0, "How long answers being written may take to end after SIGTERM.", minimum=0, maximum=3600
    )
    """Bound of the drain."""
