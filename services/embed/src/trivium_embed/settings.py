"""Everything about the service that can be set."""

from dataclasses import dataclass

from trivium_model_service.encoder_settings import EncoderSettings
from trivium_serving.addresses import AddressKind
from trivium_serving.settings import setting

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"


@dataclass(frozen=True, slots=True)
class EmbedSettings(EncoderSettings):
    """Flag, environment variable (`TRIVIUM_EMBED_...`) and documentation of each setting."""

    listen: str = setting(
        "127.0.0.1:50051", "Address to serve gRPC on, HOST:PORT; port 0 takes a free one.", address=AddressKind.LISTEN
    )
    metrics_port: int = setting(9101, "Port for Prometheus; 0 for none.", minimum=0, maximum=65535)
    backend: str = setting("local", "What computes the vectors.", choices=("local", "openai", "cohere"))
    model: str = setting(
        DEFAULT_MODEL,
        "Any sentence-transformers model: a folder, or the name of an installed package's, cached or hub model, of the "
        "hub's also NAME@REVISION. With an API, the name there; unless it is set, text-embedding-3-small for openai "
        "and embed-v4.0 for cohere.",
    )
    dimension: int = setting(
        0,
        "Numbers per vector for callers that ask for none; 0 for the model's own. Fewer only with a model that was "
        "trained for it.",
        minimum=0,
        maximum=16384,
    )
    least_dimension: int = setting(
        0,
        "Fewest numbers to which vectors may be cut, for a model that was trained for it (Matryoshka) and that the "
        "catalog does not know; 0 for what the catalog says.",
        minimum=0,
        maximum=16384,
    )
    api_batch_texts: int = setting(0, "Most texts in a request to the API; 0 for what the provider takes.", minimum=0)
    api_batch_tokens: int = setting(100_000, "Most tokens (estimated) in a request to the API.", minimum=1)
    api_concurrency: int = setting(
        8, "Most requests to the API at the same time; streams take half of them at most.", minimum=1, maximum=256
    )
    budget_tokens: int = setting(
        512, "Most padded tokens in a batch. More helps a GPU; on a CPU it only adds padding.", minimum=16
    )
    express_tokens: int = setting(
        64,
        "Most padded tokens of a call that one more session takes at once while the others are busy with long batches; "
        "0 for no such session, which saves a copy of the weights. OpenVINO only.",
        minimum=0,
        maximum=1 << 20,
    )
    token_codes: str = setting(
        "1",
        "Bits a number of the token vectors that a passage is kept with, so that late interaction needs not read it "
        "again: 1 (6 kB for 120 tokens of all-MiniLM-L6-v2), 4, 8, or off. For callers that leave it to the service, "
        "like the gateway.",
        choices=("1", "4", "8", "off"),
    )
    sparse_model: str = setting(
        "",
        "A learned sparse model (a SparseEncoder of sentence-transformers) whose vectors are given beside those of the "
        "embedding model; named as that is. Empty for none, or for BGE-M3's own.",
    )
    sparse_terms: int = setting(
        512, "Most terms of a learned sparse vector; of more, the heaviest are given.", minimum=1, maximum=65536
    )
    cache_bytes: int = setting(
        16 << 20,
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
        262_144, "Most tokens that are computed or wait, estimated from the texts' sizes.", minimum=1
    )
    stream_in_flight: int = setting(
        4, "Requests of one stream that are worked on at a time; the others wait at the caller.", minimum=1, maximum=64
    )
