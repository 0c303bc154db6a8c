"""Runs transformer encoders at the hardware's limit.

Three families share one batcher and its runtimes: `TextEncoder` maps texts to vectors, `PairScorer` judges passages
against a query (cross-encoder), and `TokenEncoder` gives one vector per token (late interaction). Models are named as
sentence-transformers names them; a process that finds its model converted in the cache never imports torch.
"""

from trivium_encoders.errors import (
    ConversionFailed,
    DeadlineExpired,
    EncoderClosed,
    EncoderError,
    EncoderFailed,
    EncoderUnavailable,
    InputTooLong,
    ModelDamaged,
    ModelNotFound,
    ModelUnsupported,
    QuantizationFailed,
)
from trivium_encoders.options import EncoderInfo, EncoderOptions, Priority, Role
from trivium_encoders.pair_scorer import PairScorer, Scored
from trivium_encoders.text_encoder import Encoded, TextEncoder
from trivium_encoders.token_encoder import TokenEncoder, TokenMatrices, TokenMatrix
from trivium_encoders.worker import end_process

__all__ = [
    "ConversionFailed",
    "DeadlineExpired",
    "Encoded",
    "EncoderClosed",
    "EncoderError",
    "EncoderFailed",
    "EncoderInfo",
    "EncoderOptions",
    "EncoderUnavailable",
    "InputTooLong",
    "ModelDamaged",
    "ModelNotFound",
    "ModelUnsupported",
    "PairScorer",
    "Priority",
    "QuantizationFailed",
    "Role",
    "Scored",
    "TextEncoder",
    "TokenEncoder",
    "TokenMatrices",
    "TokenMatrix",
    "end_process",
]
