"""Trivium: Python SDK and command line.

`Trivium` is the client, `AsyncTrivium` the same for asyncio; everything they return is a frozen dataclass, everything
they raise a `TriviumError`.
"""

from trivium_client._answers import (
    Answer,
    AnswerDelta,
    AnswerEvent,
    AnswerMode,
    AnswerSources,
    Box,
    Citation,
    Expansion,
    Message,
    Refusal,
    UnanswerableReason,
    Usage,
    Verdict,
)
from trivium_client._async_client import AsyncTrivium
from trivium_client._client import Trivium
from trivium_client._collections import Collection, CollectionState, SettingsVersion, SettingValues
from trivium_client._documents import (
    Document,
    DocumentError,
    DocumentResult,
    DocumentStatus,
    IngestProgress,
    NewDocument,
)
from trivium_client._errors import (
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    FailedPrecondition,
    GatewayUnreachable,
    InternalError,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    TemporaryError,
    TooLarge,
    TriviumError,
    Unauthenticated,
    Unavailable,
)
from trivium_client._feedback import Feedback, FeedbackLines, Rating
from trivium_client._indexes import IndexBeside, IndexComparison, IndexRole, ReindexEstimate, ReindexProgress
from trivium_client._jobs import Job, JobFailure, JobState
from trivium_client._json import to_json
from trivium_client._keys import Key, MadeKey
from trivium_client._passages import (
    Cached,
    Degradation,
    Passage,
    Retrieval,
    Scores,
    SearchedQuery,
    Span,
    StageTime,
    Timings,
)
from trivium_client._status import StageStatus, Status
from trivium_client._usage import KeyUsage, Quota, TenantStored, UsageReport

__all__ = [
    "AlreadyExists",
    "Answer",
    "AnswerDelta",
    "AnswerEvent",
    "AnswerMode",
    "AnswerSources",
    "AsyncTrivium",
    "Box",
    "Cached",
    "Cancelled",
    "Citation",
    "Collection",
    "CollectionState",
    "DeadlineExceeded",
    "Degradation",
    "Document",
    "DocumentError",
    "DocumentResult",
    "DocumentStatus",
    "Expansion",
    "FailedPrecondition",
    "Feedback",
    "FeedbackLines",
    "GatewayUnreachable",
    "IndexBeside",
    "IndexComparison",
    "IndexRole",
    "IngestProgress",
    "InternalError",
    "InvalidRequest",
    "Job",
    "JobFailure",
    "JobState",
    "Key",
    "KeyUsage",
    "MadeKey",
    "Message",
    "NewDocument",
    "NotFound",
    "Overloaded",
    "Passage",
    "PermissionDenied",
    "Quota",
    "Rating",
    "Refusal",
    "ReindexEstimate",
    "ReindexProgress",
    "Retrieval",
    "Scores",
    "SearchedQuery",
    "SettingValues",
    "SettingsVersion",
    "Span",
    "StageStatus",
    "StageTime",
    "Status",
    "TemporaryError",
    "TenantStored",
    "Timings",
    "TooLarge",
    "Trivium",
    "TriviumError",
    "UnanswerableReason",
    "Unauthenticated",
    "Unavailable",
    "Usage",
    "UsageReport",
    "Verdict",
    "to_json",
]
