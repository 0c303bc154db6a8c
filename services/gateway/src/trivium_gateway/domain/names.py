"""Names of collections and tenants: those that people give, and those that Qdrant sees."""

import hashlib
import re

from trivium_serving.errors import InvalidField

__all__ = [
    "DEFAULT_TENANT",
    "alias_behind",
    "alias_of",
    "check_name",
    "check_tenant",
    "is_name",
    "name_and_tenant",
    "name_of",
    "physical_name",
]

DEFAULT_TENANT = "default"
"""The tenant of whoever does not have to say who they are. Its collections stand in Qdrant under their own names."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_PHYSICAL_NAME = re.compile(r"(?P<alias>.+)__[0-9A-Za-z]{12}")
_FINGERPRINT_CHARACTERS = 12


def is_name(name: str) -> bool:
    """Whether a collection may have a name; an alias of another tenant's is none."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> None:
    """Refuse what cannot be a collection's name.

    Raises:
        InvalidField: It is not 1 to 64 letters, digits, `-` and `_`, or does not begin with a letter or digit, or looks
            like that of a physical collection.
    """
    if not is_name(name):
        raise InvalidField(
            "name",
            "A collection's name has 1 to 64 letters, digits, `-` and `_` (ASCII), the first one a letter or digit.",
        )
    if _PHYSICAL_NAME.fullmatch(name):
        raise InvalidField(
            "name",
            "A collection's name must not end in `__` and 12 letters or digits: Trivium makes such names itself.",
        )


def check_tenant(tenant: str) -> None:
    """Refuse what cannot be a tenant's name.

    Raises:
        InvalidField: It is not 1 to 64 small letters, digits, `-` and `_`, or does not begin with a letter or digit.
    """
    if not _TENANT.fullmatch(tenant):
        raise InvalidField(
            "tenant",
            "A tenant's name has 1 to 64 small letters, digits, `-` and `_` (ASCII), the first one a letter or digit.",
        )


def alias_of(tenant: str, name: str) -> str:
    """Give the alias in Qdrant of a tenant's collection; no two tenants have one in common.

    Args:
        tenant: Whose collection.
        name: The name that they use.
    """
    return name if tenant == DEFAULT_TENANT else f"{tenant}.{name}"


def name_and_tenant(alias: str) -> tuple[str, str]:
    """Give the name that people use for what is behind an alias, and whose it is."""
    tenant, dot, name = alias.partition(".")
    return (name, tenant) if dot else (alias, DEFAULT_TENANT)


def name_of(alias: str) -> str:
    """Give the name that people use for what is behind an alias."""
    return name_and_tenant(alias)[0]


def physical_name(
    alias: str, model_fingerprint: str, analyzer: int, language: str = "", generation: str = "", learned: str = ""
) -> str:
    """Give the name of the collection in Qdrant that holds a model's vectors, and those of an analyzer.

    Args:
        alias: The collection's alias.
        model_fingerprint: The embedding model's.
        analyzer: Version of the analyzer of words; 0 in collections from before there was one.
        language: The language that the analyzer goes by where a text does not tell; may be empty.
        generation: Tells it from others that are made alike; empty for the first.
        learned: Fingerprint of the model of its learned sparse vectors; empty if it has none.
    """
    made_with = model_fingerprint
    if analyzer:
        parts = filter(None, (model_fingerprint, str(analyzer), language, generation, learned))
        made_with = hashlib.sha256(" ".join(parts).encode()).hexdigest()
    return f"{alias}__{made_with[:_FINGERPRINT_CHARACTERS]}"


def alias_behind(physical: str) -> str:
    """Give the alias for a physical collection; empty if that is none of Trivium's."""
    match = _PHYSICAL_NAME.fullmatch(physical)
    return match["alias"] if match else ""
