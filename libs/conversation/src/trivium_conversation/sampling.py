"""How a model is to write, and what it says of how it wrote."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trivium_serving.errors import InvalidField, TooLarge

from trivium_conversation.checks import check_chars, check_json_object

MAX_ANSWER_TOKENS = 1048576
MAX_TEMPERATURE = 2.0
MAX_STOPS = 16
MAX_STOP_CHARS = 256
MAX_SCHEMA_CHARS = 65536
MAX_TOP_LOGPROBS = 20


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample; None is the model's default.

    Attributes:
        max_tokens: Most tokens of the answer.
        temperature: 0 for the most likely token always; up to 2.
        top_p: Share of probability mass to sample from, above 0 and up to 1.
        seed: Seed of the random choice.
        stop: Texts that end the answer; not part of it.
        json_schema: A JSON schema, as text, that the answer satisfies; empty for free text.
        top_logprobs: How many of the likeliest tokens in the place of each token are wanted with their log
            probabilities, beside its own; None if none are wanted at all.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    json_schema: str = ""
    top_logprobs: int | None = None


DEFAULT_SAMPLING = Sampling()


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that the model wrote.

    Attributes:
        token: Its text; a part of a character shows as U+FFFD.
        logprob: Natural logarithm of its probability.
        top: The likeliest tokens in its place and their log probabilities, likeliest first.
    """

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


def check_sampling(sampling: Sampling, most_tokens: int = MAX_ANSWER_TOKENS) -> None:
    """Lets a sampling within the limits pass.

    Args:
        sampling: What was asked for.
        most_tokens: Most tokens that it may ask for.

    Raises:
        InvalidField: A field breaks its rule.
        TooLarge: A field is over its limit.
    """
    tokens, temperature, top_p = sampling.max_tokens, sampling.temperature, sampling.top_p
    if tokens is not None and not 1 <= tokens <= most_tokens:
        raise InvalidField("sampling.max_tokens", f"max_tokens is {tokens}; it must be from 1 to {most_tokens}.")
    if temperature is not None and not 0 <= temperature <= MAX_TEMPERATURE:  # also refuses NaN
        raise InvalidField(
            "sampling.temperature", f"temperature is {temperature}; it must be from 0 to {MAX_TEMPERATURE:g}."
        )
    if top_p is not None and not 0 < top_p <= 1:
        raise InvalidField("sampling.top_p", f"top_p is {top_p}; it must be above 0 and at most 1.")
    if sampling.seed is not None and not -(2**63) <= sampling.seed < 2**63:
        raise InvalidField("sampling.seed", f"seed is {sampling.seed}; it must be a whole number of 64 bits.")
    if sampling.top_logprobs is not None and not 0 <= sampling.top_logprobs <= MAX_TOP_LOGPROBS:
        raise InvalidField(
            "sampling.top_logprobs",
            f"top_logprobs is {sampling.top_logprobs}; it must be from 0 to {MAX_TOP_LOGPROBS}.",
        )
    if len(sampling.stop) > MAX_STOPS:
        raise TooLarge(
            f"There are {len(sampling.stop)} stop texts; at most {MAX_STOPS} are allowed.", field="sampling.stop"
        )
    for number, stop in enumerate(sampling.stop):
        field = f"sampling.stop[{number}]"
        if not stop:
            raise InvalidField(field, "The stop text is empty. Leave it out.")
        check_chars(field, stop, MAX_STOP_CHARS, "Shorten it.")
    if sampling.json_schema:
        check_chars("sampling.json_schema", sampling.json_schema, MAX_SCHEMA_CHARS, "Simplify the schema.")
        check_json_object("sampling.json_schema", "The schema", sampling.json_schema)
