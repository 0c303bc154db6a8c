"""Document ids: Unicode writes some letters in several ways, and an id is the same in all of them."""

import unicodedata
from collections.abc import Sequence

from trivium_serving.errors import InvalidField, TooLarge

from trivium_gateway.domain.limits import GatewayLimits, check_document_id

__all__ = ["canonical_id", "checked_ids", "forms_of_id"]


def canonical_id(document_id: str) -> str:
    """Give the form in which an id is stored: composed, NFC."""
    return unicodedata.normalize("NFC", document_id)


def forms_of_id(document_id: str) -> tuple[str, ...]:
    """List the forms that a stored id may have, the canonical one first.

    Earlier versions of Trivium kept an id as it came: from file systems that decompose names, in NFD.
    """
    forms = (canonical_id(document_id), document_id, unicodedata.normalize("NFD", document_id))
    return tuple(dict.fromkeys(forms))


def checked_ids(document_ids: Sequence[str], limits: GatewayLimits) -> list[str]:
    """Give the ids under which some documents may be stored, each once.

    Raises:
        InvalidField: No id is given, or one is not a possible id.
        TooLarge: There are more ids than one call may have (TOO_MANY_DOCUMENTS).
    """
    if not document_ids:
        raise InvalidField("ids", "There are no ids; give at least one.")
    if len(document_ids) > limits.max_documents_per_request:
        raise TooLarge(
            f"There are {len(document_ids)} ids; at most {limits.max_documents_per_request} are allowed.",
            reason="TOO_MANY_DOCUMENTS",
            field="ids",
        )
    for document_id in document_ids:
        check_document_id(document_id, limits)
    return list(dict.fromkeys(form for document_id in document_ids for form in forms_of_id(document_id)))
