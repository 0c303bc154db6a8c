"""The numbers of lists as letters and Roman numerals."""

__all__ = ["counted"]

_ROMAN_VALUES = (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1)
_ROMAN_SIGNS = ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i")


def counted(count: int, form: str) -> str:
    """Write a number of a list as Word calls the form."""
    if count < 1:  # there is no such letter
        return str(count)
    if form in ("lowerLetter", "upperLetter"):
        letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
        return letters if form == "lowerLetter" else letters.upper()
    if form in ("lowerRoman", "upperRoman"):
        roman, left = "", count
        for value, sign in zip(_ROMAN_VALUES, _ROMAN_SIGNS, strict=True):
            roman += sign * (left // value)
            left %= value
        return roman if form == "lowerRoman" else roman.upper()
    return str(count)
