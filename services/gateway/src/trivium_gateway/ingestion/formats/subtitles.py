"""Subtitles and transcripts: SubRip and WebVTT."""

import html
import re

from trivium_gateway.ingestion.decoding import decode
from trivium_gateway.ingestion.formats.blocks import Blocks
from trivium_gateway.ingestion.formats.bounds import Bounds, broken

__all__ = ["read_subtitles"]

_TIMES = re.compile(r"(?:(\d{1,3}):)?(\d{2}):(\d{2})[.,]\d{3}[ \t]+-->[ \t].*")
_VOICE = re.compile(r"<v(?:\.[^ \t>\n]{0,100})?[ \t]([^>\n]{0,200})>")
_TAG = re.compile(r"</?[^<>]*>|\{\\[^{}]*\}")
_SECONDS_OF_PARAGRAPH = 30


def read_subtitles(data: bytes, bounds: Bounds) -> tuple[str, str]:
    """Read subtitles: what is said, who says it, and about each half minute when."""
    blocks = Blocks(bounds)
    paragraph: list[str] = []
    begin: int | None = None
    count = 0
    for block in re.split(r"\n[ \t]*\n", decode(data).replace("\r\n", "\n").replace("\r", "\n")):
        lines = block.strip("\n").split("\n")
        index = next((number for number, line in enumerate(lines[:3]) if _TIMES.match(line.strip())), None)
        if index is None:
            continue
        count += 1
        match = _TIMES.match(lines[index].strip())
        assert match is not None
        seconds = int(match[1] or 0) * 3600 + int(match[2]) * 60 + int(match[3])
        if begin is None or not begin <= seconds < begin + _SECONDS_OF_PARAGRAPH:
            blocks.paragraph("\n".join(paragraph))
            paragraph, begin = [f"[{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}]"], seconds
        said = html.unescape(" ".join(_TAG.sub("", _VOICE.sub(r"\1: ", line)).strip() for line in lines[index + 1 :]))
        if said and said != paragraph[-1]:  # captions that roll repeat themselves
            paragraph.append(said)
    blocks.paragraph("\n".join(paragraph))
    if not count:
        raise broken("file of subtitles")
    return "", blocks.text()
