"""`trivium keys`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from trivium_client import Key, MadeKey, Trivium
from trivium_client.cli.command import App
from trivium_client.cli.options import GatewayOption, JsonOption, refuse_options_before_command
from trivium_client.cli.output import echo, print_json, print_row, stderr, stdout

keys_app = App(no_args_is_help=False)

_TIME = re.compile(r"(\d+)\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `trivium keys` shows it.")]


@keys_app.callback(invoke_without_command=True)
def keys(context: typer.Context, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Make, list, rotate and revoke the keys of a gateway that asks for them. Without a command: list.

    It takes a key with the scope `admin`, or `operator` for other tenants, in TRIVIUM_API_KEY.

    **Examples**

        trivium keys

        trivium keys create bot --tenant legal --scope read

        trivium keys rotate 5f0c2b9a1d --grace 1d
    """
    if context.invoked_subcommand is None:
        list_keys(gateway, as_json)
    else:
        refuse_options_before_command(context)


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.", show_default=False)],
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may do: read, ingest, admin, act-as, operator; may be repeated.", show_default="read"
        ),
    ] = None,
    tenant: Annotated[
        str, typer.Option(metavar="NAME", help="Whose data it opens.", show_default="that of your own key")
    ] = "",
    user: Annotated[str, typer.Option(metavar="NAME", help="For whom it asks, if it is one person's.")] = "",
    group: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="What they belong to; may be repeated.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it ends, from now: 90d, 12h.", show_default="never")
    ] = None,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is printed once, and nobody can show it again.

    **Examples**

        trivium keys create bot --scope read --expires 90d

        trivium keys create pipeline --tenant legal --scope read --scope ingest
    """
    expires_at = None if expires is None else datetime.now(UTC) + _time(expires, "--expires")
    with Trivium(gateway) as trivium:
        made = trivium.create_key(
            name, scopes=scope or ["read"], tenant=tenant, user=user, groups=group or [], expires_at=expires_at
        )
    _show_made(made, as_json=as_json)


@keys_app.command("list")
def list_keys(gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """List the keys that yours may change: id, name, tenant, scopes, user, end.

    **Examples**

        trivium keys list --json | jq -r '.[].id'
    """
    with Trivium(gateway) as trivium:
        found = trivium.list_keys()
    if as_json:
        print_json([_plain(key) for key in found])
        return
    rows = [
        (key.id, key.name, key.tenant, " ".join(key.scopes), key.user, _moment(key.expires_at) or "never")
        for key in found
    ]
    console = stdout()
    if not console.is_terminal:
        for row in rows:
            print_row(*row)
        return
    table = Table("Id", "Name", "Tenant", "May", "User", "Ends", box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@keys_app.command("rotate")
def rotate_key(
    key_id: IdArgument,
    grace: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long it is still taken as it was: 0s, 12h, 7d.", show_default="1h"),
    ] = None,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a key another secret. It is taken as it was for a while, so that nobody is shut out.

    **Examples**

        trivium keys rotate 5f0c2b9a1d --grace 7d
    """
    grace_seconds = None if grace is None else _time(grace, "--grace").total_seconds()
    with Trivium(gateway) as trivium:
        made = trivium.rotate_key(key_id, grace_seconds=grace_seconds)
    _show_made(made, as_json=as_json)


@keys_app.command("revoke")
def revoke_key(key_id: IdArgument, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """End a key at once.

    **Examples**

        trivium keys revoke 5f0c2b9a1d
    """
    with Trivium(gateway) as trivium:
        trivium.revoke_key(key_id)
    if as_json:
        print_json({"deleted": key_id})
    else:
        echo(f"revoked {key_id}")


def _show_made(made: MadeKey, *, as_json: bool) -> None:
    if as_json:
        print_json({**_plain(made.key), "key": made.text})
        return
    echo(made.text)
    stderr().print(f"Key {made.key.id} of {made.key.tenant}. Keep it now: it is not shown again.", highlight=False)


def _plain(key: Key) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": list(key.scopes),
        "user": key.user or None,
        "groups": list(key.groups),
        "created_at": _moment(key.created_at),
        "expires_at": _moment(key.expires_at) or None,
    }


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _time(text: str, option: str) -> timedelta:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter("not a time such as 90d, 12h, 30m or 45s", param_hint=option)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
