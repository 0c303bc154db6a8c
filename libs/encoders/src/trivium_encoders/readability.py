"""Tells, from a model's own tokens, whether it can read a text.

A vocabulary that was made of another script's texts has no token for most of the words, or spells them letter by
letter. Whatever the model makes of that, it is not their meaning.
"""

from collections import Counter
from collections.abc import Sequence

from tokenizers import Tokenizer

_COMMON_IDEOGRAPHS = "的一是在不了有和人中大上国我以要他用生到作地出分成可主年同工能下子方多定行学法所民得三力水高小"
_KNOWN_IDEOGRAPHS_SHARE = 0.9


class Readability:
    """Judges texts by how one tokenizer cuts them.

    Args:
        tokenizer: Cuts.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        names = (getattr(tokenizer.model, "unk_token", None), "[UNK]", "<unk>")
        self._unknown = {tokenizer.token_to_id(name) for name in names if name} - {None}
        # Models for Chinese cut it into single characters, and read it all the same, if they know them.
        self._reads_ideographs = True
        self._reads_ideographs = self.share(_COMMON_IDEOGRAPHS) >= _KNOWN_IDEOGRAPHS_SHARE

    def share(self, text: str) -> float:
        """Say what share of a text's letters is in tokens that mean something.

        Such a token is known, and has several letters or a whole word, or is an ideograph of a vocabulary that knows
        the common ones. Digits and signs are none.

        Returns:
            From 0 to 1; 1 for a text without letters.
        """
        is_letter = [character.isalpha() for character in text]
        total = sum(is_letter)
        if not total:
            return 1.0
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        pieces = Counter(at for start, end in encoding.offsets for at in range(start, end))
        read: set[int] = set()
        for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            letters = [at for at in range(start, end) if is_letter[at] and pieces[at] == 1]
            if token not in self._unknown and self._has_meaning(text, letters, is_letter):
                read.update(letters)
        return len(read) / total

    def _has_meaning(self, text: str, letters: Sequence[int], is_letter: Sequence[bool]) -> bool:
        if len(letters) != 1:
            return bool(letters)
        [at] = letters
        if _is_ideograph(text[at]):
            return self._reads_ideographs
        return not (is_letter[at - 1] if at else False) and not (at + 1 < len(text) and is_letter[at + 1])


def _is_ideograph(character: str) -> bool:
    return "\u3400" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or character >= "\U00020000"
