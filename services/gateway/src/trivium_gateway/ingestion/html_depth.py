"""Bounds how deep a page is nested, before it is parsed.

The standard has a parser look through all elements that are open for each one that begins. So 200,000 nested `<div>`,
one megabyte, take it minutes; browsers stop nesting at 512, and so does this.
"""

import re

__all__ = ["bounded_depth"]

_MOST_OPEN = 512
_LOOK_BACK = 16
"""So many open elements may lack their end tag before an end tag is taken for one without a beginning."""

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)|<!--|-->")
# What is in these nests nothing, or is not read.
_OPAQUE = frozenset(
    ("script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp", "plaintext", "svg", "math")
)
# These cannot be nested in themselves: they have no content, or the next one ends them.
_NEVER_NESTED = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
) | frozenset(
    ["p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "option", "html", "head", "body"]
)
_INLINE = (
    frozenset(
        [
            "a",
            "abbr",
            "acronym",
            "b",
            "bdi",
            "bdo",
            "big",
            "blink",
            "cite",
            "code",
            "data",
            "del",
            "dfn",
            "em",
            "font",
            "i",
        ]
    )
    | frozenset(
        [
            "ins",
            "kbd",
            "label",
            "mark",
            "nobr",
            "q",
            "rb",
            "rp",
            "rt",
            "rtc",
            "ruby",
            "s",
            "samp",
            "small",
            "span",
            "strike",
        ]
    )
    | frozenset(["strong", "sub", "sup", "time", "tt", "u", "var"])
)


def bounded_depth(html: str) -> str:
    """Give back a page in which elements beyond a depth of 512 are line breaks, or nothing where they are inline."""
    if html.count("<") <= _MOST_OPEN:
        return html
    return _TAG.sub(_Depth().replacement, html)


class _Depth:
    """Follows a page's tags. A tag that is too deep becomes one of an element without content, which nests nothing."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._surplus = 0
        self._opaque = ""

    def replacement(self, tag: re.Match[str]) -> str:
        whole, name = tag[0], (tag[2] or "").lower()
        if self._opaque:
            if whole == "-->" == self._opaque or (tag[1] and name == self._opaque):
                self._opaque = ""
            return whole
        if whole == "<!--":
            self._opaque = "-->"
        elif not name or name in _NEVER_NESTED:
            pass
        elif tag[1]:
            return self._end(whole, name)
        elif name in _OPAQUE:
            self._opaque = name
        elif len(self._open) >= _MOST_OPEN:
            self._surplus += 1
            return "<wbr" if name in _INLINE else "<br"
        else:
            self._open.append(name)
        return whole

    def _end(self, whole: str, name: str) -> str:
        if self._surplus:
            self._surplus -= 1
            return "</wbr"
        recent = self._open[-_LOOK_BACK:]
        if name in recent:
            del self._open[len(self._open) - 1 - recent[::-1].index(name) :]
        return whole
