"""`trivium collections`."""

from typing import Annotated

import typer
from rich.table import Table

from trivium_client import Collection, Trivium
from trivium_client._counting import counted
from trivium_client.cli.command import App
from trivium_client.cli.completion import complete_collections
from trivium_client.cli.options import GatewayOption, JsonOption, parse_settings, refuse_options_before_command
from trivium_client.cli.output import echo, is_interactive, print_json, print_row, stdout

collections_app = App(no_args_is_help=False)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="The collection's name.", show_default=False, autocompletion=complete_collections
    ),
]
NewNameArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME", help="1 to 64 letters, digits, - and _, the first one a letter or digit.", show_default=False
    ),
]


@collections_app.callback(invoke_without_command=True)
def collections(context: typer.Context, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Create, list, describe and delete collections. Without a command: list.

    **Examples**

        trivium collections

        trivium collections create manuals

        trivium collections delete manuals --yes
    """
    if context.invoked_subcommand is None:
        list_collections(gateway, as_json)
    else:
        refuse_options_before_command(context)


@collections_app.command("list")
def list_collections(gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """List all collections: name, pieces, embedding model, state.

    The state is ready, or opening, damaged or unavailable, and then nothing else is known of the collection.

    **Examples**

        trivium collections list --json | jq -r .collections[].name
    """
    with Trivium(gateway) as trivium:
        found = trivium.list_collections()
    if as_json:
        print_json({"collections": found})
        return
    console = stdout()
    if not console.is_terminal:
        for collection in found:
            print_row(collection.name, _pieces(collection), collection.model, collection.state)
        return
    table = Table("Name", "Pieces", "Model", "State", box=None, header_style="bold")
    for collection in found:
        table.add_row(collection.name, _pieces(collection), collection.model, collection.state)
    console.print(table)


@collections_app.command("get")
def get_collection(name: NameArgument, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Describe a collection: its pieces, its embedding model, the metadata that its documents have.

    **Examples**

        trivium collections get manuals
    """
    with Trivium(gateway) as trivium:
        _show(trivium.get_collection(name), as_json=as_json)


@collections_app.command("create")
def create_collection(name: NewNameArgument, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Create a collection, for the embedding model that the gateway has now.

    **Examples**

        trivium collections create manuals
    """
    with Trivium(gateway) as trivium:
        _show(trivium.create_collection(name), as_json=as_json)


@collections_app.command("set")
def set_settings(
    name: NameArgument,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SETTING=VALUE",
            help="A setting, for example retention_days=30; may be repeated.",
            show_default=False,
        ),
    ] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SETTING", help="A setting to leave to the gateway again; may be repeated.", show_default=False
        ),
    ] = None,
    note: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who look later.", show_default=False)] = "",
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change how a collection is searched and judged, and how long it keeps documents. What is not named stays.

    The settings are dense_weight, sparse_weight, rerank_weight, candidates, section_characters, score_slope,
    score_intercept, confidence_slope, confidence_intercept, refuse_below, mark_below, refusal, language,
    chunk_tokens, chunk_overlap_tokens, late_chunking, learned_sparse, learned_weight, retention_days and, on a Qdrant
    server, quantisation, rescore and on_disk. Words are of another language, and documents that are there cut or
    embedded otherwise, after `trivium reindex`, which also changes the model.

    **Examples**

        trivium collections set manuals --set retention_days=30 --set refusal=mark

        trivium collections set manuals --clear retention_days --note "kept for the audit"
    """
    values = parse_settings(settings) | dict.fromkeys(clear or ())
    if not values:
        raise typer.BadParameter("nothing is to be changed; name a setting", param_hint="--set")
    with Trivium(gateway) as trivium:
        _show(trivium.update_collection(name, values, note=note), as_json=as_json)


@collections_app.command("rollback")
def roll_back_settings(name: NameArgument, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Take the last change of a collection's settings back.

    **Examples**

        trivium collections rollback manuals
    """
    with Trivium(gateway) as trivium:
        _show(trivium.roll_back_settings(name), as_json=as_json)


@collections_app.command("delete")
def delete_collection(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete a collection and every document in it. Asks first; where nobody can be asked, --yes is needed.

    **Examples**

        trivium collections delete manuals
    """
    with Trivium(gateway) as trivium:
        if not yes:
            if not is_interactive():
                raise typer.BadParameter("nobody can be asked here: confirm with --yes", param_hint="--yes")
            collection = trivium.get_collection(name)
            if collection.state == "ready":
                question = f"Delete {name} and {counted(collection.chunk_count, 'piece')} of documents in it?"
            else:
                question = f"Delete {name}, which is {collection.state}, and every document in it?"
            typer.confirm(question, abort=True, err=True)
        trivium.delete_collection(name)
    if as_json:
        print_json({"deleted_name": name})
    else:
        echo(f"deleted {name}")


_ROLES = {
    "next": "is filled; `trivium reindex` goes on",
    "previous": "answered before; `trivium reindex --rollback` or `--discard-old`",
    "left": "was gone back from; `trivium reindex` brings back what it alone has",
}


def _pieces(collection: Collection) -> str:
    return str(collection.chunk_count) if collection.state == "ready" else "?"


def _show(collection: Collection, *, as_json: bool) -> None:
    if as_json:
        print_json(collection)
        return
    print_row("name", collection.name)
    print_row("state", collection.state)
    print_row("pieces", _pieces(collection))
    if collection.coded_chunk_count is not None:
        print_row("with token vectors", str(collection.coded_chunk_count))
    print_row("model", collection.model)
    print_row("fingerprint", collection.model_fingerprint)
    print_row("dimension", collection.dimension)
    if collection.sparse_fingerprint:
        print_row("learned sparse", collection.sparse_fingerprint)
    print_row("metadata", ", ".join(collection.metadata_keys))
    if collection.settings is not None:
        values = " ".join(f"{name}={value}" for name, value in collection.settings.values.items())
        print_row(
            "settings", f"version {collection.settings.number}: {values or 'nothing set'}", collection.settings.note
        )
    if collection.needs_reindex:
        print_row("index", f"not as it would be made now; run: trivium reindex {collection.name}")
    if collection.index_beside is not None:
        print_row("other index", collection.index_beside.model, _ROLES[collection.index_beside.role])
