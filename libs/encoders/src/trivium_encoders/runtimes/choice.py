"""Chooses the runtime for a model."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from trivium_encoders.conversion import ConvertedModel, converted
from trivium_encoders.cores import has_gpu, multiplies_bf16
from trivium_encoders.description import Family, ModelDescription
from trivium_encoders.errors import ConversionFailed, EncoderError, ModelUnsupported
from trivium_encoders.options import EncoderOptions
from trivium_encoders.pooling import Head
from trivium_encoders.runtimes.base import Runtime

_log = logging.getLogger(__name__)

_LEAST_BF16_COSINE = 0.999


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """What is known when a runtime is chosen."""

    model: ModelDescription
    options: EncoderOptions
    output: Family
    make_head: Callable[[ModelDescription], Head]
    session_count: int
    max_tokens: int

    def make(self) -> Runtime:
        """Loads the model on the best runtime: torch where it has a GPU, else OpenVINO, else torch.

        Raises:
            ConversionFailed: OpenVINO was asked for, and the model does not convert.
            ModelUnsupported: No runtime can run it.
        """
        wanted, obstacle = self.options.runtime, self.model.obstacle_to(self.output)
        if obstacle and self.model.family is not self.output:
            raise ModelUnsupported(f"model {self.model.name} has no token vectors to give: {obstacle}; choose another")
        if wanted != "openvino" and has_gpu() and not version("torch").endswith("+cpu"):
            from trivium_encoders.runtimes.torch import torch_device

            if torch_device(wants_gpu=True) == "cuda":
                return self._torch("cuda")
        if wanted == "torch":
            return self._torch("cpu")
        if obstacle:
            reason = f"model {self.model.name} needs its own modules: {obstacle}"
            if wanted == "openvino":
                raise ConversionFailed(f"{reason}; use runtime torch")
            _log.warning("%s; it runs on torch", reason)
            return self._torch("cpu")
        try:
            return self._openvino()
        except ConversionFailed as error:
            if wanted == "openvino":
                raise
            _log.warning("%s; it runs on torch, slower", error)
            return self._torch("cpu")

    def _openvino(self) -> Runtime:
        from trivium_encoders.runtimes.openvino import OpenVinoRuntime

        head = self.make_head(self.model)  # refuses before the long conversion
        kind = "logits" if self.model.family is Family.PAIR else "hidden"
        graph = converted(self.model, kind, self.options.cache_dir)
        return OpenVinoRuntime(
            graph,
            head,
            precision=self._openvino_precision(graph),
            pad_token_id=self.model.pad_token_id,
            session_count=self.session_count,
        )

    def _openvino_precision(self, graph: ConvertedModel) -> str:
        if self.options.precision != "auto":
            return self.options.precision
        if not multiplies_bf16():
            return "fp32"
        if graph.bf16_cosine < _LEAST_BF16_COSINE:
            _log.warning("bf16 changes model %s too much (cosine %.4f); using fp32", self.model.name, graph.bf16_cosine)
            return "fp32"
        return "bf16"

    def _torch(self, device: str) -> Runtime:
        try:
            return self._load_torch(device)
        except EncoderError:
            raise
        except Exception as error:  # transformers and torch raise what they like
            reason = next(iter(str(error).splitlines()), "no detail")
            raise ModelUnsupported(
                f"model {self.model.name} cannot be loaded by torch ({type(error).__name__}: {reason});"
                " fetch it again, or choose another"
            ) from error

    def _load_torch(self, device: str) -> Runtime:
        from trivium_encoders.runtimes.torch import ModulesRuntime, TorchRuntime

        precision = self.options.precision
        if precision == "auto":
            precision = "bf16" if device == "cuda" else "fp32"
        if self.model.obstacle_to(self.output):
            return ModulesRuntime(
                self.model,
                precision=precision,
                device=device,
                max_tokens=self.max_tokens,
                thread_count=self.session_count,
            )
        return TorchRuntime(
            self.model, self.make_head(self.model), precision=precision, device=device, session_count=self.session_count
        )
