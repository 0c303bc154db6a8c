"""OpenVINO on CPUs."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

import trivium_encoders.privacy  # noqa: F401 - before OpenVINO, which reports its own import
from trivium_encoders.conversion import ConvertedModel
from trivium_encoders.pooling import Head
from trivium_encoders.resident import release_file_pages
from trivium_encoders.runtimes.base import Item, ItemResult, padded_inputs, pooled, unpadded

# OpenVINO's bindings make their table of number types at the first inference, and two threads that do so at once wait
# for each other for ever with the interpreter's lock held (seen in one start of three).
_first_inference = threading.Lock()

# What OpenVINO prepares for a shape of batch, about four pieces, it keeps for each stream: 5,000 unless told, and a
# quarter of a megabyte for each shape. These are enough for the shapes of full batches; for others oneDNN still keeps
# the costly part, once for all streams.
_PREPARED = "64"


class OpenVinoRuntime:
    """A converted transformer, compiled once with one stream of one thread per session.

    Streams share the weights, so memory does not grow with the cores. Pinning is off: it would put streams of several
    processes on the same core, at half the speed. OpenVINO makes no more streams than there are cores, so the express
    session has a compiled model, and weights, of its own.

    Args:
        model: The converted transformer.
        head: What follows it.
        precision: `bf16` or `fp32`, or `int8` for a quantised transformer.
        pad_token_id: Fills the end of shorter texts.
        session_count: Sessions that will run at once.
        unquantized: With `int8`, the numbers of what is not quantised: `bf16` or `fp32`.
    """

    name = "openvino"
    budget_factor = 1

    def __init__(
        self,
        model: ConvertedModel,
        head: Head,
        *,
        precision: str,
        pad_token_id: int,
        session_count: int,
        unquantized: str = "fp32",
    ) -> None:
        import openvino  # type: ignore[import-untyped]

        self.precision = precision
        self.session_limit = session_count
        self.dimension = head.dimension
        self._head = head
        self._unquantized = unquantized
        self._inputs = model.inputs
        self._pad_token_id = pad_token_id
        self._core = openvino.Core()
        self._weights = model.graph.with_suffix(".bin")
        self._model = self._core.read_model(str(model.graph))
        self._compiled = self._compile(session_count)
        with _first_inference:
            self._request(self._compiled)

    def open_session(self) -> "OpenVinoSession":
        """Opens a session."""
        return self._session(self._compiled)

    def open_express_session(self) -> "OpenVinoSession":
        """Opens the session for short batches."""
        return self._session(self._compile(1))

    def _session(self, compiled: Any) -> "OpenVinoSession":
        request = self._request(compiled)
        release_file_pages(self._weights)
        return OpenVinoSession(request, self._head, self._inputs, self._pad_token_id)

    def _request(self, compiled: Any) -> Any:
        """A request that has run once: only then has its stream made its own form of the weights."""
        request = compiled.create_infer_request()
        one = np.ones((1, 1), dtype=np.int64)
        request.infer(dict.fromkeys(range(len(self._inputs)), one), share_inputs=True, share_outputs=True)
        return request

    def _compile(self, stream_count: int) -> Any:
        return self._core.compile_model(
            self._model,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if "bf16" in (self.precision, self._unquantized) else "f32",
                "NUM_STREAMS": stream_count,
                "INFERENCE_NUM_THREADS": stream_count,
                "ENABLE_CPU_PINNING": False,
                "CPU_RUNTIME_CACHE_CAPACITY": _PREPARED,
            },
        )


class OpenVinoSession:
    """One infer request."""

    def __init__(self, request: Any, head: Head, inputs: Sequence[str], pad_token_id: int) -> None:
        self._request = request
        self._head = head
        self._inputs = inputs
        self._pad_token_id = pad_token_id

    def run(self, items: Sequence[Item]) -> list[ItemResult]:
        """Computes a batch."""
        arrays = padded_inputs(items, self._pad_token_id)
        feed = {index: arrays[name] for index, name in enumerate(self._inputs)}
        output = self._request.infer(feed, share_inputs=True, share_outputs=True)[0]
        outputs = unpadded(output, items)
        return pooled(self._head, outputs, items)
