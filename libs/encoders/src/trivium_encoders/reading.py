"""Texts to the inputs of a model, by what they are for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trivium_encoders.catalog import Prompts
from trivium_encoders.description import ModelDescription
from trivium_encoders.errors import ModelUnsupported
from trivium_encoders.late_interaction import Expansion, LateInteraction
from trivium_encoders.model_files import first_json
from trivium_encoders.options import Role
from trivium_encoders.runtimes.base import Item, Source
from trivium_encoders.tokenization import TextTokenizer, TokenIds


class TextReader:
    """Reads texts as a model was trained to: with its prompts, and what late interaction adds.

    Args:
        model: The model.
        tokenizer: Its tokenizer.

    Raises:
        ModelUnsupported: Its tokenizer lacks the token that fills up queries.
    """

    def __init__(self, model: ModelDescription, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._prompts = _by_role(model.prompts)
        self._limits = dict.fromkeys(Role, tokenizer.max_tokens)
        self._markers: dict[Role, tuple[int, ...]] = dict.fromkeys(Role, ())
        self._expansion: Expansion | None = None
        self._filler = 0
        self._skipped: dict[Role, NDArray[np.int32]] | None = None
        self._pools_prompt = model.pools_prompt
        if model.late is not None and not model.head_obstacle:
            self._read_late(model, model.late)

    def limit(self, role: Role) -> int:
        """Longest text in tokens."""
        return self._limits[role]

    def read(self, texts: Sequence[str], role: Role, *, truncate: bool) -> list[Item]:
        """One input per text.

        Args:
            texts: The texts.
            role: What they are for.
            truncate: Cut what is too long; otherwise it is returned whole, for the caller to refuse. A model that was
                trained with queries of one length has them cut anyway.
        """
        prompt, marker = self._prompts[role], self._markers[role]
        expansion = self._expansion if role is Role.QUERY else None
        made = self._tokenizer.encode(
            texts,
            prompt=prompt,
            truncate=truncate or bool(expansion and expansion.cuts),
            max_tokens=self._limits[role] - len(marker),
        )
        if marker:
            made = [self._marked(ids, marker) for ids in made]
        if expansion:
            made = [_filled(ids, expansion, self._filler) for ids in made]
        left_out = 0 if self._pools_prompt else self._tokenizer.pooled_from(prompt)
        return [
            Item(ids, Source(text[: max(0, ids.characters - len(prompt))], role, truncate=truncate), left_out)
            for ids, text in zip(made, texts, strict=True)
        ]

    def compared(self, item: Item) -> NDArray[np.bool_]:
        """Which tokens of an input late interaction compares: those that the model was trained to compare, or of any
        other model all but special ones."""
        if self._skipped is None:
            return ~item.tokens.special
        return np.isin(item.tokens.ids, self._skipped[item.source.role], invert=True)

    def _read_late(self, model: ModelDescription, late: LateInteraction) -> None:
        self._limits = {Role.QUERY: late.query_tokens, Role.DOCUMENT: self._tokenizer.max_tokens}
        for role, marker in _by_role(late.markers).items():
            self._put_marker(role, marker)
        found = [self._tokenizer.token_id(word) for word in late.skipped]
        ids = np.array([one for one in found if one is not None], np.int32)
        self._skipped = {role: ids if role.value in late.skipped_in else ids[:0] for role in Role}
        self._expansion = late.expansion
        if late.expansion:
            token = late.expansion.token or self._mask(model)
            filler = self._tokenizer.token_id(token)
            if filler is None:
                raise ModelUnsupported(
                    f"model {model.name} fills up queries with {token or 'a token'} that its tokenizer does not have;"
                    " fetch it again, or choose another"
                )
            self._filler = filler

    def _put_marker(self, role: Role, marker: str) -> None:
        """Notes a marker: the token that it is, or that it begins with, and the rest as a prompt."""
        for token in (marker, *marker.split(maxsplit=1)[:1]):
            found = self._tokenizer.token_id(token) if token else None
            if found is not None:
                self._markers[role] = (found,)
                marker = marker.removeprefix(token)
                break
        self._prompts[role] = marker + self._prompts[role]

    def _mask(self, model: ModelDescription) -> str:
        """The token that stands for any other, or else the one that ends a text."""
        names = ("tokenizer_config.json", "special_tokens_map.json")
        files = [first_json(model.transformer_folder, (name,)) for name in names]
        for name in ("mask_token", "eos_token"):
            for file in files:
                if token := file.get(name):
                    return str(token["content"] if isinstance(token, dict) else token)
            if name == "mask_token" and self._tokenizer.token_id("[MASK]") is not None:
                return "[MASK]"  # BERT's, which its files need not name
        return ""

    def _marked(self, tokens: TokenIds, marker: tuple[int, ...]) -> TokenIds:
        """The tokens with a marker behind the special ones that every text begins with."""
        at = self._tokenizer.opening
        ids = np.concatenate([tokens.ids[:at], np.array(marker, np.int32), tokens.ids[at:]])
        special = np.concatenate([tokens.special[:at], np.ones(len(marker), np.bool_), tokens.special[at:]])
        return TokenIds(ids, None, special, tokens.characters)


def _filled(tokens: TokenIds, expansion: Expansion, filler: int) -> TokenIds:
    """A query filled up to its least length."""
    count = expansion.length - len(tokens.ids)
    if count <= 0:
        return tokens
    ids = np.concatenate([tokens.ids, np.full(count, filler, np.int32)])
    special = np.concatenate([tokens.special, np.ones(count, np.bool_)])
    return TokenIds(ids, None, special, tokens.characters, 0 if expansion.attended else count)


def _by_role(prompts: Prompts) -> dict[Role, str]:
    return {Role.QUERY: prompts.query, Role.DOCUMENT: prompts.document}
