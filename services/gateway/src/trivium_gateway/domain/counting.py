"""Numbers of things in words."""


def counted(number: int, noun: str) -> str:
    """`1 piece`, `2 pieces`, `12,000 pieces` of a noun whose plural takes an s."""
    return f"{number:,} {noun if number == 1 else f'{noun}s'}"
