"""What a long question asks: of a mail or a log with a question in it, the sentences that ask."""

from __future__ import annotations

import re

from trivium_lexical import simplified

from trivium_evidence.terms import is_function_term, terms

__all__ = ["asking_sentences", "what_is_asked"]

_LONG_CHARACTERS = 500
"""What is longer has circumstances around what it asks, and what is given of it is no longer."""
_TELLING_TERMS = 2
"""With fewer, as in "Why is that?", it is the circumstances that say what the answer has to be about."""

_SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])|\n+")
_ASKING = ("?", "？")
# Who asks without a question mark says so: by a verb of telling or knowing before a word of questions, else by a
# request, else by nothing but its place.
_INDIRECT = re.compile(
    r"\b(?:tell|explain|know|say|show|describe|wonder(?:ing)?|understand|find out|clarify|ask(?:ing)?|help|advise)\b"
    r".{0,60}?\b(?:what|how|why|when|where|which|who|whom|whose|whether|if)\b"
    r"|\b(?:sag\w*|erkl\w*|wissen|zeig\w*|frag\w*|mitteil\w*|beschreib\w*|verstehe\w*|helfen)\b"
    r".{0,60}?\b(?:was|wie|warum|weshalb|wieso|wann|wo|woher|welche\w?|wer|ob)\b"
    r"|\b(?:di(?:re|tes)|expli\w*|savoir|montr\w*|demand\w*|comprendre|decir|diga\w*|saber|mostrar|entender)\b"
    r".{0,60}?\b(?:ce que|ce qui|comment|pourquoi|quand|où|quel\w*|combien|si|qué|cómo|cuándo|dónde|cuál\w*)\b"
    r"|请问|请告诉|请说明|请解释|想知道|想了解|如何|怎么|怎样|为什么|教えて",
    re.IGNORECASE | re.DOTALL,
)
_REQUEST = re.compile(
    r"\b(?:please|kindly|bitte|s'il (?:vous|te) pla[iî]t|por favor|per favore)\b|请"
    r"|^(?:explain|describe|list|summari[sz]e|compare|give|show|find|tell|translate|name|state)\b",
    re.IGNORECASE,
)


def what_is_asked(question: str) -> str:
    """Gives the part of a question that asks, of one that is long and whose part says by itself what it is about."""
    if len(question) <= _LONG_CHARACTERS:
        return question
    asked = asking_sentences(question)
    telling = {term for term in terms(asked) if not is_function_term(term)}
    return asked if len(telling) >= _TELLING_TERMS else question


def asking_sentences(text: str) -> str:
    """The sentences that ask, 500 characters at most: those with a question mark, else those that ask otherwise.

    Of more the last ones; where none asks the last sentence.
    """
    sentences = [sentence for part in _SENTENCE_ENDS.split(text) if (sentence := part.strip())]
    asking = (
        [one for one in sentences if one.endswith(_ASKING)]
        or [one for one in sentences if _INDIRECT.search(simplified(one))]
        or [one for one in sentences if _REQUEST.search(simplified(one))]
        or sentences[-1:]
    )
    chosen: list[str] = []
    room = _LONG_CHARACTERS
    for sentence in reversed(asking):
        if len(sentence) > room and chosen:
            break
        chosen.insert(0, sentence[-_LONG_CHARACTERS:])
        room -= len(sentence)
    return " ".join(chosen)
