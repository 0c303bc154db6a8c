"""Keeps what documents, servers and models say from being taken for commands by a terminal."""

import re

_KEPT = "\t\n"
_CONTROLS = dict.fromkeys(code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in _KEPT)
_UNESCAPED = re.compile("[\x7f-\x9f]")


def without_controls(text: str) -> str:
    """The text without control characters, line ends and tabs excepted: what an escape sequence has left is plain."""
    return text.translate(_CONTROLS)


def escaped_controls(json_text: str) -> str:
    """JSON with those control characters escaped, too, that JSON allows as they are and terminals obey."""
    return _UNESCAPED.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)
