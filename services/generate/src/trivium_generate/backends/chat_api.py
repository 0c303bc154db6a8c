"""Answers by the chat API of a provider: what is the same for all of them."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from trivium_model_apis.calls import ApiFailure
from trivium_model_apis.token_estimates import token_count
from trivium_serving.errors import DeadlineExceeded, FailedPrecondition, Unavailable

from trivium_generate.answer import FinishReason, ModelDescription
from trivium_generate.backends.base import Beginning, Calling, Ending, Piece
from trivium_generate.backends.chat_provider import AnswerBlocked, Call, Checked, Stop, Text, Usage
from trivium_generate.backends.context_window import ContextWindow
from trivium_generate.backends.estimated_chat import EstimatedChat
from trivium_generate.backends.tool_calls import CallAssembly, CallPiece
from trivium_generate.prompting import PromptBuilder

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from trivium_model_apis.calls import ApiCalls
    from trivium_serving.errors import TriviumError

    from trivium_generate.answer import AnswerRequest
    from trivium_generate.backends.base import Output
    from trivium_generate.backends.chat_provider import ApiOptions, ChatProvider, Event
    from trivium_generate.prompting import BuiltPrompt
    from trivium_generate.prompts import Prompt

_logger = logging.getLogger(__name__)

_CHECK_SECONDS = 10.0
_CONTEXT_SECONDS = 1.0
# As many failures in a row, and the model is left alone until its check succeeds.
_FAILURES_IN_A_ROW = 5
# How long to wait for the usage of an answer that is complete.
_USAGE_SECONDS = 2.0
_NO_CALLS = "an answer that ends with calls of tools, and has none"
# What a check may fail with and the model still be usable: keys that may only chat, servers without a list of models.
_UNCHECKABLE = frozenset({400, 403, 404, 405, 406, 415, 422, 429, 501})


class ChatApiModel:
    """A language model behind a provider's API.

    Args:
        connect: Makes the provider's client, in another thread; nothing is sent by that.
        calls: Calls the API.
        options: Which one.
        prompts: The prompts by language.
        timeout_seconds: Longest wait for the next piece of an answer that has begun.
    """

    adapters = ()
    progress = ""

    def __init__(
        self,
        connect: Callable[[], ChatProvider],
        *,
        backend: str,
        calls: ApiCalls,
        options: ApiOptions,
        prompts: dict[str, Prompt],
        timeout_seconds: float,
    ) -> None:
        self._connect = connect
        self._provider: ChatProvider | None = None
        self._calls = calls
        self._options = options
        self._builder = PromptBuilder(EstimatedChat(), prompts)
        self._timeout_seconds = timeout_seconds
        self._broken = asyncio.Event()
        self._problem = ""
        self._failures = 0
        self._streams = 0
        self._backend = backend
        self._context = ContextWindow(options)
        self._is_context_doubted = False

    @property
    def description(self) -> ModelDescription:
        """The model, as far as it is known."""
        identity = f"{self._backend}\n{self._options.model}"
        return ModelDescription(
            name=self._options.model,
            backend=self._backend,
            runtime="api",
            fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
            max_input_tokens=self._context.tokens,
        )

    @property
    def concern(self) -> str:
        """What is wrong though the model answers; empty if nothing is."""
        return self._context.concern

    async def load(self) -> None:
        """Asks the API about the model, which costs nothing; no answer is written.

        Raises:
            FailedPrecondition: The key is refused, or the provider has no such model.
            Unavailable: It cannot be reached.
        """
        self._broken.clear()
        self._failures = 0
        if self._provider is None:
            self._provider = await asyncio.to_thread(self._connect)  # the SDKs import much
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                found = await self._provider.check()
        except TimeoutError as error:
            failure = ApiFailure(f"no answer within {_CHECK_SECONDS:g} s")
            raise self._calls.error_of(failure, _CHECK_SECONDS) from error
        except ApiFailure as failure:
            if failure.status not in _UNCHECKABLE:
                raise self._calls.error_of(failure, _CHECK_SECONDS) from failure
            _logger.info("%s cannot be checked beforehand: %s", self._options.model, failure.message)
            found = Checked()
        if found.is_known is False:
            missing = ApiFailure(f"it has no model {self._options.model} for this key.", status=404)
            if not self._options.url:
                raise self._calls.error_of(missing, _CHECK_SECONDS)
            _logger.warning("%s does not list a model %s", self._options.url, self._options.model)
        self._context.take(found)

    async def generate(self, request: AnswerRequest) -> AsyncGenerator[Output, None]:
        """Writes an answer; closing the generator closes the connection."""
        if self._provider is None:
            raise Unavailable("The model's API is being checked. Try again soon.", reason="LOADING")
        begin = time.perf_counter()
        if self._is_context_doubted:
            await self._ask_for_context()
        prompt, max_tokens = await asyncio.to_thread(self._prepare, request)
        prompt_tokens = len(prompt.token_ids)
        yield Beginning(
            prompt_tokens=prompt_tokens,
            dropped_passages=prompt.dropped_passages,
            prompt_ms=(time.perf_counter() - begin) * 1e3,
            dropped_turn_count=prompt.dropped_turn_count,
        )
        call = Call(prompt.turns, request.sampling, max_tokens, replace(request.tools, definitions=prompt.tools))
        usage, stop, written, calls = Usage(), None, 0, CallAssembly()
        async with aclosing(self._events(call, prompt_tokens, request.deadline)) as events:
            async for event in events:
                if isinstance(event, Text):
                    tokens = len(event.logprobs) or token_count(event.text)
                    written += tokens
                    yield Piece(event.text, tokens, event.logprobs)
                elif isinstance(event, CallPiece):
                    if not calls:
                        yield Calling()
                    written += token_count(event.arguments)
                    calls.add(event)
                elif isinstance(event, Usage):
                    usage = _newer(usage, event)
                else:
                    stop = event
        if stop is None:
            raise Unavailable("The model's API ended the stream before the answer was complete. Try again.")
        reason = stop.reason
        if reason is FinishReason.TOOL_CALLS and not calls:
            raise Unavailable(f"The model's API sent {_NO_CALLS}. Try again.")
        if calls and reason is not FinishReason.LENGTH:  # else the last of them is cut off
            yield Piece("", 0, tool_calls=calls.whole())
            reason = FinishReason.TOOL_CALLS  # not every server says so
        self._is_context_doubted = self._context.is_assumed
        is_cut = self._context.looks_cut(prompt.turns, usage.prompt_tokens)
        yield Ending(
            reason=reason,
            completion_tokens=written if usage.completion_tokens is None else usage.completion_tokens,
            queue_ms=0.0,
            prompt_tokens=usage.prompt_tokens,
            is_estimated=usage.prompt_tokens is None or usage.completion_tokens is None,
            is_prompt_cut=is_cut,
        )

    async def wait_until_broken(self) -> str:
        """Returns when the API refuses what every request has, or has failed too often in a row."""
        await self._broken.wait()
        return self._problem

    async def close(self) -> None:
        """Closes the connections, unless answers are still being read from them: the next load goes on with those."""
        if self._provider is not None and not self._streams:
            provider, self._provider = self._provider, None
            await provider.close()

    async def _ask_for_context(self) -> None:
        """Asks the server again, which may know more once it has answered."""
        self._is_context_doubted = False
        if self._provider is None:
            return
        try:
            async with asyncio.timeout(_CONTEXT_SECONDS):
                self._context.take(await self._provider.check())
        except (TimeoutError, ApiFailure) as error:
            _logger.info("the context of %s cannot be asked for: %s", self._options.model, error)

    def _prepare(self, request: AnswerRequest) -> tuple[BuiltPrompt, int]:
        context = self._context.tokens
        wanted = request.sampling.max_tokens or self._options.default_max_tokens
        # An answer as long as the context would leave no room for what it is to be made from.
        prompt = self._builder.build(request, max(context - wanted, context // 2))
        return prompt, min(wanted, max(1, context - len(prompt.token_ids)))

    async def _events(self, call: Call, prompt_tokens: int, deadline: float | None) -> AsyncGenerator[Event, None]:
        """The events of the first attempt that comes to write something, to their end."""
        provider = self._provider
        if provider is None:  # it was closed while the prompt was built
            raise Unavailable("The model's API is being checked. Try again soon.", reason="LOADING")
        self._streams += 1
        try:
            async with AsyncExitStack() as held:
                first, events = await self._open(provider, call, prompt_tokens + call.max_tokens, deadline, held)
                held.push_async_callback(events.aclose)
                for event in first:
                    yield event
                stopped = isinstance(first[-1], Stop)
                while (further := await self._next(events, stopped)) is not None:
                    stopped = stopped or isinstance(further, Stop)
                    yield further
        finally:
            self._streams -= 1

    async def _open(
        self, provider: ChatProvider, call: Call, tokens: int, deadline: float | None, held: AsyncExitStack
    ) -> tuple[list[Event], AsyncGenerator[Event, None]]:
        """Attempts until one comes to write something: what it says up to its first text or its end, and the rest."""

        async def send() -> tuple[list[Event], AsyncGenerator[Event, None]]:
            first: list[Event] = []
            events = provider.stream(call)
            try:
                async for event in events:
                    first.append(event)
                    if event == Stop(FinishReason.TOOL_CALLS):
                        raise ApiFailure(_NO_CALLS)
                    if not isinstance(event, Usage):
                        return first, events
                raise ApiFailure("a stream that ends before an answer begins")
            except BaseException:
                await events.aclose()
                raise

        try:
            opened = await self._calls.call(send, tokens=tokens, bulk=False, deadline=deadline, held=held)
        except AnswerBlocked:
            raise
        except FailedPrecondition as error:
            self._break(error)  # the next request would fare no better
            raise
        except DeadlineExceeded:
            raise
        except Unavailable as error:
            self._failures += 1
            if self._failures >= _FAILURES_IN_A_ROW:
                self._break(error)
            raise
        self._failures = 0
        return opened

    async def _next(self, events: AsyncGenerator[Event, None], stopped: bool) -> Event | None:
        """The next event; None after the last. Of an answer that is complete only the usage may be missing.

        Raises:
            Unavailable: The stream broke. What has been written cannot be taken up again.
        """
        seconds = min(self._timeout_seconds, _USAGE_SECONDS) if stopped else self._timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await anext(events, None)
        except TimeoutError as error:
            problem: Exception = error
            said = f"nothing came for {seconds:g} s"
        except ApiFailure as failure:
            problem, said = failure, failure.message
        if stopped:
            return None
        raise Unavailable(
            "The model's API broke off in the middle of the answer. Try again.", reason="UPSTREAM_UNAVAILABLE"
        ).because(said) from problem

    def _break(self, error: TriviumError) -> None:
        self._problem = error.message
        self._broken.set()


def _newer(usage: Usage, said: Usage) -> Usage:
    return Usage(
        usage.prompt_tokens if said.prompt_tokens is None else said.prompt_tokens,
        usage.completion_tokens if said.completion_tokens is None else said.completion_tokens,
    )
