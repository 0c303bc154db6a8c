"""The prompts: questions with five passages each, from the texts of a folder."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import transformers
from trivium_generate.answer import AnswerRequest, Passage
from trivium_generate.backends.chat import TokenizerChat
from trivium_generate.prompting import PromptBuilder
from trivium_generate.prompts import load_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trivium_generate.answer import Tool, Turn

_PASSAGES = 5
_PASSAGE_CHARS = 600


class _Recording(TokenizerChat):
    """Remembers the messages of the last conversation, for servers that take those."""

    messages: list[dict[str, str]]
    text: str

    def encode(self, turns: Sequence[Turn], tools: Sequence[Tool] = ()) -> list[int]:
        """As TokenizerChat.encode."""
        self.messages = [{"role": turn.role.value, "content": turn.content} for turn in turns]
        self.text = self._render(turns, tools)
        return super().encode(turns, tools)


def make(model: Path, corpus: Path, count: int, room: int) -> list[dict[str, Any]]:
    """Prompts in all forms: question and passages, messages, text and tokens, as the service makes them."""
    chat = _Recording(transformers.AutoTokenizer.from_pretrained(model))
    builder = PromptBuilder(chat, load_prompts(None))
    texts = "\n\n".join(path.read_text(encoding="utf-8") for path in sorted(corpus.glob("*.md")) if path.name.isascii())
    choice = random.Random(0)
    made = []
    for number in range(count):
        starts = [choice.randrange(len(texts) - _PASSAGE_CHARS) for _ in range(_PASSAGES)]
        passages = [
            {"text": texts[start : start + _PASSAGE_CHARS], "title": f"Text {start}", "score": 0.9 - place / 10}
            for place, start in enumerate(starts)
        ]
        question = f"What does text {number} say?"
        request = AnswerRequest(question, tuple(Passage(**passage) for passage in passages))
        token_ids = builder.build(request, room).token_ids
        made.append(
            {
                "question": question,
                "passages": passages,
                "messages": chat.messages,
                "text": chat.text,
                "tokens": len(token_ids),
            }
        )
    return made
