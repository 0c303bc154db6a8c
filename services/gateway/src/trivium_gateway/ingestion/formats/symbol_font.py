"""Characters of the font Symbol, which Office keeps in a range that means nothing without the font."""

__all__ = ["OF_SYMBOL_FONT"]

_FIRST = 0xF000
_GREEK = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ"
_SIGNS = {
    0xA2: "′", 0xA3: "≤", 0xA5: "∞", 0xAB: "↔", 0xAC: "←", 0xAD: "↑", 0xAE: "→", 0xAF: "↓", 0xB0: "°", 0xB1: "±",
    0xB2: "″", 0xB3: "≥", 0xB4: "×", 0xB5: "∝", 0xB6: "∂", 0xB7: "•", 0xB8: "÷", 0xB9: "≠", 0xBA: "≡", 0xBB: "≈",
    0xBC: "…", 0xC6: "∅", 0xC7: "∩", 0xC8: "∪", 0xCE: "∈", 0xD1: "∇", 0xD2: "®", 0xD3: "©", 0xD4: "™", 0xD5: "∏",
    0xD6: "√", 0xD7: "⋅", 0xDE: "⇒", 0xE5: "∑", 0xF2: "∫",
}  # fmt: skip

OF_SYMBOL_FONT: dict[int, str] = {
    **{_FIRST + code: chr(code) for code in range(0x20, 0x40)},
    **{_FIRST + ord("A") + at: letter for at, letter in enumerate(_GREEK)},
    **{_FIRST + ord("a") + at: letter for at, letter in enumerate("αβχδεφγηιϕκλµνοπθρστυϖωξψζ")},
    **{_FIRST + code: sign for code, sign in _SIGNS.items()},
}
"""For `str.translate`."""
