"""Which language a text is in, as far as this service treats languages differently."""

from __future__ import annotations

import re

_CHINESE = re.compile(r"[\u3400-\u9fff]")


def is_chinese(text: str) -> bool:
    """Whether a text is mostly Chinese: a third of its letters, since a Chinese letter says more than a Latin one."""
    letters = sum(1 for char in text if char.isalpha())
    return letters > 0 and len(_CHINESE.findall(text)) * 3 >= letters
