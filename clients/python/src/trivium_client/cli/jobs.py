"""`trivium jobs`."""

from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from trivium_client import Job, Trivium
from trivium_client.cli.command import App
from trivium_client.cli.options import GatewayOption, JsonOption, refuse_options_before_command
from trivium_client.cli.output import echo, fail, print_json, print_row, stderr, stdout, warn

jobs_app = App(no_args_is_help=False)

_MOST_LISTED = 50

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The job's id, as `trivium jobs` shows it.")]


@jobs_app.callback(invoke_without_command=True)
def jobs(context: typer.Context, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """See, retry and cancel ingestions that the gateway does by itself. Without a command: list.

    `trivium ingest --no-wait` and the page start them.

    **Examples**

        trivium jobs

        trivium jobs show 8b3f6c1d2e4a5f60 --follow

        trivium jobs retry 8b3f6c1d2e4a5f60
    """
    if context.invoked_subcommand is None:
        list_jobs(gateway=gateway, as_json=as_json)
    else:
        refuse_options_before_command(context)


@jobs_app.command("list")
def list_jobs(
    limit: Annotated[int, typer.Option(metavar="N", help="Most jobs.", min=1)] = _MOST_LISTED,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """List jobs, the latest first: id, state, how many documents have ended, of how many, how many failed, collection.

    **Examples**

        trivium jobs list --json | jq -r '.[] | select(.state == "failed").id'
    """
    found: list[Job] = []
    with Trivium(gateway) as trivium:
        for job in trivium.list_jobs(page_size=min(limit, 1000)):
            found.append(job)
            if len(found) == limit:
                break
    if as_json:
        print_json(found)
        return
    console = stdout()
    if not console.is_terminal:
        for job in found:
            print_row(job.id, _state(job), job.done, job.total, job.failed_count, job.collection)
        return
    table = Table("Id", "State", "Ended", "Of", "Failed", "Collection", "Made", box=None, header_style="bold")
    for job in found:
        made = f"{job.created.astimezone():%Y-%m-%d %H:%M}"
        numbers = (str(job.done), str(job.total), str(job.failed_count or ""))
        table.add_row(job.id, _state(job), *numbers, job.collection, made)
    console.print(table)


@jobs_app.command("show")
def show_job(
    job_id: IdArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait until it has ended.")] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how far a job is, and each document that failed. The exit status is 1 if some did.

    **Examples**

        trivium jobs show 8b3f6c1d2e4a5f60 --follow
    """
    with Trivium(gateway) as trivium:
        job = _followed(trivium, job_id) if follow else trivium.get_job(job_id)
    _show(job, as_json=as_json)


@jobs_app.command("retry")
def retry_job(
    job_id: IdArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait until it has ended.")] = False,
    gateway: GatewayOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try the documents of a job again that failed, or were cancelled.

    **Examples**

        trivium jobs retry 8b3f6c1d2e4a5f60 --follow
    """
    with Trivium(gateway) as trivium:
        job = trivium.retry_job(job_id)
        if follow:
            job = _followed(trivium, job_id)
    _show(job, as_json=as_json)


@jobs_app.command("cancel")
def cancel_job(job_id: IdArgument, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """End a job that goes on. Documents that are in stay; `trivium jobs retry` takes up the rest.

    **Examples**

        trivium jobs cancel 8b3f6c1d2e4a5f60
    """
    with Trivium(gateway) as trivium:
        job = trivium.get_job(job_id)
        if job.ended is None:
            trivium.delete_job(job_id)
    if as_json:
        print_json({"cancelled": job_id} if job.ended is None else {"ended": job_id})
    else:
        echo(f"cancelled {job_id}" if job.ended is None else f"{job_id} had ended before: {job.state}")


@jobs_app.command("delete")
def delete_job(job_id: IdArgument, gateway: GatewayOption = None, as_json: JsonOption = False) -> None:
    """Forget a job, which is cancelled before if it goes on. Documents that are in stay.

    **Examples**

        trivium jobs delete 8b3f6c1d2e4a5f60
    """
    with Trivium(gateway) as trivium:
        while not trivium.delete_job(job_id):
            pass  # it went on: now that it is cancelled, it can be forgotten
    if as_json:
        print_json({"deleted": job_id})
    else:
        echo(f"forgot {job_id}")


def _followed(trivium: Trivium, job_id: str) -> Job:
    """Waits for a job, with a bar where standard error is a terminal."""
    console = stderr()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    task = bar.add_task("queued", total=None)
    said = ""

    def show(job: Job) -> None:
        nonlocal said
        state = f"{job.state}, {job.failed_count} failed" if job.failed_count else job.state
        bar.update(task, description=state, completed=job.done, total=job.total)
        waits = f"waiting: {job.waiting.message} ({job.waiting.reason})" if job.waiting else ""
        if waits and waits != said:
            warn(waits)
        said = waits

    try:
        with bar:
            return trivium.wait_for_job(job_id, on_progress=show)
    except KeyboardInterrupt:
        warn(f"the job goes on without you: see trivium jobs show {job_id}, or trivium jobs cancel {job_id}")
        raise


def _show(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        echo(f"{job.id} {_state(job)}: {job.done} of {job.total} documents have ended, {job.failed_count} failed")
        if job.waiting:
            warn(f"waiting: {job.waiting.message} ({job.waiting.reason})")
        for failure in job.failed:
            fail(f"{failure.id}: {failure.error.message} ({failure.error.reason})")
    if job.failed_count:
        raise typer.Exit(1)


def _state(job: Job) -> str:
    return "waiting" if job.waiting else job.state
