"""What a sentence states, as far as its surface shows: words, numbers, names, and what it denies."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium_lexical import simplified

from trivium_evidence.numerals import HAN_NUMBER, han_number, number_of_words
from trivium_evidence.terms import is_function_term, terms, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Set

_WORD = re.compile(r"[^\W_]+(?:['’.\-/][^\W_]+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_HAN = re.compile(r"[\u3400-\u9fff]")
_DENIALS = words_of(
    """
    not no never none neither nor without cannot nobody nothing nowhere hardly unable didn't doesn't don't isn't aren't
    wasn't weren't won't can't couldn't wouldn't shouldn't hasn't haven't hadn't mustn't needn't
    """
)
_HAN_DENIAL = re.compile(r"(?:不|没有?|未|无法?|非|勿|别)(?=[\u3400-\u9fff])")
# So many telling words after a denial are what it denies.
_SCOPE_WORDS = 2
# Words that begin sentences with a capital and name nothing.
_OPENERS = words_of(
    """
    according additionally after although among as at based because before besides both by despite due during each every
    finally first following for from furthermore given however if in instead its many more moreover most no of on once
    one only other others overall please second several similarly since some such that the then there these they this
    those though thus to under unlike until upon users using when where whereas which while with within yes you your
    """
)
_OPPOSITES = (
    "most least;first last;before after;more less;more fewer;increase decrease;increased decreased;increases decreases;"
    "north south;northern southern;east west;eastern western;largest smallest;highest lowest;high low;higher lower;"
    "early late;earlier later;oldest newest;best worst;public private;begin end;began ended;start stop;accept reject;"
    "accepted rejected;support oppose;supported opposed;allow forbid;allowed forbidden;legal illegal;positive negative;"
    "strong weak;stronger weaker;maximum minimum;major minor;internal external;inside outside;above below;long short;"
    "longer shorter;longest shortest;always never;success failure;succeeded failed;import export;same different;"
    "open closed;left right;gain lose;gained lost;rise fall;rose fell;faster slower;hot cold;upper lower;"
    "include exclude;includes excludes;included excluded;buy sell;bought sold;majority minority;greatest least;"
    "permanent temporary;cause prevent;common rare;usually rarely;often rarely;enable disable;"
    "enabled disabled;required optional;won lost;win lose;up down;on off;male female;can cannot;"
    "youngest oldest;younger older;young old;old new;older newer;ancient modern;rich poor;richer poorer;"
    "richest poorest;cheap expensive;cheaper dearer;heavy light;heavier lighter;heaviest lightest;"
    "nearest farthest;inner outer;"
    "large small;larger smaller;big small;bigger smaller;biggest smallest;wide narrow;deep shallow;hard soft;hard easy;"
    "difficult easy;simple complex;wet dry;full empty;safe dangerous;clean dirty;rural urban;domestic foreign;"
    "active passive;natural artificial;peace war;victory defeat;attack defend;attacked defended;arrived left;"
    "arrived departed;entered left;joined left;create destroy;created destroyed;built destroyed;built demolished;"
    "lend borrow;lent borrowed;gave took;give take;teach learn;taught learned;push pull;add remove;added removed;"
    "agree disagree;love hate;loved hated;praise criticize;praised criticized;encourage discourage;"
    "encouraged discouraged;approve reject;approved rejected;improve worsen;improved worsened;expand shrink;"
    "expanded shrank;grow shrink;grew shrank;benefit harm;beneficial harmful;odd even;front back;top bottom;"
    "day night;morning evening;summer winter;past future;parent child;husband wife;father mother;son daughter;"
    "brother sister;man woman;men women;boys girls;king queen;buyer seller;employer employee;winner loser;"
    "input output;similar different;unique common;frequently seldom;fewest most;fewest largest;slow fast;"
    "slower quicker;slowest fastest;shortest tallest;short tall;shorter taller;worse better;"
    "minor important;decline increase;"
    "declined increased;declined rose;decline rise;drop rise;dropped rose;decreasing increasing;declining growing;"
    "closed opened;close open;finish start;finished started;ended started;end start;latest earliest;deny admit;"
    "denied admitted;denied granted;ban allow;banned allowed;prohibit permit;prohibited permitted;prohibited allowed;"
    "prevent allow;prevented allowed;refuse accept;refused accepted;refused agreed;surplus shortage;profit loss;"
    "asset liability;guilty innocent;absent present;shallowest deepest;weakest strongest;lightest darkest;light dark;"
    "bright dark;loud quiet;alive dead;born died;hot cool;warm cold;hottest coldest;descending ascending"
)


def _opposites() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pair in _OPPOSITES.split(";"):
        one, other = pair.split()
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {word: frozenset(others) for word, others in found.items()}


_OPPOSITE_OF = _opposites()
_DENYING_BEGINNINGS = ("un", "in", "im", "il", "ir", "dis", "non", "anti")
_SHORTEST_DENIED = 4


def says_opposite(word: str, words: Set[str]) -> bool:
    """Whether some words have the contrary of one: of a list (north, south), or with un- and the like before it.

    Args:
        word: The word, in lower case.
        words: The others.
    """
    if not words.isdisjoint(_OPPOSITE_OF.get(word, ())):
        return True
    if len(word) < _SHORTEST_DENIED:
        return False
    denials = (word.removeprefix(one) for one in _DENYING_BEGINNINGS if word.startswith(one))
    return any(one + word in words for one in _DENYING_BEGINNINGS) or any(
        len(one) >= _SHORTEST_DENIED and one in words for one in denials
    )


# Chinese characters around it are no part of it.
_IDENTIFIER = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]{1,10}[-_/.]?\d[A-Za-z0-9_-]{0,20}(?![A-Za-z0-9_])")


def identifiers_in(text: str) -> frozenset[str]:
    """Names with letters and digits, such as KX-200, each in one spelling."""
    return frozenset(re.sub(r"\W", "", one).lower() for one in _IDENTIFIER.findall(text))


@dataclass(frozen=True, slots=True)
class Statement:
    """What a text states.

    Attributes:
        terms: Its terms, in order, each once.
        words: Its words, in lower case.
        numbers: Its numbers, each in one spelling: `1,000` and `1000.0` are the same.
        names: The terms of what it names: words with a capital, with capitals within, or of letters and digits.
        denied: The terms right after a denial, which are what it denies.
        denial_count: How many denials it has.
    """

    terms: tuple[str, ...]
    words: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    denied: frozenset[str]
    denial_count: int


@functools.lru_cache(maxsize=2048)
def statement_of(text: str) -> Statement:
    """What a text states."""
    text = simplified(text)
    words = _WORD.findall(text.replace("’", "'"))
    lower = [word.lower() for word in words]
    denied = frozenset(_denied(text, lower))
    return Statement(
        terms=tuple(dict.fromkeys(terms(text))),
        words=frozenset(lower),
        numbers=frozenset(numbers_in(text)),
        names=frozenset(_names(words)),
        denied=denied,
        denial_count=sum(word in _DENIALS for word in lower) + len(_HAN_DENIAL.findall(text)),
    )


def numbers_in(text: str) -> Iterator[str]:
    """The numbers of a text, words for small ones included, each in one spelling."""
    for match in _NUMBER.finditer(text):
        yield _number(match.group())
    for word in _WORD.findall(text.lower()):
        counted = number_of_words(word)
        if counted is not None:
            yield str(counted)
    for match in HAN_NUMBER.finditer(text):
        yield str(han_number(match.group()))


def _number(digits: str) -> str:
    """A number in one spelling; of what may be a date, an address or a version the parts stay."""
    whole = re.sub(r"(?<=\d),(?=\d{3}(?:\D|$))", "", digits)
    if whole.count(".") == 1 and "," not in whole:
        whole = whole.rstrip("0").rstrip(".")
    return whole.lstrip("0") or "0"


def _names(words: list[str]) -> Iterator[str]:
    for place, word in enumerate(words):
        if _HAN.search(word) or not any(char.isupper() for char in word):
            continue
        plain = word[0].isupper() and word[1:].islower()
        if _is_function_word(word) or (len(word) == 1 and place):
            continue
        if plain and place == 0 and word.lower() in _OPENERS:
            continue
        yield from terms(word)


def _denied(text: str, words: list[str]) -> Iterator[str]:
    for place, word in enumerate(words):
        if word not in _DENIALS:
            continue
        telling = (one for one in words[place + 1 : place + 8] if not _is_function_word(one) and one not in _DENIALS)
        for _, one in zip(range(_SCOPE_WORDS), telling, strict=False):
            yield from terms(one)
    for match in _HAN_DENIAL.finditer(text):
        yield text[match.end() : match.end() + 2]


@functools.lru_cache(maxsize=4096)
def _is_function_word(word: str) -> bool:
    return all(map(is_function_term, terms(word)))
