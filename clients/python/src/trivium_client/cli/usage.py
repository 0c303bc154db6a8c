"""`trivium usage`."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from trivium_client import Trivium
from trivium_client.cli.options import GatewayOption, JsonOption
from trivium_client.cli.output import print_json, print_row, stdout

KINDS = (
    "requests",
    "embedded_tokens",
    "reranked_tokens",
    "prompt_tokens",
    "completion_tokens",
    "pages",
    "documents",
    "bytes",
)


def usage(
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="DAY", help="Since when: 2027-01-31.", show_default="the first of this month"),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Until when.", show_default="now")] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose.", show_default="all that your key may see")] = "",
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what tenants and their keys used: requests, tokens, pages, documents, bytes; and what is stored.

    It takes a key with the scope `admin`, or `operator` for other tenants, in TRIVIUM_API_KEY. Days are those of UTC.

    **Examples**

        trivium usage

        trivium usage --from 2027-01-01 --to 2027-02-01 --tenant legal --json
    """
    begin, end = _moment(since, "--from"), _moment(until, "--to")
    with Trivium(gateway) as trivium:
        report = trivium.usage(begin=begin, end=end, tenant=tenant)
    if as_json:
        rows = [
            {"tenant": one.tenant, "key": one.key_id or None} | {kind: one.amounts.get(kind, 0) for kind in KINDS}
            for one in report.usage
        ]
        stored = [{"tenant": one.tenant, "documents": one.documents, "bytes": one.bytes} for one in report.stored]
        print_json({"from": _text(report.begin), "to": _text(report.end), "usage": rows, "stored": stored})
        return
    lines = [(one.tenant, one.key_id, *(str(one.amounts.get(kind, 0)) for kind in KINDS)) for one in report.usage]
    console = stdout()
    if not console.is_terminal:
        for line in lines:
            print_row(*line)
        for one in report.stored:
            print_row(one.tenant, "stored", str(one.documents), str(one.bytes))
        return
    table = Table(box=None, header_style="bold", title=f"{_text(report.begin)} to {_text(report.end)}")
    for name in ("Tenant", "Key"):
        table.add_column(name)
    for kind in KINDS:
        table.add_column(kind.replace("_", " ").capitalize(), justify="right")
    for line in lines:
        table.add_row(*line)
    console.print(table)
    kept = Table(box=None, header_style="bold", title="Stored now")
    for name in ("Tenant", "Documents", "Bytes"):
        kept.add_column(name, justify="left" if name == "Tenant" else "right")
    for one in report.stored:
        kept.add_row(one.tenant, str(one.documents), str(one.bytes))
    console.print(kept)


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("not a day such as 2027-01-31", param_hint=option) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
