"""Keeps a language model alive: loads it in the background, watches it, starts it again when it broke.

What a restart cannot mend, such as a setting that does not exist, is not tried again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Protocol

from trivium_serving.errors import FailedPrecondition, TriviumError, Unavailable
from trivium_serving.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from trivium_serving.background import Background

    from trivium_generate.answer import AnswerRequest, ModelDescription
    from trivium_generate.backends.base import LanguageModel, Output

_logger = logging.getLogger(__name__)

_LOG_SECONDS = 10  # between two lines about how far loading is


class ModelState(Enum):
    """State of the language model."""

    NONE = "none"
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"


class ModelObserver(Protocol):
    """Who counts what happens to a model."""

    def model_state(self, state: ModelState) -> None:
        """The model is in this state now."""

    def model_loading(self, seconds: float) -> None:
        """The model has been loading for so long; 0 once that has ended, well or not."""

    def model_loaded(self, seconds: float) -> None:
        """The model was loaded."""

    def model_restarted(self) -> None:
        """The model is being started again."""


class SupervisedModel:
    """A language model that is loaded in the background and comes back when it breaks.

    Args:
        model: The model; this owns it from now on.
        background: Runs the supervision.
        observer: Counts what happens.
        on_change: Called after each change of state, with whether the model is ready.
        first_pause_seconds: Pause before the first restart; it doubles with each failure in a row.
        longest_pause_seconds: Where doubling ends.
    """

    def __init__(
        self,
        model: LanguageModel,
        *,
        background: Background,
        observer: ModelObserver,
        on_change: Callable[[bool], Awaitable[None]],
        first_pause_seconds: float,
        longest_pause_seconds: float,
    ) -> None:
        self._model = model
        self._background = background
        self._observer = observer
        self._on_change = on_change
        self._first_pause_seconds = first_pause_seconds
        self._longest_pause_seconds = longest_pause_seconds
        self._task: asyncio.Task[None] | None = None
        self._is_beyond_restart = False
        self.state = ModelState.LOADING
        self._detail = "not started"
        self._since = time.monotonic()

    @property
    def description(self) -> ModelDescription:
        """What the model is."""
        return self._model.description

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters that requests may ask for."""
        return self._model.adapters

    @property
    def detail(self) -> str:
        """What the state means in words, for operators: how far loading is and how long it has taken, or why it failed.

        An engine of our own is quoted here, so whoever only asks a question is not told.
        """
        if self.state is ModelState.LOADING:
            return f"{self._detail}, {self._so_far()}"
        return self._model.concern if self.state is ModelState.READY else self._detail

    async def start(self) -> None:
        """Begins to load, and returns at once."""
        _logger.info("loading model %s", self.description.name)
        await self._change(ModelState.LOADING, "loading")
        self._task = self._background.start("model", self._supervise)

    async def close(self) -> None:
        """Stops watching and releases the model."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._model.close()

    def generate(self, request: AnswerRequest) -> AsyncGenerator[Output, None]:
        """As LanguageModel.generate, of a model that may not be ready.

        Raises:
            Unavailable: It is loading (reason LOADING), or broken.
        """
        name = self.description.name
        if self.state is ModelState.LOADING:
            raise Unavailable(
                f"The model {name} is still loading ({self._so_far()}). Try again soon.", reason="LOADING"
            )
        if self._is_beyond_restart:
            raise Unavailable(
                f"The model {name} cannot be started. An operator has to correct its settings: the log of the generate "
                "service says which.",
                reason="MODEL_MISCONFIGURED",
            )
        if self.state is not ModelState.READY:
            raise Unavailable(f"The model {name} is down and will be restarted. Try again soon.").because(self._detail)
        return self._model.generate(request)

    async def _supervise(self) -> None:
        """Keeps the model alive; an error that is not foreseen must not look like a model that still loads."""
        try:
            await self._keep_alive()
        except Exception as error:
            await self._change(ModelState.FAILED, f"its supervision failed with {error!r}; the log has the cause")
            await self._model.close()
            raise

    async def _keep_alive(self) -> None:
        pause_seconds, has_run = self._first_pause_seconds, False
        while True:
            begin = time.monotonic()
            try:
                await self._load()
            except FailedPrecondition as error:
                if not has_run:  # else its settings are right, whatever it says
                    await self._give_up(error)
                    return
                problem = self._log_problem(error)
            except TriviumError as error:
                problem = self._log_problem(error)
            else:
                has_run = True
                self._observer.model_loaded(time.monotonic() - begin)
                _logger.info("model %s loaded in %.1f s", self.description.name, time.monotonic() - begin)
                await self._change(ModelState.READY, "")
                pause_seconds = self._first_pause_seconds
                problem = await self._model.wait_until_broken()
            _logger.error("model %s is down: %s; next start in %.0f s", self.description.name, problem, pause_seconds)
            await self._change(ModelState.FAILED, problem)
            await self._model.close()
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, self._longest_pause_seconds)
            self._observer.model_restarted()
            await self._change(ModelState.LOADING, f"restarting after: {problem}")

    async def _give_up(self, error: TriviumError) -> None:
        problem = self._log_problem(error)
        _logger.error("model %s cannot be started, and is not tried again: %s", self.description.name, problem)
        self._is_beyond_restart = True
        await self._change(ModelState.FAILED, problem)
        await self._model.close()

    def _log_problem(self, error: TriviumError) -> str:
        """What an error says to others; what it comes from goes to the log only."""
        log_failure(_logger, f"loading model {self.description.name}", error)
        return error.message

    def _so_far(self) -> str:
        return ", ".join(filter(None, (self._model.progress, f"{time.monotonic() - self._since:.0f} s so far")))

    async def _load(self) -> None:
        """Loads the model, telling now and then how far it is."""
        begin = time.monotonic()

        async def tell() -> None:
            for second in count(1):
                await asyncio.sleep(1)
                self._observer.model_loading(time.monotonic() - begin)
                if second % _LOG_SECONDS == 0:
                    _logger.info("model %s: %s", self.description.name, self.detail)

        telling = asyncio.create_task(tell(), name="model progress")
        try:
            await self._model.load()
        finally:
            telling.cancel()
            self._observer.model_loading(0)

    async def _change(self, state: ModelState, detail: str) -> None:
        self.state, self._detail, self._since = state, detail, time.monotonic()
        self._observer.model_state(state)
        await self._on_change(state is ModelState.READY)
