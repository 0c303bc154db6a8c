"""Everything about the service that can be set."""

from dataclasses import dataclass

from trivium_model_service.encoder_settings import EncoderSettings
from trivium_serving.addresses import AddressKind
from trivium_serving.settings import setting


@dataclass(frozen=True, slots=True)
class RerankSettings(EncoderSettings):
    """Flag, environment variable (`TRIVIUM_RERANK_...`) and documentation of each setting."""

    listen: str = setting(
        "127.0.0.1:50052", "Address to serve gRPC on, HOST:PORT; port 0 takes a free one.", address=AddressKind.LISTEN
    )
    metrics_port: int = setting(9102, "Port for Prometheus; 0 for none.", minimum=0, maximum=65535)
    backend: str = setting(
        "late-interaction",
        "What judges: late-interaction needs no model but the embedder's, a cross-encoder is better and slower.",
        choices=("late-interaction", "cross-encoder", "cohere"),
    )
    model: str = setting(
        "",
        "A folder, or the name of an installed package's, cached or hub model, of the hub's also NAME@REVISION; empty "
        "for the backend's own: "
        "sentence-transformers/all-MiniLM-L6-v2 for late-interaction, cross-encoder/ms-marco-MiniLM-L12-v2 for "
        "cross-encoder, rerank-v3.5 for cohere.",
    )
    first_model: str = setting(
        "sentence-transformers/all-MiniLM-L6-v2",
        "With backend cross-encoder: the embedding model by whose token codes passages are compared first, so that the "
        "cross-encoder reads only those that can reach the top; the model of embed. Empty for none.",
    )
    budget_tokens: int = setting(
        1024, "Most padded tokens in a batch. More helps a GPU; on a CPU it only adds padding.", minimum=16
    )
    token_codes: str = setting(
        "auto",
        "Bits a number of the token vectors of passages that come as text alone (late-interaction): 1, 4 or 8; auto "
        "for 1, and for 8 with a ColBERT model, whose vectors are short. Those that come with token codes are judged "
        "by these.",
        choices=("auto", "1", "4", "8"),
    )
    cache_bytes: int = setting(
        32 << 20,
        "Most bytes to keep in memory of token vectors (late-interaction; about 8,400 for a passage of 150 tokens and "
        "1 bit a number) or scores (cross-encoder; about 350 for a query and a passage); 0 for none.",
        minimum=0,
    )
    max_texts: int = setting(1024, "Most passages in one call.", minimum=1, maximum=65536)
    max_query_characters: int = setting(10_000, "Longest query, in characters.", minimum=1)
    max_text_characters: int = setting(100_000, "Longest passage, in characters.", minimum=1)
    max_call_bytes: int = setting(16 << 20, "Most bytes of text (UTF-8) in one call.", minimum=1024, maximum=60 << 20)
    max_in_flight_requests: int = setting(
        256, "Most requests that are computed or wait; more are refused at once.", minimum=1
    )
    max_in_flight_tokens: int = setting(
        1_048_576, "Most tokens that are computed or wait, estimated from the texts' sizes.", minimum=1
    )
