"""Makes a question that leans on its conversation stand alone, by rule: no model is asked.

It gets the names that the conversation is about, or its last words where it names nothing. What a conversation is about
begins anew with each question that stands alone.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_conversation.turns import Role
from trivium_lexical.folding import fold, simplified
from trivium_lexical.languages import language_of, stem

from trivium_gateway.answering.leaning import CHINESE, KANA, PERSONS, WORD, leans, says_something

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trivium_conversation.turns import Turn

__all__ = ["condense"]

# With more of what was said, the passages of the question before are found, and not this one's.
_MOST_NAMES = 2
_MOST_WORDS = 3
# So much of its weight has what a question said for the one after the next.
_FADING = 0.5
# Who was asked for is who the next question asks about.
_PERSON_WEIGHT = 2.0
_LONGEST_PHRASE = 60

_CITATION = re.compile(r"\[\d+\]")
# What holds Chinese sentences together or asks.
_CHINESE_JOINTS = re.compile(
    "什么|怎么|怎样|如何|为何|为什么|哪[个些里位种]?|谁|多少|几|请问|何时|何|时候|一个|是|的|了|在|和|与|及|或|也|都|被|把|从|到|对|为|以|于"
    "|之|有|吗|呢|吧|啊|由|中|上|下|[它他她]们?|[这那该此其][个些里位]?"
)
_JAPANESE_WORDS = re.compile(r"[\u30a1-\u30fa\u30fc\u3400-\u9fff々]{2,}")


@dataclass(slots=True)
class _Phrase:
    """Something that was talked about.

    Attributes:
        text: As it was said.
        is_name: Whether it names something: capitals, digits, title marks.
        weight: How much it is what is talked about now.
    """

    text: str
    is_name: bool
    weight: float = 0.0


def condense(question: str, history: Sequence[Turn]) -> str:
    """Gives a question that can be understood without the conversation.

    Args:
        question: The last question.
        history: The turns before it, oldest first.

    Returns:
        The question with what it lacks put before it; the question itself if it stands alone or nothing can be added.
    """
    language = language_of(Counter(WORD.findall(" ".join((question, *(turn.content for turn in history))))))
    if not leans(question, language):
        return question
    topic: dict[str, _Phrase] = {}
    asks_about_person = bool(PERSONS & {fold(word) for word in WORD.findall(question)})
    for turn in history:
        if turn.role is Role.USER:
            _take_question(topic, turn.content, language)
        elif turn.role is Role.ASSISTANT and asks_about_person:
            _take_person(topic, turn.content, language)
    known = {stem(word, language) for word in WORD.findall(question)}
    lacking = [one for key, one in topic.items() if not set(key.split()) <= known and one.text not in question]
    names = _heaviest([one for one in lacking if one.is_name], _MOST_NAMES)
    # Questions say last what they are about, where they do not name it.
    carried = names or _heaviest(lacking[::-1], _MOST_WORDS)
    said = " ".join(one.text for one in lacking if one in carried)
    return f"{said}: {question}" if said else question


def _heaviest(phrases: list[_Phrase], count: int) -> list[_Phrase]:
    """The weightiest phrases; of equal ones the first."""
    return sorted(phrases, key=lambda one: -one.weight)[:count]


def _take_question(topic: dict[str, _Phrase], question: str, language: str) -> None:
    """Notes what a question of the user's is about."""
    if leans(question, language):
        for phrase in topic.values():
            phrase.weight *= _FADING
    else:
        topic.clear()
    for phrase in _phrases(question, language):
        _add(topic, phrase, language, 1.0)


def _take_person(topic: dict[str, _Phrase], answer: str, language: str) -> None:
    """Notes whom an answer names first."""
    for phrase in _phrases(_CITATION.sub("", answer), language, is_answer=True):
        if phrase.is_name and not phrase.text[0].isdigit() and _key(phrase.text, language) not in topic:
            _add(topic, phrase, language, _PERSON_WEIGHT)
            return


def _add(topic: dict[str, _Phrase], phrase: _Phrase, language: str, weight: float) -> None:
    if len(phrase.text) <= _LONGEST_PHRASE:
        topic.setdefault(_key(phrase.text, language), phrase).weight += weight


def _key(text: str, language: str) -> str:
    return " ".join(stem(word, language) for word in WORD.findall(text)) or text


def _phrases(text: str, language: str, *, is_answer: bool = False) -> Iterator[_Phrase]:
    """What a text is about: names of one or more words, and the other words that say something.

    Args:
        text: The text.
        language: Its language.
        is_answer: Whether it may begin with a name; questions begin with other words.
    """
    if KANA.search(text):
        yield from (_Phrase(name, is_name=bool(KANA.search(name))) for name in _JAPANESE_WORDS.findall(text))
    for stretch in () if KANA.search(text) else CHINESE.findall(text):
        for piece in _between_joints(stretch):
            if len(piece) > 1:
                yield _Phrase(piece, is_name=f"《{piece}》" in text)
    name_start = name_end = -1
    for number, match in enumerate(WORD.finditer(text)):
        word, says = match[0], says_something(match[0], language)
        may_be_name = number > 0 or is_answer or not word[1:].islower()
        is_name = says and may_be_name and (word != word.lower() or any(map(str.isdigit, word)))
        if name_end >= 0 and not (is_name and text[name_end : match.start()].isspace()):
            yield _Phrase(text[name_start:name_end], is_name=True)
            name_end = -1
        if is_name:
            name_start = match.start() if name_end < 0 else name_start
            name_end = match.end()
        elif says:
            yield _Phrase(word, is_name=False)
    if name_end >= 0:
        yield _Phrase(text[name_start:name_end], is_name=True)


def _between_joints(stretch: str) -> Iterator[str]:
    """The pieces of a stretch of Chinese that say something, as they are written."""
    start = 0
    for joint in _CHINESE_JOINTS.finditer(simplified(stretch)):
        yield stretch[start : joint.start()]
        start = joint.end()
    yield stretch[start:]
