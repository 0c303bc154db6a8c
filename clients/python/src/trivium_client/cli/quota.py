"""`trivium quota`."""

from typing import Annotated

import typer
from rich.table import Table

from trivium_client import Quota, Trivium
from trivium_client.cli.command import App
from trivium_client.cli.options import GatewayOption, JsonOption, refuse_options_before_command
from trivium_client.cli.output import echo, print_json, print_row, stdout

quota_app = App(no_args_is_help=False)


@quota_app.callback(invoke_without_command=True)
def quota(context: typer.Context, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Show and set what tenants and their keys may use. Without a command: show.

    It takes a key with the scope `operator`, or `admin` for the keys of its tenant, in TRIVIUM_API_KEY.

    **Examples**

        trivium quota

        trivium quota set requests=600/m completion_tokens=1000000/d --tenant legal
    """
    if context.invoked_subcommand is None:
        list_quotas("", gateway, as_json)
    else:
        refuse_options_before_command(context)


@quota_app.command("list")
def list_quotas(
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose.", show_default="all that your key may see")] = "",
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was set, and what your own tenant may use: tenant, key, weight, limits with what is left of each.

    **Examples**

        trivium quota list --tenant legal --json
    """
    with Trivium(gateway) as trivium:
        found = trivium.list_quotas(tenant=tenant)
    if as_json:
        print_json([_plain(one) for one in found])
        return
    rows = [(one.tenant, one.key_id, f"{one.weight:g}", _limits(one)) for one in found]
    console = stdout()
    if not console.is_terminal:
        for row in rows:
            print_row(*row)
        return
    table = Table("Tenant", "Key", "Weight", "Limits, and what is left", box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@quota_app.command("set")
def set_quota(
    limits: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KIND=LIMIT",
            help="requests=600/m, completion_tokens=1000000/d: each of what `trivium usage` shows, in so many seconds "
            "(s), minutes (m), hours (h) or days (d); stored_documents=10000 and stored_bytes=50000000 of what there "
            "is. None to take back what was set.",
            show_default=False,
        ),
    ] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose.", show_default="that of your own key")] = "",
    key: Annotated[str, typer.Option(metavar="ID", help="One of its keys.", show_default="the tenant as a whole")] = "",
    weight: Annotated[
        float | None,
        typer.Option(
            metavar="N", help="Its part of what tenants share, 0.1 to 10.", show_default="as it was", min=0.1, max=10
        ),
    ] = None,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set what a tenant, or one of its keys, may use, in place of what it was.

    **Examples**

        trivium quota set requests=600/m pages=5000/d --tenant legal

        trivium quota set requests=60/m --key 5f0c2b9a1d

        trivium quota set stored_documents=10000 --tenant legal

        trivium quota set --tenant legal
    """
    with Trivium(gateway) as trivium:
        made = trivium.set_quota(_parsed(limits), tenant=tenant, key_id=key, weight=weight)
    if as_json:
        print_json(_plain(made))
    else:
        whose = f"the key {made.key_id}" if made.key_id else f"the tenant {made.tenant}"
        echo(f"{whose} may use {_limits(made) or 'as much as it wants'}")


def _parsed(limits: list[str] | None) -> dict[str, str]:
    pairs = [one.partition("=") for one in limits or ()]
    for name, equals, limit in pairs:
        if not (name and equals and limit):
            raise typer.BadParameter(f"{name + equals + limit!r} is not KIND=LIMIT", param_hint="KIND=LIMIT")
    return {name: limit for name, _, limit in pairs}


def _limits(one: Quota) -> str:
    left = {kind: f" ({amount} left)" for kind, amount in one.left.items()}  # nobody counts what is stored for this
    return " ".join(f"{kind}={limit}{left.get(kind, '')}" for kind, limit in one.limits.items())


def _plain(one: Quota) -> dict[str, object]:
    return {
        "tenant": one.tenant,
        "key": one.key_id or None,
        "limits": dict(one.limits),
        "left": dict(one.left),
        "weight": one.weight,
        "own": one.own,
    }
