"""Runs transformer encoders at the hardware's limit.

Four families share one batcher and its runtimes: `TextEncoder` maps texts to vectors, `PairScorer` judges passages
against a query (cross-encoder), `TokenEncoder` gives one vector per token (late interaction), and `SparseTextEncoder` a
weight per word (learned sparse). Models are named as
sentence-transformers names them; a process that finds its model converted in the cache never imports torch.
"""

from trivium_encoders.code_matching import best_matches, code_vectors
from trivium_encoders.coding import Coding
from trivium_encoders.errors import (
    CodesOfOtherLayout,
    CodesUnreadable,
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
from trivium_encoders.late_chunking import PartedText
from trivium_encoders.options import EncoderInfo, EncoderOptions, Priority, Role
from trivium_encoders.pair_scorer import PairScorer, Scored
from trivium_encoders.sparse_encoder import SparseEncoded, SparseTextEncoder
from trivium_encoders.sparse_vectors import SparseVector
from trivium_encoders.text_encoder import Encoded, TextEncoder
from trivium_encoders.token_codes import CodeForm, TokenCodes
from trivium_encoders.token_codes import decode as decode_codes
from trivium_encoders.token_codes import model_key as codes_model_key
from trivium_encoders.token_encoder import TokenEncoder, TokenMatrices, TokenMatrix
from trivium_encoders.worker import end_process

__all__ = [
    "CodeForm",
    "CodesOfOtherLayout",
    "CodesUnreadable",
    "Coding",
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
    "PartedText",
    "Priority",
    "QuantizationFailed",
    "Role",
    "Scored",
    "SparseEncoded",
    "SparseTextEncoder",
    "SparseVector",
    "TextEncoder",
    "TokenCodes",
    "TokenEncoder",
    "TokenMatrices",
    "TokenMatrix",
    "best_matches",
    "code_vectors",
    "codes_model_key",
    "decode_codes",
    "end_process",
]
