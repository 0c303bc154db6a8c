"""What can go wrong with an encoder.

EncoderError
├── ModelNotFound         no model of that name can be reached
├── ModelDamaged          a file of the model is not the one it should be
├── ModelUnsupported      the model is of another family, or no runtime can run it
├── ConversionFailed      the model could not be converted for the chosen runtime
├── QuantizationFailed    the model could not be quantised, or int8 changes it too much
├── InputTooLong          a text is longer than the model reads
├── DeadlineExpired       the caller's deadline passed before the work began
├── EncoderFailed         one text could not be computed; the others of other calls were
├── CodesUnreadable       bytes are no token codes, or damaged ones
│   └── CodesOfOtherLayout  they have a layout that this version does not know
├── EncoderUnavailable    the worker died under the call, or none is left; try again
└── EncoderClosed         the encoder was closed
"""


class EncoderError(Exception):
    """Base of all errors that an encoder raises; the message says what to do next."""


class ModelNotFound(EncoderError):
    """No model of that name can be reached."""


class ModelDamaged(EncoderError):
    """A file of the model is missing, or not the one it should be."""


class ModelUnsupported(EncoderError):
    """The model is of another family, or no runtime at hand can run it."""


class ConversionFailed(EncoderError):
    """The model could not be converted for the runtime that was asked for."""


class QuantizationFailed(EncoderError):
    """The model could not be quantised to int8, or that changes it too much."""


class InputTooLong(EncoderError):
    """A text is longer than the model reads.

    Attributes:
        index: Position of the text in the call, from 0.
        token_count: Its tokens, prompt and special tokens included.
        max_tokens: The most tokens that the model reads.
    """

    def __init__(self, index: int, token_count: int, max_tokens: int) -> None:
        super().__init__(
            f"text {index} has {token_count} tokens, more than the model's {max_tokens}; shorten it or allow truncation"
        )
        self.index = index
        self.token_count = token_count
        self.max_tokens = max_tokens


class DeadlineExpired(EncoderError):
    """The caller's deadline passed while the work still waited; nothing was computed."""


class EncoderFailed(EncoderError):
    """One text could not be computed, even alone.

    Attributes:
        index: Position of the text in the call, from 0.
    """

    def __init__(self, index: int, cause: str) -> None:
        super().__init__(f"text {index} could not be computed: {cause}")
        self.index = index


class CodesUnreadable(EncoderError):
    """Bytes are no token codes, or are damaged."""


class CodesOfOtherLayout(CodesUnreadable):
    """Token codes have a layout that this version does not know: an earlier or a later one made them."""


class EncoderUnavailable(EncoderError):
    """The worker that had the work died, or no worker is left. It is being replaced: try again."""


class EncoderClosed(EncoderError):
    """The encoder was closed before the work was done."""
