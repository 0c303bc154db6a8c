"""Texts and pairs to token ids, without transformers."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer, normalizers

from trivium_encoders.description import ModelDescription
from trivium_encoders.errors import ModelDamaged, ModelUnsupported
from trivium_encoders.readability import Readability

# The model's sessions already use every core; a tokenizer that starts a thread per core would fight them.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# How much of a text that may be cut is read at first: more than enough of most scripts.
_CHARACTERS_PER_TOKEN = 8
_GROWTH = 4
# A word of at most 100 characters is cut into pieces by the tokenizers of BERT, and a longer one is none of theirs: the
# beginning of such a word is as many tokens that the whole text does not have.
_SPARE_TOKENS = 128


@dataclass(frozen=True, slots=True)
class TokenIds:
    """One input of the model."""

    ids: NDArray[np.int32]
    """`[tokens]`, special tokens included."""
    type_ids: NDArray[np.int32] | None
    """`[tokens]`, which of the two texts of a pair each token is of; None for a single text."""
    special: NDArray[np.bool_]
    """`[tokens]`, whether each is a special token."""
    characters: int = 0
    """How many characters of the text, of a pair that which is not the query, were read for them: all that decide. A
    prompt's are among them."""
    unseen: int = 0
    """How many of the last tokens the others do not attend to, though they are computed and serve."""

    def only(self, places: NDArray[np.intp]) -> "TokenIds":
        """Some of these tokens."""
        return TokenIds(self.ids[places], None, self.special[places], self.characters)


@dataclass(frozen=True, slots=True)
class PlacedTokens:
    """A text's tokens, and where those that are not special stand in it."""

    ids: NDArray[np.int32]
    """`[tokens]`, special tokens and a prompt's included."""
    special: NDArray[np.bool_]
    """`[tokens]`, whether each is a special token."""
    opening: int
    """How many stand before the text: special tokens and the prompt's."""
    closing: int
    """How many special tokens stand behind it."""
    starts: NDArray[np.int64]
    """For each token between, where it begins, in code points of the text without the prompt; ascending."""
    ends: NDArray[np.int64]
    """And where it ends."""


class TextTokenizer:
    """A model's tokenizer.

    Args:
        tokenizer: The tokenizer; its own padding and truncation are switched off.
        max_tokens: Longest input in tokens, special tokens included.
        lower_case: Put texts in lower case first.
    """

    def __init__(self, tokenizer: Tokenizer, *, max_tokens: int, lower_case: bool = False) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if lower_case:
            # As a normaliser, so that offsets still count in the text as it was given.
            existing = [tokenizer.normalizer] if tokenizer.normalizer else []
            tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *existing])
        self._tokenizer = tokenizer
        self._single_special = tokenizer.num_special_tokens_to_add(is_pair=False)
        self._pair_special = tokenizer.num_special_tokens_to_add(is_pair=True)
        self.opening = _leading(tokenizer.encode("a").special_tokens_mask)
        """Special tokens that every text begins with."""
        self._readability = Readability(tokenizer)
        self.max_tokens = max_tokens

    @classmethod
    def from_file(cls, path: Path, *, max_tokens: int, lower_case: bool = False) -> "TextTokenizer":
        """Reads a `tokenizer.json`."""
        return cls(Tokenizer.from_file(str(path)), max_tokens=max_tokens, lower_case=lower_case)

    def overhead(self, prompt: str) -> int:
        """Tokens that are added to a text: special tokens and the prompt."""
        return self._single_special + self.prompt_length(prompt)

    def prompt_length(self, prompt: str) -> int:
        """Tokens of a prompt alone, without special tokens."""
        return len(self._tokenizer.encode(prompt, add_special_tokens=False)) if prompt else 0

    def pooled_from(self, prompt: str) -> int:
        """Position of the first token after the prompt, counted as sentence-transformers counts it: all tokens of the
        prompt as a text of its own but the closing special token."""
        if not prompt:
            return 0
        encoding = self._tokenizer.encode(prompt)
        return len(encoding) - (encoding.special_tokens_mask[-1] if len(encoding) else 0)

    @property
    def special_ids(self) -> NDArray[np.int32]:
        """Ids of the special tokens, the unknown one among them, sorted."""
        added = self._tokenizer.get_added_tokens_decoder()
        return np.array(sorted(number for number, token in added.items() if token.special), np.int32)

    def token_id(self, token: str) -> int | None:
        """The id of a token by its name in the vocabulary; None for none."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    def encode(self, texts: Sequence[str], *, prompt: str, truncate: bool, max_tokens: int = 0) -> list[TokenIds]:
        """Tokenises texts, each after the prompt.

        Args:
            texts: The texts.
            prompt: Put before each; may be empty.
            truncate: Cut what is too long; otherwise it is returned whole, for the caller to refuse.
            max_tokens: Longest input in tokens; 0 for the tokenizer's own.
        """
        most = max_tokens or self.max_tokens
        if not truncate:
            whole = [prompt + text for text in texts]
            encodings = self._tokenizer.encode_batch_fast(whole)
            return [_single(encoding, len(text)) for encoding, text in zip(encodings, whole, strict=True)]
        heads = self._heads([(prompt, text) for text in texts], most, add_special_tokens=True)
        return [_cut(_single(encoding, characters), most) for encoding, characters in heads]

    def placed(self, texts: Sequence[str], *, prompt: str) -> list[PlacedTokens]:
        """Tokenises texts of any length, each after the prompt, and says where their tokens stand."""
        encodings = self._tokenizer.encode_batch([prompt + text for text in texts])
        return [_placed(encoding, len(prompt)) for encoding in encodings]

    def encode_pairs(self, query: str, texts: Sequence[str], *, query_last: bool = False) -> list[TokenIds]:
        """Tokenises a query with each of some texts; a pair that is too long loses tokens of the longer side.

        Args:
            query: The query.
            texts: The texts.
            query_last: Whether the query stands behind the text.
        """
        room = self.max_tokens - self._pair_special
        [(shared, _)] = self._heads([("", query)], room, add_special_tokens=False)
        others = self._heads([("", text) for text in texts], room, add_special_tokens=False)
        pairs = [(other, shared) if query_last else (shared, other) for other, _ in others]
        joined = [self._joined(first, second, room) for first, second in pairs]
        return [_pair(one, characters) for one, (_, characters) in zip(joined, others, strict=True)]

    def starts(self, texts: Sequence[str]) -> list[NDArray[np.uint32]]:
        """Where tokens start: ascending offsets in code points per text, without prompt and special tokens."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [np.array([start for start, _ in encoding.offsets], dtype=np.uint32) for encoding in encodings]

    def read_shares(self, texts: Sequence[str]) -> list[float]:
        """What share of each text's letters the model can read, from 0 to 1 (`readability`)."""
        return [self._readability.share(text) for text in texts]

    def _heads(
        self, texts: Sequence[tuple[str, str]], tokens: int, *, add_special_tokens: bool
    ) -> list[tuple[Encoding, int]]:
        """Tokenises of each text, a prompt and what follows it, enough of its beginning for some first tokens.

        A token may stand for any number of characters (white space, a word of no vocabulary), so the beginning grows
        until it has the tokens, and some more: where it ends, its last word may not be what it is in the whole text.

        Returns:
            The tokens, and of how many characters they are; a text with fewer tokens is read whole.
        """
        enough = tokens + _SPARE_TOKENS
        found: list[tuple[Encoding, int]] = []
        reach = enough * _CHARACTERS_PER_TOKEN
        heads = [prompt + text[: max(0, reach - len(prompt))] for prompt, text in texts]
        encodings = self._tokenizer.encode_batch_fast(heads, add_special_tokens=add_special_tokens)
        for (prompt, text), head, encoding in zip(texts, heads, encodings, strict=True):
            whole = len(prompt) + len(text)
            while len(encoding) < enough and len(head) < whole:
                head = prompt + text[: max(0, len(head) * _GROWTH - len(prompt))]
                encoding = self._tokenizer.encode(head, add_special_tokens=add_special_tokens)
            found.append((encoding, len(head)))
        return found

    def _joined(self, first: Encoding, second: Encoding, room: int) -> Encoding:
        first_length, second_length = pair_lengths(len(first), len(second), room)
        return self._tokenizer.post_process(self._short(first, first_length), self._short(second, second_length))

    def _short(self, tokens: Encoding, length: int) -> Encoding:
        if length < len(tokens):
            # One of the two serves every pair of the call, so a copy is cut: post-processing alone makes one.
            tokens = self._tokenizer.post_process(tokens, add_special_tokens=False)
            tokens.truncate(length)
        return tokens


def read_tokenizer(model: ModelDescription, max_tokens: int) -> TextTokenizer:
    """Reads a model's tokenizer.

    Raises:
        ModelUnsupported: The model has none that can be read without transformers; says how to make one.
        ModelDamaged: It cannot be read.
    """
    path = model.transformer_folder / "tokenizer.json"
    if not path.is_file():
        path = model.folder / "tokenizer.json"
    if not path.is_file():
        raise ModelUnsupported(
            f"model {model.name} has no tokenizer.json; make one with transformers:"
            " AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    try:
        return TextTokenizer.from_file(path, max_tokens=max_tokens, lower_case=model.lower_case)
    except Exception as error:  # the library raises nothing narrower
        raise ModelDamaged(f"{path} cannot be read ({error}); fetch the model again") from error


def pair_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """How many tokens of each side of a pair stay: the longer side is cut first (Hugging Face's `longest_first`).

    Args:
        first: Tokens of the first side.
        second: Tokens of the second side.
        room: Tokens for both together.
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second)
    if 2 * shorter >= room:
        shorter = room // 2
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)


def _leading(special: Sequence[int]) -> int:
    return next((place for place, is_special in enumerate(special) if not is_special), 0)


def _cut(tokens: TokenIds, most: int) -> TokenIds:
    """The first of a text's tokens, as many as a model reads; special tokens stay around them."""
    excess = len(tokens.ids) - most
    if excess <= 0:
        return tokens
    end = len(tokens.ids)
    while end > 0 and tokens.special[end - 1]:
        end -= 1
    kept = np.r_[: end - excess, end : len(tokens.ids)]
    return TokenIds(tokens.ids[kept], None, tokens.special[kept], tokens.characters)


def _single(encoding: Encoding, characters: int) -> TokenIds:
    ids = np.array(encoding.ids, dtype=np.int32)
    return TokenIds(ids, None, np.array(encoding.special_tokens_mask, dtype=np.bool_), characters)


def _placed(encoding: Encoding, prompt: int) -> PlacedTokens:
    special = np.array(encoding.special_tokens_mask, dtype=np.bool_)
    offsets = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2) - prompt
    leading = _leading(special.tolist())
    closing = 0 if special.all() else _leading(special[::-1].tolist())
    offsets = offsets[leading : len(special) - closing]
    # A token that begins in the prompt is the prompt's, as a blank that is one with the word behind it is the word's.
    of_prompt = int(np.searchsorted(offsets[:, 1], 0, "right")) if prompt else 0
    starts, ends = np.maximum(0, offsets[of_prompt:]).T
    return PlacedTokens(np.array(encoding.ids, dtype=np.int32), special, leading + of_prompt, closing, starts, ends)


def _pair(encoding: Encoding, characters: int) -> TokenIds:
    ids, types = np.array(encoding.ids, dtype=np.int32), np.array(encoding.type_ids, dtype=np.int32)
    return TokenIds(ids, types, np.array(encoding.special_tokens_mask, dtype=np.bool_), characters)
