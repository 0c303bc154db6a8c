"""The command's entry point: its subcommands, and what becomes of errors."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from trivium_client import TriviumError
from trivium_client.cli.ask import ask, search
from trivium_client.cli.bundle import bundle_app
from trivium_client.cli.chat import chat
from trivium_client.cli.collections import collections_app
from trivium_client.cli.command import App
from trivium_client.cli.demo import demo
from trivium_client.cli.doctor import doctor
from trivium_client.cli.documents import documents_app
from trivium_client.cli.evaluation import evaluate
from trivium_client.cli.failures import FAILED, failure_text, status_of
from trivium_client.cli.feedback import feedback_app
from trivium_client.cli.ingest import ingest
from trivium_client.cli.jobs import jobs_app
from trivium_client.cli.keys import keys_app
from trivium_client.cli.mcp import mcp
from trivium_client.cli.model import model_app
from trivium_client.cli.models import models
from trivium_client.cli.move import move_collections
from trivium_client.cli.output import as_before, fail
from trivium_client.cli.quota import quota_app
from trivium_client.cli.reindex import reindex
from trivium_client.cli.status import status
from trivium_client.cli.sync import sync
from trivium_client.cli.traces import explain, replay
from trivium_client.cli.transfer import export_collection, import_collection
from trivium_client.cli.tune import tune_collection
from trivium_client.cli.up import up
from trivium_client.cli.usage import usage
from trivium_client.cli.version import print_version, version

app = App(
    name="trivium",
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,  # they would show texts of documents
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "Exit status: 0 done · 1 failed, also in part · 2 wrong usage · 3 the gateway cannot be reached · "
        "4 not possible now, try again later · 5 not found · 6 refused · 130 interrupted"
    ),
)


@app.callback()
def trivium(
    tls_ca: Annotated[
        Path | None,
        typer.Option(envvar="TRIVIUM_TLS_CA", metavar="FILE", help="Authorities to trust; connects with TLS."),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(envvar="TRIVIUM_TLS_CERT", metavar="FILE", help="Certificate to show, for mTLS.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="TRIVIUM_TLS_KEY", metavar="FILE", help="Key of the certificate.")
    ] = None,
    show_version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Answers questions from your own documents.

    Start with `trivium up` in one terminal; in another one `trivium ingest FOLDER`, then `trivium ask "..."` or
    `trivium chat`. If something does not work, `trivium doctor` says what and why.

    Results go to standard output, everything else to standard error; where that is no terminal there are neither
    colours nor progress bars. TRIVIUM_GATEWAY names a gateway that is not on this machine, and TRIVIUM_API_KEY holds
    the key for one that asks for it.
    """
    files = {"TRIVIUM_TLS_CA": tls_ca, "TRIVIUM_TLS_CERT": tls_cert, "TRIVIUM_TLS_KEY": tls_key}
    os.environ.update({variable: str(path) for variable, path in files.items() if path is not None})


app.command()(up)
app.command()(ingest)
app.command()(sync)
app.command()(ask)
app.command()(chat)
app.command()(search)
app.command()(explain)
app.command()(replay)
app.add_typer(feedback_app, name="feedback")
app.add_typer(documents_app, name="documents")
app.add_typer(collections_app, name="collections")
app.add_typer(jobs_app, name="jobs")
app.add_typer(keys_app, name="keys")
app.add_typer(quota_app, name="quota")
app.command()(usage)
app.command()(reindex)
app.command("export")(export_collection)
app.command("import")(import_collection)
app.command("move")(move_collections)
app.command("eval")(evaluate)
app.command("tune")(tune_collection)
app.command()(status)
app.command()(doctor)
app.command()(models)
app.add_typer(model_app, name="model")
app.command()(mcp)
app.command()(demo)
app.add_typer(bundle_app, name="bundle")
app.command()(version)


def main() -> None:
    """Runs the command."""
    as_before()
    try:
        app()
    except TriviumError as error:
        fail(failure_text(error))
        sys.exit(status_of(error))
    except OSError as error:  # a full disk, a file that nobody may read
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
