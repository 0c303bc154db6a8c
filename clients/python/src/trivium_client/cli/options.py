"""Options that several commands share."""

import json
from typing import Annotated, Any

import typer

from trivium_client.cli.command import OUTPUT_OPTIONS
from trivium_client.cli.completion import complete_collections

GatewayOption = Annotated[
    str | None,
    typer.Option(
        "--gateway",
        metavar="HOST:PORT",
        envvar="TRIVIUM_GATEWAY",
        help="The gateway's gRPC address.",
        show_default="127.0.0.1:50050",
    ),
]
CollectionOption = Annotated[
    str,
    typer.Option(
        "--collection",
        "-c",
        metavar="NAME",
        help="The collection.",
        show_default="default",
        autocompletion=complete_collections,
    ),
]
CollectionsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--collection",
        "-c",
        metavar="NAME",
        help="The collection; may be repeated, to ask several at once.",
        show_default="default",
        autocompletion=complete_collections,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON, as the HTTP interface shows it, and nothing else.")
]
TopNOption = Annotated[
    int | None, typer.Option("--top-n", "-n", metavar="N", help="Most passages, 1 to 100.", show_default="5")
]
CandidatesOption = Annotated[
    int | None,
    typer.Option(metavar="N", help="How many passages the reranker judges, 1 to 1000.", show_default="100"),
]
FilterOption = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="JSON",
        help="""Only documents for which this holds, e.g. '{"metadata.year": {"gte": 2020}}'.""",
    ),
]

MetadataOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="A fact about all documents, to filter by; may be repeated. VALUE is JSON, or else a text.",
        show_default=False,
    ),
]
ReadersOption = Annotated[
    list[str] | None,
    typer.Option(
        "--readers",
        metavar="READER",
        help="Who may read all documents: user:NAME, group:NAME, or * for everyone; may be repeated. Without it, who "
        "could before.",
        show_default=False,
    ),
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Fail if there are files that would be passed over.")]


def asked_in(collections: list[str] | None) -> dict[str, Any]:
    """Where to ask, as the client takes it: in one collection, or in several."""
    names = list(dict.fromkeys(collections or ()))
    return {"collections": names} if len(names) > 1 else {"collection": "".join(names)}


def parse_metadata(facts: list[str] | None) -> dict[str, Any]:
    """Reads the values of --metadata.

    Raises:
        typer.BadParameter: If one is not KEY=VALUE.
    """
    return _parse_pairs(facts, "--metadata", "KEY=VALUE")


def parse_settings(settings: list[str] | None) -> dict[str, Any]:
    """Reads the values of --set.

    Raises:
        typer.BadParameter: If one is not NAME=VALUE.
    """
    return _parse_pairs(settings, "--set", "NAME=VALUE")


def _parse_pairs(pairs: list[str] | None, option: str, form: str) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{pair!r} is not {form}", param_hint=option)
        try:
            parsed[name] = json.loads(value)
        except ValueError:
            parsed[name] = value
    return parsed


def parse_filter(text: str | None) -> dict[str, Any] | None:
    """Reads the value of --filter.

    Raises:
        typer.BadParameter: If it is not a JSON object.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--filter") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("not a JSON object", param_hint="--filter")
    return value


def refuse_options_before_command(context: typer.Context) -> None:
    """Refuses options between the name of a group and that of its command, where they would be without effect.

    Raises:
        typer.BadParameter: If there is one.
    """
    for name in context.params.keys() - OUTPUT_OPTIONS.keys():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(f"put options after `{context.invoked_subcommand}`")
