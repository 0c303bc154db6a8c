"""What the shell offers when TAB is pressed: names that the running gateway knows.

A gateway that is down, or slow, is no reason to keep anybody waiting, or to print into the line that is being typed.
"""

from itertools import islice

import typer

from trivium_client import Trivium, TriviumError

_TIMEOUT_SECONDS = 0.7
_MOST_OFFERED = 500
_PAGE_SIZE = 1000
_MOST_READ = 5000


def complete_collections(context: typer.Context, incomplete: str) -> list[str]:
    """Names of collections."""
    try:
        with Trivium(context.params.get("gateway"), timeout_seconds=_TIMEOUT_SECONDS) as trivium:
            names = [collection.name for collection in trivium.list_collections()]
    except TriviumError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def complete_document_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of documents in the collection that the line names."""
    collection = context.params.get("collection") or ""
    given = context.params.get("document_ids") or ()
    try:
        with Trivium(context.params.get("gateway"), timeout_seconds=_TIMEOUT_SECONDS) as trivium:
            read = islice(trivium.list_documents(collection=collection, page_size=_PAGE_SIZE), _MOST_READ)
            fitting = (document.id for document in read if document.id.startswith(incomplete))
            return list(islice((name for name in fitting if name not in given), _MOST_OFFERED))
    except TriviumError:
        return []
