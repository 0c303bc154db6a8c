"""Settings of the gateway."""

from dataclasses import dataclass
from pathlib import Path

from trivium_serving.addresses import AddressKind
from trivium_serving.settings import setting

__all__ = ["GatewaySettings"]


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Each field is a flag (`--grpc-listen`) and an environment variable (`TRIVIUM_GATEWAY_GRPC_LISTEN`)."""

    grpc_listen: str = setting(
        "127.0.0.1:50050", "Address to serve gRPC on, HOST:PORT; port 0 takes a free one.", address=AddressKind.LISTEN
    )
    http_listen: str = setting(
        "127.0.0.1:8080", "Address to serve HTTP on, HOST:PORT; port 0 takes a free one.", address=AddressKind.LISTEN
    )
    allowed_origins: str = setting(
        "",
        "Web pages that may call this gateway from a browser, beside its own: origins such as https://app.example.com, "
        "separated by commas; * for all.",
        address=AddressKind.ORIGINS,
    )
    allowed_hosts: str = setting(
        "",
        "Names under which this gateway is reached, beside localhost, addresses and those of allowed origins: "
        "rag.example.com or *.example.com, separated by commas; * for any, which lets pages of any site in.",
    )
    auth: str = setting(
        "off",
        "Whether to ask for keys; with oidc, tokens of an issuer are taken beside them. Off, everybody who reaches the "
        "gateway may do everything, so that it has to listen on this machine only.",
        choices=("off", "keys", "oidc"),
    )
    oidc_issuer: str = setting(
        "",
        "Address of the issuer (OpenID Connect) whose tokens are taken, as these have it: https://HOST/PATH.",
        address=AddressKind.API,
    )
    oidc_audience: str = setting("", "For whom the issuer's tokens have to be made: what it calls this gateway.")
    oidc_tenant_claim: str = setting(
        "", "Where a token names its tenant; dots lead into objects. Empty where all are of the tenant default."
    )
    oidc_user_claim: str = setting("sub", "Where a token names its user, as readers of documents name them.")
    oidc_groups_claim: str = setting("groups", "Where a token names the user's groups: a list, or names and blanks.")
    oidc_scopes_claim: str = setting(
        "scope", "Where a token says what its user may do: trivium:ingest, trivium:admin and so on, likewise."
    )
    oidc_scopes: str = setting("read", "What every user with a token may do, separated by commas.")
    allow_anonymous: str = setting(
        "no",
        "Whether everybody may do everything on a gateway that others reach, too: yes where something before it asks "
        "who comes.",
        choices=("no", "yes"),
    )
    admin_key: str = setting(
        "",
        "A key that may do everything, tv_ID_SECRET, beside those that were made: to set up, or where all are lost.",
        secret=True,
    )
    data_dir: Path = setting(
        Path(".data"),
        "Folder for what is kept; keys, usage, jobs, files and feedback go to its gateway/.",
        env="TRIVIUM_DATA_DIR",
    )
    audit: str = setting(
        "auto",
        "Whether to note who changed what, in audit-YYYY-MM-DD.jsonl in gateway/audit of the data folder; auto: where "
        "keys are asked for; log: in the log of the process, where nothing can be kept.",
        choices=("auto", "on", "log", "off"),
    )
    redis_url: str = setting(
        "",
        "Redis that gateways on several machines keep their keys, usage and feedback in, redis://HOST:PORT/0; empty "
        "for the data folder.",
        secret=True,
    )
    tenant_quota: str = setting(
        "",
        "What a tenant may use that has no quota of its own, such as requests=600/m,stored_bytes=5000000000: each "
        "of what GET /v1/usage shows, so many a second (s), minute, hour or day, or stored; empty for no limit.",
    )
    key_quota: str = setting("", "The same of each key that has no quota of its own.")
    metrics_port: int = setting(
        0,
        "Port on which metrics are served to everybody who reaches it, on the host of the HTTP address; 0 for none. "
        "They are at /metrics, too, with keys for operators only.",
        minimum=0,
        maximum=65535,
    )
    mcp: str = setting(
        "on",
        "The Model Context Protocol at /mcp: with all tools, without those that add documents, or not at all.",
        choices=("on", "read-only", "off"),
    )
    embed_target: str = setting("127.0.0.1:50051", "Address of the embed service.", address=AddressKind.TARGET)
    embed_targets: str = setting(
        "",
        "Further embed services with other models, NAME=HOST:PORT, separated by commas: each collection is embedded by "
        "the one that runs its model. New collections get the model of the first, whose address is the one above.",
        address=AddressKind.TARGETS,
    )
    rerank_target: str = setting("127.0.0.1:50052", "Address of the rerank service.", address=AddressKind.TARGET)
    support_target: str = setting(
        "",
        "Address of one more rerank service, whose model for natural language inference, or cross-encoder, judges "
        "beside words how surely passages support what an answer says; empty for words alone.",
        address=AddressKind.TARGET,
    )
    generate_target: str = setting("127.0.0.1:50053", "Address of the generate service.", address=AddressKind.TARGET)
    qdrant_url: str = setting(
        "http://127.0.0.1:6333", "Address of Qdrant, or of qdrant_edge in its place.", address=AddressKind.SERVER
    )
    qdrant_grpc_port: int = setting(6334, "Qdrant's gRPC port, on the host of its address.", minimum=1, maximum=65535)
    qdrant_api_key: str = setting("", "Qdrant's API key, if it asks for one.", secret=True)
    qdrant_tls_ca: str = setting(
        "",
        "File of the authorities that Qdrant's certificate must come from, if its address is https; empty for those of "
        "TRIVIUM_TLS_CA, or else the system's.",
    )
    qdrant_compression: str = setting(
        "off",
        "What travels between the gateway and Qdrant: as it is, or compressed in both directions, which pays over a "
        "slow network only.",
        choices=("off", "gzip"),
    )
    qdrant_shard_number: int = setting(
        0,
        "Shards of each new collection in a Qdrant cluster, a multiple of its nodes; 0 for Qdrant's own choice.",
        minimum=0,
        maximum=1024,
    )
    qdrant_replication_factor: int = setting(
        0, "Copies of each shard of a new collection; 0 for Qdrant's own choice, which is one.", minimum=0, maximum=16
    )
    request_timeout_seconds: float = setting(
        120.0, "Longest time for one question; a shorter deadline of the caller goes before.", minimum=0.1, maximum=3600
    )
    ingest_timeout_seconds: float = setting(
        3600.0,
        "Longest time for one call that adds documents; a shorter deadline of the caller goes before.",
        minimum=1,
    )
    document_timeout_seconds: float = setting(
        60.0,
        "Longest time for one other call about documents or collections; a shorter deadline of the caller goes before.",
        minimum=0.1,
        maximum=3600,
    )
    embed_timeout_seconds: float = setting(
        5.0, "Longest time to embed a question; then the search goes by words alone.", minimum=0.01, maximum=600
    )
    search_timeout_seconds: float = setting(5.0, "Longest time for a search.", minimum=0.01, maximum=600)
    rerank_timeout_seconds: float = setting(
        10.0, "Longest time to rerank; then the order of the search stays.", minimum=0.01, maximum=600
    )
    support_timeout_seconds: float = setting(
        5.0,
        "Longest time for that model to judge citations that come at once; then words alone do.",
        minimum=0.01,
        maximum=600,
    )
    rewrite: str = setting(
        "auto",
        "What makes a question stand alone that leans on its conversation, before it is searched for: the language "
        "model if there is one, else a rule; the rule always; or nothing.",
        choices=("auto", "rule", "off"),
    )
    refusal: str = setting(
        "auto",
        "What becomes of a question that the documents hardly answer, unless it says so itself: answered as any other "
        "(off), answered and marked (mark), refused without asking a language model (refuse); auto marks it, and "
        "refuses it if it is about something else altogether.",
        choices=("auto", "off", "mark", "refuse"),
    )
    rewrite_timeout_seconds: float = setting(
        3.0,
        "Longest time for what the language model rewrites; then the rule does, or it is done without.",
        minimum=0.01,
        maximum=600,
    )
    generate_begin_timeout_seconds: float = setting(
        30.0,
        "Longest time until an answer begins to be written; then the passages stand in its place.",
        minimum=0.01,
        maximum=3600,
    )
    generate_timeout_seconds: float = setting(
        100.0, "Longest time until an answer is written whole.", minimum=0.01, maximum=3600
    )
    chunk_tokens: int = setting(200, "Longest piece of a document, in tokens of the embedding model.", minimum=16)
    chunk_overlap_tokens: int = setting(30, "Tokens that a piece shares with the next.", minimum=0)
    section_characters: int = setting(
        0,
        "How many characters of its section a passage is read with, unless its collection or the question says it; 0 "
        "for the piece that was found alone.",
        minimum=0,
        maximum=8000,
    )
    max_questions: int = setting(
        256,
        "Most questions and queries at once. How many of them search and rerank follows from their latency; more are "
        "refused.",
        minimum=1,
    )
    max_ingestions: int = setting(16, "Most calls at once that add documents; more are refused.", minimum=1)
    max_job_bytes: int = setting(
        4 * 1024 * 1024 * 1024,
        "Most bytes of the data folder that the documents of jobs take until they are in, those of one tenant half of "
        "it; what does not fit is refused with 429. 0 for no jobs, where that folder does not outlive the gateway.",
        minimum=0,
    )
    max_file_bytes: int = setting(
        16 * 1024 * 1024 * 1024,
        "Most bytes of the data folder for the files that documents came in, half of it one tenant's; 0 to keep none.",
        minimum=0,
    )
    max_document_calls: int = setting(
        64, "Most other calls at once about documents and collections; more are refused.", minimum=1
    )
    parse_processes: int = setting(
        0,
        "Processes that take the text out of files, so most files at once; 0 for one more than there are "
        "cores. One caller gets all but one of them.",
        minimum=0,
        maximum=256,
    )
    parse_seconds_per_megabyte: float = setting(
        10.0,
        "Most processor time for each megabyte, begun, of a file, and a fifth of it for HTML; never more than 60 s "
        "for a file.",
        minimum=0.1,
        maximum=60,
    )
    max_connections: int = setting(
        0,
        "Most HTTP connections at once; 0 for three fifths of the files that the process may have open. One more takes "
        "the place of that which has been silent longest.",
        minimum=0,
    )
    keep_alive_seconds: float = setting(
        75.0,
        "How long an HTTP connection may be silent between two requests: longer than what stands before the gateway "
        "keeps it.",
        minimum=1,
        maximum=3600,
    )
    max_body_bytes_in_flight: int = setting(
        128 * 1024 * 1024,
        "Most bytes that the bodies of running requests hold together, over HTTP and gRPC, those up to 64 KiB left "
        "out; what does not fit is refused with 429.",
        minimum=1,
    )
    trace_bytes: int = setting(
        32 * 1024 * 1024,
        "Memory, about, for the traces of the last questions, which say why they were answered so; 0 to keep none.",
        minimum=0,
    )
    trace_seconds: float = setting(
        3600.0, "How long a trace is kept at most; it holds the question and the answer.", minimum=1, maximum=604_800
    )
    cache: str = setting(
        "on",
        "Whether what was found for a question is shown again to who asks the same, as long as nothing has changed, "
        "and what was written of it, too; retrieval: what was found alone, so that each answer is written anew.",
        choices=("on", "retrieval", "off"),
    )
    cache_bytes: int = setting(32 * 1024 * 1024, "Memory, about, for that, where it is not kept in Redis.", minimum=0)
    cache_seconds: float = setting(600.0, "How long any of it is kept at most.", minimum=0.001, maximum=604_800)
    cache_redis_url: str = setting(
        "",
        "Redis that gateways keep it in together, redis://HOST:PORT/0: one of its own, that forgets by itself what "
        "does not fit (maxmemory, allkeys-lru); empty for the memory of each.",
        secret=True,
    )
    cache_similarity: float = setting(
        0.0,
        "Cosine similarity from which another question of the same numbers and phrases is taken for the same, such as "
        "0.97; 0 if only the same one is, which never shows what would not be found.",
        minimum=0,
        maximum=1,
    )
    query_cache_bytes: int = setting(
        8 * 1024 * 1024,
        "Memory, about, for the vectors of the last queries, which are not embedded again; 0 for none.",
        minimum=0,
    )
    probe_interval_seconds: float = setting(
        0.5, "How often to see whether the services are there.", minimum=0.05, maximum=60
    )
    warm_up_seconds: float = setting(
        60.0,
        "How long to wait, once searching works, for a stage that does not come, before being ready without it.",
        minimum=0,
    )
    drain_seconds: float = setting(10.0, "How long running calls may take to end when the gateway stops.", minimum=0)
