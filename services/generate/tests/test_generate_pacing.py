"""How many tokens go together."""

from contextlib import ExitStack

import pytest
from trivium_generate.backends.pacing import Pacing


@pytest.mark.parametrize(
    ("answers", "token_seconds", "tokens"),
    [(1, 0.001, 1), (16, 0.010, 3), (16, 0.030, 1), (64, 0.020, 2), (1000, 0.005, 10), (16, 0.0, 1)],
)
def test_pacing_by_answers_and_speed_sets_tokens_per_piece(answers: int, token_seconds: float, tokens: int) -> None:
    pacing = Pacing()
    pacing.wrote(100, 100 * token_seconds)
    with ExitStack() as writing:
        for _ in range(answers):
            writing.enter_context(pacing.writing())
        assert pacing.tokens_per_piece() == tokens
    with pacing.writing():
        assert pacing.tokens_per_piece() == 1


def test_pacing_before_the_first_answer_takes_each_token_by_itself() -> None:
    pacing = Pacing()
    pacing.wrote(0, 1.0)
    with pacing.writing(), pacing.writing():
        assert pacing.tokens_per_piece() == 1
