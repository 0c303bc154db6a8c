"""What one request asks of vLLM, and the log probabilities that come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trivium_serving.errors import InvalidField

from trivium_generate.answer import TokenLogprob

if TYPE_CHECKING:
    from trivium_generate.answer import Sampling

_LEAST_LOGPROB = -9999.0  # in the place of minus infinity, which JSON cannot carry
_FIELDS = {
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "max_tokens": "sampling.max_tokens",
    "logprobs": "sampling.top_logprobs",
    "seed": "sampling.seed",
    "stop": "sampling.stop",
}


def sampling_params(sampling: Sampling, defaults: dict[str, Any], max_tokens: int, tokens_per_piece: int) -> Any:
    """vLLM's SamplingParams.

    Args:
        sampling: What the request asks for.
        defaults: The model's own defaults.
        max_tokens: Most tokens of the answer.
        tokens_per_piece: How many of them come together; the first and the last do not wait for others.

    Raises:
        InvalidField: vLLM refuses a value.
    """
    from vllm import SamplingParams
    from vllm.exceptions import VLLMClientError
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    chosen = {"temperature": sampling.temperature, "top_p": sampling.top_p, "seed": sampling.seed}
    try:
        return SamplingParams(
            **{
                **defaults,
                **{name: value for name, value in chosen.items() if value is not None},
                "max_tokens": max_tokens,
                "stop": list(sampling.stop),
                "logprobs": sampling.top_logprobs,
                "structured_outputs": StructuredOutputsParams(json=sampling.json_schema)
                if sampling.json_schema
                else None,
                "output_kind": RequestOutputKind.DELTA,
                "stream_interval": tokens_per_piece,
            }
        )
    except VLLMClientError as error:
        raise refusal(error, "sampling.json_schema" if sampling.json_schema else "sampling") from error


def refusal(error: Exception, likely: str) -> InvalidField:
    """vLLM's refusal of a request as ours, naming the field: the likely one if vLLM says none."""
    field = _FIELDS.get(getattr(error, "parameter", None) or "", likely)
    text = str(error).strip().partition("\n")[0]
    return InvalidField(field, f"The model does not accept the request: {text}")


def token_logprobs(completion: Any, top_count: int | None) -> tuple[TokenLogprob, ...]:
    """The log probabilities of the tokens of one output.

    Args:
        completion: vLLM's CompletionOutput.
        top_count: How many of the likeliest tokens are wanted beside each; None if none of this is wanted.
    """
    if top_count is None or not completion.logprobs:
        return ()
    return tuple(
        _token_logprob(token_id, places, top_count)
        for token_id, places in zip(completion.token_ids, completion.logprobs, strict=True)
    )


def _token_logprob(token_id: int, places: dict[int, Any], top_count: int) -> TokenLogprob:
    ranked = sorted(places.values(), key=lambda entry: entry.rank)[:top_count]
    return TokenLogprob(
        token=places[token_id].decoded_token or "",
        logprob=max(_LEAST_LOGPROB, places[token_id].logprob),
        top=tuple((entry.decoded_token or "", max(_LEAST_LOGPROB, entry.logprob)) for entry in ranked),
    )
