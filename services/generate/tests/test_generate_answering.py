"""The path from a request to an answer with a model that does what each test says.

The real engine is in tests/vllm; what it cannot be made to do at will, such as break between two pieces, is here.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from trivium_generate.answer import (
    AnswerRequest,
    Delta,
    Finish,
    FinishReason,
    Mode,
    ModelDescription,
    Passage,
    Sampling,
    TokenLogprob,
)
from trivium_generate.answering import Answerer
from trivium_generate.backends.base import Beginning, Ending, Output, Piece, PromptTooLong
from trivium_generate.extractive.answering import ExtractiveAnswerer
from trivium_generate.limits import Limits
from trivium_generate.metrics import GenerateMetrics
from trivium_generate.supervision import ModelState, SupervisedModel
from trivium_serving.admission import Admission
from trivium_serving.background import Background
from trivium_serving.errors import FailedPrecondition, InvalidField, Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    Step = Output | Exception | asyncio.Event

PASSAGES = (Passage("The bridge opened in May 1937.", "", 0.9), Passage("Boats pass below.", "", 0.1))
BEGINNING = Beginning(7, (2,), 1.0)
ENDING = Ending(FinishReason.STOP, 3, 2.0)
BROKEN = Unavailable("The engine died.")


class ScriptedModel:
    """A language model that follows a script: what it yields, raises or waits for, one request like the other."""

    def __init__(self, script: Iterable[Step] = (), load_errors: Iterable[Exception] = ()) -> None:
        self.script = list(script)
        self.load_errors = list(load_errors)
        self.loading = asyncio.Event()
        self.broken = asyncio.Event()
        self.open_streams = 0
        self.loads = 0
        self.description = ModelDescription("scripted", "scripted")
        self.adapters = ("legal",)
        self.progress = "counting to ten"
        self.concern = ""

    async def load(self) -> None:
        await self.loading.wait()
        self.loads += 1
        self.broken.clear()
        if self.load_errors:
            raise self.load_errors.pop(0)

    async def generate(self, request: AnswerRequest) -> AsyncGenerator[Output, None]:
        self.open_streams += 1
        try:
            yield BEGINNING
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                    continue
                yield step
        finally:
            self.open_streams -= 1

    async def wait_until_broken(self) -> str:
        await self.broken.wait()
        return "it broke"

    async def close(self) -> None:
        pass


class Fixture:
    """An answerer over a scripted model, and what it counts."""

    def __init__(self, model: ScriptedModel | None, places: int = 9) -> None:
        self.registry = CollectorRegistry()
        self.metrics = GenerateMetrics(self.registry, ("extractive", "scripted"))
        self.background = Background("generate", self.registry, first_pause_seconds=0.001)
        self.changes: list[bool] = []
        self.states: list[ModelState] = []
        self.changed = asyncio.Condition()
        self.model: Any = None
        if model is not None:
            self.model = SupervisedModel(
                model,
                background=self.background,
                observer=self.metrics,
                on_change=self._on_change,
                first_pause_seconds=0.001,
                longest_pause_seconds=0.002,
            )
        self.model_places = self._places("model", places)
        self.answerer = Answerer(
            extractive=ExtractiveAnswerer(None, 16),
            model=self.model,
            limits=Limits(),
            metrics=self.metrics,
            extractive_places=self._places("extractive", 9),
            model_places=self.model_places,
        )

    def _places(self, name: str, count: int) -> Admission:
        return Admission(service=f"generate_{name}", registry=self.registry, max_requests=count, max_tokens=10**9)

    async def _on_change(self, ready: bool) -> None:
        async with self.changed:
            self.changes.append(ready)
            self.states.append(self.model.state)
            self.changed.notify_all()

    async def until(self, state: ModelState) -> None:
        """Waits until the model is in a state."""
        assert self.model is not None
        async with asyncio.timeout(5), self.changed:
            await self.changed.wait_for(lambda: self.model.state is state)

    async def ask(self, mode: Mode = Mode.AUTO, **changes: Any) -> tuple[str, Finish]:
        """A whole answer."""
        events = await self.events(mode, **changes)
        assert isinstance(events[-1], Finish)
        return "".join(event.text for event in events if isinstance(event, Delta)), events[-1]

    async def events(self, mode: Mode = Mode.AUTO, **changes: Any) -> list[Delta | Finish]:
        """The events of an answer."""
        request = replace(AnswerRequest("When?", PASSAGES, mode=mode), **changes)
        return [event async for event in self.answerer.answer(request)]

    def value(self, name: str, **labels: str) -> float:
        """A metric's value."""
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, name
        return value


@pytest.fixture
async def ready() -> AsyncIterator[Any]:
    """Makes fixtures whose model is loaded."""
    started: list[Fixture] = []

    async def make(*script: Step, places: int = 9) -> Fixture:
        model = ScriptedModel(script)
        model.loading.set()
        fixture = Fixture(model, places)
        await fixture.model.start()
        started.append(fixture)
        await fixture.until(ModelState.READY)
        return fixture

    yield make
    for fixture in started:
        await fixture.model.close()


async def test_answer_of_the_model_is_parsed_and_counted(ready: Any) -> None:
    fixture = await ready(Piece("In 1937 [", 3), Piece("1][2", 2), Piece("].", 1), ENDING)
    text, finish = await fixture.ask()
    assert text == "In 1937 [1]."
    assert (finish.removed_citation_count, finish.prompt_tokens, finish.completion_tokens) == (1, 7, 3)
    assert finish.dropped_passages == (2,)
    assert finish.model.name == "scripted"
    assert finish.degradation is None
    assert fixture.value("trivium_generate_prompt_tokens_total") == 7
    assert fixture.value("trivium_generate_completion_tokens_total") == 3
    assert fixture.value("trivium_generate_removed_citations_total") == 1
    assert fixture.value("trivium_generate_dropped_passages_total") == 1
    assert fixture.value("trivium_generate_time_to_first_token_seconds_count", backend="scripted") == 1
    assert fixture.value("trivium_generate_time_between_tokens_seconds_count") == 3
    assert fixture.value("trivium_generate_running_requests", backend="scripted") == 0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (BROKEN, "unavailable"),
        (Overloaded("Full."), "overloaded"),
        (PromptTooLong("Too long.", field="passages"), "unavailable"),
    ],
)
async def test_answer_in_mode_auto_of_a_model_that_fails_at_first_is_extractive(
    ready: Any, error: Any, reason: Any
) -> None:
    fixture = await ready(Piece(" ", 1), Piece("[", 1), error)
    text, finish = await fixture.ask()
    assert text.startswith("The bridge opened in May 1937. [1]")
    assert finish.degradation is not None
    assert (finish.degradation.stage, finish.degradation.reason, finish.degradation.fallback) == (
        "generate", reason, "extractive"
    )  # fmt: skip
    assert fixture.value("trivium_generate_fallbacks_total", fallback="extractive", reason=reason) == 1


async def test_answer_in_mode_model_of_a_model_that_fails_fails(ready: Any) -> None:
    fixture = await ready(BROKEN)
    with pytest.raises(Unavailable):
        await fixture.ask(Mode.MODEL)


async def test_answer_of_a_model_that_breaks_after_its_first_text_fails(ready: Any) -> None:
    fixture = await ready(Piece("In 19", 2), BROKEN)
    answer = fixture.answerer.answer(AnswerRequest("When?", PASSAGES))
    assert await anext(answer) == Delta("In 19")
    with pytest.raises(Unavailable):
        await anext(answer)


async def test_answer_without_an_ending_fails(ready: Any) -> None:
    fixture = await ready(Piece("In 19", 2))
    with pytest.raises(Unavailable):
        await fixture.ask()


async def test_answer_with_a_value_that_the_model_refuses_is_not_hidden_by_a_fallback(ready: Any) -> None:
    fixture = await ready(InvalidField("sampling", "No."))
    with pytest.raises(InvalidField):
        await fixture.ask()


async def test_answer_over_the_places_of_the_model_falls_back_or_is_refused(ready: Any) -> None:
    fixture = await ready(Piece("x", 1), ENDING, places=1)
    with fixture.model_places.admit(1):
        _, finish = await fixture.ask()
        with pytest.raises(Overloaded):
            await fixture.ask(Mode.MODEL)
    assert finish.degradation is not None
    assert finish.degradation.reason == "overloaded"
    assert (await fixture.ask())[0] == "x"


async def test_answer_that_is_left_closes_the_models_stream(ready: Any) -> None:
    fixture = await ready(Piece("one", 1), Piece("two", 1), ENDING)
    answer = fixture.answerer.answer(AnswerRequest("When?", PASSAGES))
    await anext(answer)
    assert fixture.model._model.open_streams == 1
    await answer.aclose()
    assert fixture.model._model.open_streams == 0
    assert fixture.value("trivium_generate_model_in_flight_requests") == 0


async def test_answer_while_the_model_loads_is_extractive_and_says_loading() -> None:
    fixture = Fixture(ScriptedModel([Piece("x", 1), ENDING]))
    await fixture.model.start()
    try:
        _, finish = await fixture.ask()
        with pytest.raises(Unavailable) as raised:
            await fixture.ask(Mode.MODEL)
        assert fixture.value("trivium_generate_model_state", state="loading") == 1
    finally:
        await fixture.model.close()
    assert finish.degradation is not None
    assert finish.degradation.reason == "loading"
    assert raised.value.reason == "LOADING"


async def test_answer_in_mode_model_without_a_model_is_refused() -> None:
    with pytest.raises(FailedPrecondition):
        await Fixture(None).ask(Mode.MODEL)


async def test_model_that_breaks_is_restarted(ready: Any) -> None:
    fixture = await ready(Piece("x", 1), ENDING)
    fixture.model._model.loading.clear()
    fixture.model._model.broken.set()
    await fixture.until(ModelState.LOADING)
    _, finish = await fixture.ask()
    fixture.model._model.loading.set()
    await fixture.until(ModelState.READY)
    assert finish.degradation is not None
    assert fixture.changes == [False, True, False, False, True]
    assert (await fixture.ask())[0] == "x"
    assert fixture.value("trivium_generate_model_restarts_total") == 1


async def test_model_that_does_not_load_is_tried_again_and_says_why() -> None:
    model = ScriptedModel([Piece("x", 1), ENDING], [Unavailable("No route to the hub.")] * 3)
    fixture = Fixture(model)
    await fixture.model.start()
    try:
        model.loading.set()
        await fixture.until(ModelState.FAILED)
        assert fixture.model.detail == "No route to the hub."
        await fixture.until(ModelState.READY)
        assert model.loads == 4
        assert fixture.value("trivium_generate_model_restarts_total") == 3
    finally:
        await fixture.model.close()


async def test_model_whose_settings_cannot_be_right_is_not_tried_again() -> None:
    model = ScriptedModel([Piece("x", 1), ENDING], [FailedPrecondition("No such argument.")])
    fixture = Fixture(model)
    await fixture.model.start()
    try:
        assert fixture.model.detail.startswith("loading, counting to ten, 0 s")
        model.loading.set()
        await fixture.until(ModelState.FAILED)
        await asyncio.wait_for(asyncio.shield(fixture.model._task), 5)
        with pytest.raises(Unavailable) as raised:
            await fixture.ask(Mode.MODEL)
        _, finish = await fixture.ask()
    finally:
        await fixture.model.close()
    assert (raised.value.reason, fixture.model.detail) == ("MODEL_MISCONFIGURED", "No such argument.")
    assert "No such argument." not in raised.value.message  # whoever asks a question is told no settings
    assert finish.degradation is not None
    assert model.loads == 1


async def test_model_whose_supervision_breaks_is_failed_and_not_loading_and_comes_back() -> None:
    fixture = Fixture(ScriptedModel([Piece("x", 1), ENDING], [KeyError("nobody expected this")]))
    fixture.model._model.loading.set()
    await fixture.model.start()
    try:
        await fixture.until(ModelState.READY)
    finally:
        await fixture.model.close()
    assert fixture.states == [ModelState.LOADING, ModelState.FAILED, ModelState.READY]
    assert fixture.value("trivium_generate_background_failures_total", task="model") == 1


async def test_model_that_ran_before_is_tried_again_whatever_stops_it(ready: Any) -> None:
    fixture = await ready(Piece("x", 1), ENDING)
    fixture.model._model.load_errors.append(FailedPrecondition("Not enough of something."))
    fixture.model._model.broken.set()
    await fixture.until(ModelState.FAILED)
    async with asyncio.timeout(5):
        await fixture.until(ModelState.READY)
    assert fixture.model._model.loads == 3


async def test_answer_under_a_schema_is_never_altered_or_replaced(ready: Any) -> None:
    sampling = Sampling(json_schema="{}")
    fixture = await ready(Piece('{"a": "see  [9]', 3), Piece(', ［1］"} \n', 2), ENDING)
    text, finish = await fixture.ask(sampling=sampling)
    assert text == '{"a": "see  [9], ［1］"} \n'
    assert finish.removed_citation_count == 0
    fixture.model._model.script = [BROKEN]
    with pytest.raises(Unavailable):
        await fixture.ask(sampling=sampling)
    with fixture.model_places.admit(1), fixture.model_places.admit(10**9 - 1), pytest.raises(Overloaded):
        await fixture.ask(sampling=sampling)


THOUGHT = (Piece("<thi", 1), Piece("nk>In 1066 [1]?", 5), Piece("</think", 1))


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        ((*THOUGHT, Piece(">\n", 1), Piece("\nIn 1937 [1].", 4)), "In 1937 [1]."),
        ((Beginning(7, (), 1.0, is_thinking=True), Piece("1066? </think>In", 9), Piece(" 1937.", 1)), "In 1937."),
        ((Piece("<", 1), Piece("thin ice>", 1)), "<thin ice>"),
        ((Piece("In 1937 <think>", 3), Piece(" [1]</think>", 3)), "In 1937 <think> [1]</think>"),
    ],
    ids=["thought", "thought that the prompt opened", "no thought", "no thought after text"],
)
async def test_answer_is_without_what_was_thought_before_it(ready: Any, script: Any, answer: str) -> None:
    fixture = await ready(*script, ENDING)
    text, finish = await fixture.ask(Mode.MODEL)
    assert text == answer
    assert finish.completion_tokens == 3


async def test_answer_under_a_schema_may_hold_the_marks_of_thinking(ready: Any) -> None:
    fixture = await ready(*THOUGHT, Piece('>{"a": ', 3), Piece('"<think>x</think>"} ', 9), ENDING)
    text, _ = await fixture.ask(sampling=Sampling(json_schema="{}"))
    assert text == '{"a": "<think>x</think>"} '
    fixture.model._model.script = [Piece(' {"a": "<think>x</think>"}', 3), ENDING]
    assert (await fixture.ask(sampling=Sampling(json_schema="{}")))[0] == ' {"a": "<think>x</think>"}'


@pytest.mark.parametrize("reason", FinishReason)
async def test_answer_that_is_all_thought_is_replaced_or_an_error(ready: Any, reason: FinishReason) -> None:
    fixture = await ready(*THOUGHT, Ending(reason, 9, 2.0))
    text, finish = await fixture.ask()
    with pytest.raises(FailedPrecondition) as raised:
        await fixture.ask(Mode.MODEL)
    assert text.startswith("The bridge opened in May 1937. [1]")
    assert finish.degradation is not None
    assert raised.value.reason == "ANSWER_EMPTY"
    assert fixture.model.state is ModelState.READY


async def test_answer_that_is_thought_about_for_too_long_is_extractive(ready: Any) -> None:
    fixture = await ready(*THOUGHT, asyncio.Event())
    _, finish = await fixture.ask(deadline=asyncio.get_running_loop().time() + 0.2)
    assert finish.degradation is not None
    assert (finish.degradation.reason, finish.degradation.fallback) == ("timeout", "extractive")
    assert fixture.model._model.open_streams == 0


async def test_answer_carries_no_log_probabilities_of_thoughts(ready: Any) -> None:
    tokens = [TokenLogprob(text, -0.5) for text in ("<think>", "Hm", "</think>", "\n", "<", "b>")]
    fixture = await ready(*(Piece(token.token, 1, (token,)) for token in tokens), ENDING)
    *thought, _ = await fixture.events()
    fixture.model._model.script = [*(Piece(token.token, 1, (token,)) for token in tokens[4:]), ENDING]
    *held, _ = await fixture.events()
    assert [(delta.text, delta.logprobs) for delta in thought] == [("<", (tokens[4],)), ("b>", (tokens[5],))]
    assert [(delta.text, delta.logprobs) for delta in held] == [("<b>", tuple(tokens[4:]))]


async def test_answer_in_a_conversation_without_passages_is_never_extractive(ready: Any) -> None:
    fixture = await ready(Piece("As [1] says.", 3), ENDING)
    text, _ = await fixture.ask(passages=(), is_conversation=True)
    assert text == "As [1] says."
    fixture.model._model.script = [BROKEN]
    with pytest.raises(Unavailable):
        await fixture.ask(passages=(), is_conversation=True)


async def test_answer_carries_the_log_probabilities_of_held_text_with_what_follows(ready: Any) -> None:
    tokens = [TokenLogprob(text, -0.5) for text in ("In", " [", "1", "]", " ")]
    fixture = await ready(*(Piece(token.token, 1, (token,)) for token in tokens), ENDING)
    *deltas, _ = await fixture.events()
    assert [(delta.text, delta.logprobs) for delta in deltas] == [
        ("In", (tokens[0],)),
        (" [1]", tuple(tokens[1:4])),
        ("", (tokens[4],)),
    ]


async def test_answer_with_an_adapter_names_it(ready: Any) -> None:
    fixture = await ready(Piece("x", 1), ENDING)
    _, finish = await fixture.ask(adapter="legal")
    assert (finish.model.name, finish.model.fingerprint) == ("legal", "+legal")
    with pytest.raises(InvalidField) as raised:
        await fixture.ask(adapter="medical")
    assert raised.value.field == "adapter"
