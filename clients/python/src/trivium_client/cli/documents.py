"""`trivium documents`."""

from typing import Annotated

import typer
from rich.table import Table

from trivium_client import Trivium
from trivium_client._counting import counted
from trivium_client.cli.command import App
from trivium_client.cli.completion import complete_document_ids
from trivium_client.cli.failures import NOT_FOUND
from trivium_client.cli.options import CollectionOption, GatewayOption, JsonOption, refuse_options_before_command
from trivium_client.cli.output import echo, print_json, print_row, stderr, stdout, warn

documents_app = App(no_args_is_help=False)


@documents_app.callback(invoke_without_command=True)
def documents(
    context: typer.Context,
    collection: CollectionOption = "",
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """List, read and delete documents. Without a command: list.

    **Examples**

        trivium documents

        trivium documents get guides/install.md

        trivium documents delete old/a.md old/b.md

        trivium documents readers plan.md user:ann group:hr
    """
    if context.invoked_subcommand is None:
        list_documents(collection, gateway, as_json)
    else:
        refuse_options_before_command(context)


@documents_app.command("list")
def list_documents(
    collection: CollectionOption = "", gateway: GatewayOption = None, as_json: JsonOption = False
) -> None:
    """List the documents of a collection: id, pieces, title, uri.

    **Examples**

        trivium documents list --collection manuals

        trivium documents list --json | jq -r '.documents[].id'
    """
    with Trivium(gateway) as trivium:
        found = trivium.list_documents(collection=collection, page_size=1000)
        if as_json:
            print_json({"documents": list(found)})
            return
        console = stdout()
        if not console.is_terminal:
            for document in found:
                print_row(document.id, document.chunk_count, document.title, document.uri)
            return
        table = Table("Id", "Pieces", "Title", "Uri", box=None, header_style="bold")
        for document in found:
            table.add_row(document.id, str(document.chunk_count), document.title, document.uri)
    console.print(table)
    console.print(counted(table.row_count, "document"), style="dim")


@documents_app.command("get")
def get_document(
    document_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The document's id.", show_default=False, autocompletion=complete_document_ids
        ),
    ],
    collection: CollectionOption = "",
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a document's stored text.

    **Examples**

        trivium documents get guides/install.md
    """
    with Trivium(gateway) as trivium:
        document = trivium.get_document(document_id, collection=collection)
    if as_json:
        print_json(document)
        return
    aside = stderr()
    if aside.is_terminal:
        facts = [
            counted(document.chunk_count, "piece"),
            document.uri,
            *(f"{k}={v}" for k, v in document.metadata.items()),
        ]
        aside.print(document.title or document.id, style="bold")
        aside.print(" · ".join(fact for fact in facts if fact), style="dim")
    echo(document.text or "")


@documents_app.command("delete")
def delete_documents(
    document_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="ID", help="Ids of documents.", show_default=False, autocompletion=complete_document_ids
        ),
    ],
    collection: CollectionOption = "",
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete documents. Exit status 5 if one of them was not there; the others are deleted all the same.

    **Examples**

        trivium documents delete old/a.md old/b.md

        trivium documents | cut -f 1 | grep ^old/ | xargs -d '\\n' trivium documents delete
    """
    with Trivium(gateway) as trivium:
        deleted = trivium.delete_documents(document_ids, collection=collection)
    if as_json:
        print_json({"deleted_ids": deleted})
    else:
        for document_id in deleted:
            echo(f"deleted {document_id}")
    absent = [document_id for document_id in document_ids if document_id not in deleted]
    for document_id in absent:
        warn(f"there was no document {document_id}")
    if absent:
        raise typer.Exit(NOT_FOUND)


@documents_app.command("readers")
def set_readers(
    document_id: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="The document's id.", show_default=False, autocompletion=complete_document_ids
        ),
    ],
    readers: Annotated[
        list[str],
        typer.Argument(
            metavar="READER", help="user:NAME, group:NAME, or '*' for everyone of the tenant.", show_default=False
        ),
    ],
    collection: CollectionOption = "",
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change who may read a document, and nothing else. Exit status 5 if there is no such document.

    **Examples**

        trivium documents readers plan.md user:ann group:hr

        trivium documents readers plan.md '*'
    """
    with Trivium(gateway) as trivium:
        changed = trivium.set_readers([document_id], readers, collection=collection)
    if as_json:
        print_json({"changed": changed})
    if not changed:
        warn(f"there is no document {document_id}")
        raise typer.Exit(NOT_FOUND)
