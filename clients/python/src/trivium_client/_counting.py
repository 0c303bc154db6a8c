"""Numbers of things in words."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 piece`, `2 pieces`, `12,000 pieces` of a noun; its plural is `noun` and an s unless it is given."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
