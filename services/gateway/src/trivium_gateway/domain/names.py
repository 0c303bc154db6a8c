"""Names of collections: those that people give, and those that Qdrant sees."""

import hashlib
import re

from trivium_serving.errors import InvalidField

__all__ = ["check_name", "name_behind", "physical_name"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_PHYSICAL_NAME = re.compile(r"(?P<name>.+)__[0-9A-Za-z]{12}")
_FINGERPRINT_CHARACTERS = 12


def check_name(name: str) -> None:
    """Refuse what cannot be a collection's name.

    Raises:
        InvalidField: It is not 1 to 64 letters, digits, `-` and `_`, or does not begin with a letter or digit, or looks
            like that of a physical collection.
    """
    if not _NAME.fullmatch(name):
        raise InvalidField(
            "name",
            "A collection's name has 1 to 64 letters, digits, `-` and `_` (ASCII), the first one a letter or digit.",
        )
    if _PHYSICAL_NAME.fullmatch(name):
        raise InvalidField(
            "name",
            "A collection's name must not end in `__` and 12 letters or digits: Trivium makes such names itself.",
        )


def physical_name(name: str, model_fingerprint: str, analyzer: int) -> str:
    """Give the name of the collection in Qdrant that holds a model's vectors, and those of an analyzer.

    Args:
        name: The name that people use.
        model_fingerprint: The embedding model's.
        analyzer: Version of the analyzer of words; 0 in collections from before there was one.
    """
    made_with = model_fingerprint
    if analyzer:
        made_with = hashlib.sha256(f"{model_fingerprint} {analyzer}".encode()).hexdigest()
    return f"{name}__{made_with[:_FINGERPRINT_CHARACTERS]}"


def name_behind(physical: str) -> str:
    """Give the name that people use for a physical collection; empty if that is none of Trivium's."""
    match = _PHYSICAL_NAME.fullmatch(physical)
    return match["name"] if match else ""
