"""Questions that are made of a collection's own documents: each is to find the document that it is from.

They need no labels (known-item search; Azzopardi, de Rijke and Balog, SIGIR 2007). They use the document's own words,
and so flatter the search by words: the rarest ones are left out, and `trivium tune` asks for more before it weakens
vectors because of them.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable

from trivium_client._client import Trivium
from trivium_client._errors import NotFound
from trivium_client.evaluation.datasets import KnownQuestion

_MOST_LISTED = 20_000
_SENTENCE = re.compile(r"[^.!?。！？\n]+")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|\w+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_FEWEST_WORDS, _MOST_WORDS = 8, 40
_LEFT_OUT = 1 / 3


def known_items(
    trivium: Trivium, collection: str, count: int, on_each: Callable[[], None] = lambda: None
) -> list[KnownQuestion]:
    """Makes up to so many questions, each of another document, the same ones as long as the documents are the same."""
    chance = random.Random(0)
    ids = _drawn((one.id for one in trivium.list_documents(collection=collection, page_size=1000)), count, chance)
    texts: dict[str, str] = {}
    for document_id in ids:
        try:
            texts[document_id] = trivium.get_document(document_id, collection=collection).text or ""
        except NotFound:  # deleted since
            continue
        on_each()
    frequencies = Counter(word for text in texts.values() for word in set(_words(text)))
    made = {document_id: question_of(text, frequencies, chance) for document_id, text in texts.items()}
    return [
        KnownQuestion(f"known:{document_id}", question, {document_id: 1})
        for document_id, question in made.items()
        if question
    ]


def question_of(text: str, frequencies: Counter[str], chance: random.Random) -> str:
    """A sentence of a text without its rarest words; empty if it has no sentence that would do.

    Args:
        text: The text.
        frequencies: In how many of some texts each word stands.
        chance: Which sentence.
    """
    sentences = [words for words in map(_words, _SENTENCE.findall(text)) if len(words) >= _FEWEST_WORDS]
    if not sentences:
        return ""
    words = chance.choice(sentences)[:_MOST_WORDS]
    rarest = sorted(range(len(words)), key=lambda place: (frequencies[words[place].casefold()], place))
    left_out = set(rarest[: round(len(words) * _LEFT_OUT)])
    kept = [word for place, word in enumerate(words) if place not in left_out]
    joint = "" if sum(bool(_UNSPACED.match(word)) for word in kept) > len(kept) / 2 else " "
    return joint.join(kept)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _drawn(ids: Iterable[str], count: int, chance: random.Random) -> list[str]:
    """Some of the ids, each as likely as any other (reservoir sampling)."""
    drawn: list[str] = []
    for number, one in enumerate(ids):
        if number >= _MOST_LISTED:
            break
        if len(drawn) < count:
            drawn.append(one)
        elif (place := chance.randrange(number + 1)) < count:
            drawn[place] = one
    return drawn
