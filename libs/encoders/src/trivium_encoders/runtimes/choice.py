"""Chooses the runtime for a model."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version

from trivium_encoders.conversion import ConvertedModel, converted, output_kind
from trivium_encoders.cores import has_gpu, multiplies_bf16
from trivium_encoders.description import Family, ModelDescription
from trivium_encoders.digests import DigestCache
from trivium_encoders.errors import ConversionFailed, EncoderError, ModelUnsupported, QuantizationFailed
from trivium_encoders.fingerprint import fingerprint
from trivium_encoders.half_precision import bf16_objection
from trivium_encoders.judgement import JudgedModel
from trivium_encoders.options import EncoderOptions
from trivium_encoders.pooling import Head
from trivium_encoders.quality import violations
from trivium_encoders.quality_texts import OWN_TEXTS, read_quality_texts
from trivium_encoders.quantization import QuantizationJob, quantized
from trivium_encoders.runtimes.base import Runtime

_log = logging.getLogger(__name__)

_LEAST_BF16_COSINE = 0.999
_JUDGED_AT_A_TIME = 40


def usable_gpu() -> bool:
    """Whether torch has a GPU. Imports torch only where the driver shows a GPU and torch is no CPU build."""
    if not has_gpu() or version("torch").endswith("+cpu"):
        return False
    import torch

    return torch.cuda.is_available()


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """What is known when a runtime is chosen."""

    model: ModelDescription
    options: EncoderOptions
    output: Family
    make_head: Callable[[ModelDescription], Head]
    session_count: int
    max_tokens: int
    abandoned: threading.Event = field(default_factory=threading.Event)
    """Set when nobody waits for the model any more."""
    finds_gpu: Callable[[], bool] = usable_gpu

    def make(self) -> Runtime:
        """Loads the model on the best runtime: torch where it has a GPU, else OpenVINO, else torch.

        Raises:
            ConversionFailed: OpenVINO was asked for, and the model does not convert.
            QuantizationFailed: int8 was asked for, and cannot be had.
            ModelUnsupported: No runtime can run it.
        """
        if self.options.precision == "int8":
            return self._int8()
        wanted, obstacle = self.options.runtime, self.model.obstacle_to(self.output)
        if obstacle and self.model.family is not self.output:
            raise ModelUnsupported(f"model {self.model.name} has no token vectors to give: {obstacle}; choose another")
        if wanted != "openvino" and self.finds_gpu():
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
        graph = self._converted()
        wanted = self.options.precision
        return OpenVinoRuntime(
            graph,
            head,
            precision=self._best_precision(graph) if wanted == "auto" else wanted,
            pad_token_id=self.model.pad_token_id,
            session_count=self.session_count,
        )

    def _int8(self) -> Runtime:
        """int8 or nothing: who asks for it gets no other vectors in its place."""
        from trivium_encoders.runtimes.openvino import OpenVinoRuntime

        obstacle = self.model.obstacle_to(self.output)
        if self.options.runtime == "torch" or obstacle:
            why = f"model {self.model.name} runs on torch only ({obstacle})" if obstacle else "the runtime is torch"
            raise QuantizationFailed(f"int8 runs on OpenVINO, but {why}; choose precision auto, bf16 or fp32")
        if self.finds_gpu():
            _log.warning("int8 runs on the CPU; the GPU of this machine is not used")
        head = self.make_head(self.model)
        graph = self._converted()
        unquantized = "bf16" if self._bears_bf16(graph) else "fp32"  # judged with the rest
        job = QuantizationJob(
            model=self.model,
            output=self.output,
            fingerprint=fingerprint(
                self.model,
                max_tokens=self.max_tokens,
                dimension=head.dimension,
                cache=DigestCache(self.options.cache_dir / "digests"),
            ),
            graph=graph,
            max_tokens=self.max_tokens,
            unquantized=unquantized,
            texts=self.options.int8_texts or OWN_TEXTS,
        )
        return OpenVinoRuntime(
            quantized(job, self.options.cache_dir, self.abandoned),
            head,
            precision="int8",
            pad_token_id=self.model.pad_token_id,
            session_count=self.session_count,
            unquantized=unquantized,
        )

    def _converted(self) -> ConvertedModel:
        return converted(
            self.model,
            output_kind(self.model),
            self.options.cache_dir,
            self.abandoned,
            prepared_dir=self.options.prepared_dir,
        )

    def _best_precision(self, graph: ConvertedModel) -> str:
        """bf16 where the processor multiplies it and the model stays what it is, else fp32."""
        if not self._bears_bf16(graph):
            return "fp32"
        if self.model.family is not Family.PAIR:
            return "bf16"
        # A score is one number at the end of all layers: single ones say little, so pairs and their order are judged.
        try:
            objection = bf16_objection(self.model, graph, self.max_tokens, self.options.cache_dir, self.abandoned)
        except ConversionFailed as error:
            objection = f"it could not be judged: {error}"
        if objection:
            _log.warning("bf16 changes model %s too much (%s); it runs in fp32", self.model.name, objection)
        return "fp32" if objection else "bf16"

    def _bears_bf16(self, graph: ConvertedModel) -> bool:
        """Whether the processor multiplies bf16, and the transformer's outputs stay near."""
        if not multiplies_bf16():
            return False
        if graph.bf16_cosine < _LEAST_BF16_COSINE:
            _log.warning("bf16 changes model %s too much (cosine %.4f); using fp32", self.model.name, graph.bf16_cosine)
            return False
        return True

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
        from trivium_encoders.runtimes.torch import ModulesRuntime, best_precision

        is_chosen = self.options.precision != "auto"
        precision = self.options.precision if is_chosen else best_precision(device)
        if self.model.obstacle_to(self.output):
            return ModulesRuntime(
                self.model,
                precision=precision,
                device=device,
                max_tokens=self.max_tokens,
                thread_count=self.session_count,
            )
        runtime = self._transformer(device, precision)
        if is_chosen or precision == "fp32" or self.model.family is not Family.PAIR:
            return runtime
        exact = self._transformer(device, "fp32")
        judged = JudgedModel(self.model, self.output, self.max_tokens)
        texts = read_quality_texts(OWN_TEXTS)[1]
        objections = violations(*judged.compare(exact, runtime, texts, at_a_time=_JUDGED_AT_A_TIME))
        if not objections:
            return runtime
        _log.warning(
            "%s changes model %s too much (%s); it runs in fp32", precision, self.model.name, "; ".join(objections)
        )
        return exact

    def _transformer(self, device: str, precision: str) -> Runtime:
        from trivium_encoders.runtimes.torch import TorchRuntime

        head = self.make_head(self.model)
        return TorchRuntime(self.model, head, precision=precision, device=device, session_count=self.session_count)
