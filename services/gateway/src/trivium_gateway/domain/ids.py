"""Document ids: Unicode writes some letters in several ways, and an id is the same in all of them."""

import unicodedata

__all__ = ["canonical_id", "forms_of_id"]


def canonical_id(document_id: str) -> str:
    """Give the form in which an id is stored: composed, NFC."""
    return unicodedata.normalize("NFC", document_id)


def forms_of_id(document_id: str) -> tuple[str, ...]:
    """List the forms that a stored id may have, the canonical one first.

    Earlier versions of Trivium kept an id as it came: from file systems that decompose names, in NFD.
    """
    forms = (canonical_id(document_id), document_id, unicodedata.normalize("NFD", document_id))
    return tuple(dict.fromkeys(forms))
