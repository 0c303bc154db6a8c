"""Who may read what comes in: whoever its sender says, else whoever could before."""

from collections.abc import Mapping
from dataclasses import replace

from trivium_serving.errors import AlreadyExists

from trivium_gateway.domain.ids import forms_of_id
from trivium_gateway.domain.readers import Reader
from trivium_gateway.ingestion.incoming import Incoming
from trivium_gateway.library.versions import DocumentVersions

__all__ = ["take_over_readers"]


def take_over_readers(incoming: Incoming, stored: Mapping[str, DocumentVersions], reader: Reader) -> None:
    """Settle who may read a document on its way, and refuse it in the place of one that its sender may not read.

    A file in a mail or an archive that is new there is for those who may read that.

    Args:
        incoming: The document, prepared.
        stored: What is stored of it, under all forms of its id, and of what it is in.
        reader: As whom it is sent.
    """
    before = [stored[form] for form in forms_of_id(incoming.id) if form in stored and stored[form].heads]
    around = [stored[one] for one in (incoming.container,) if one in stored]
    if not all(reader.may_read(one.readers) for one in (*before, *around)):
        incoming.error = AlreadyExists(
            f"The id {incoming.id!r} is taken by a document that is not yours to replace. Use another id.",
            reason="DOCUMENT_ID_TAKEN",
        )
    elif incoming.prepared is not None and not incoming.prepared.says_readers:
        for one in (*around, *before):
            incoming.prepared = replace(incoming.prepared, readers=one.readers)
