"""`trivium up`."""

import asyncio
import json
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trivium_client.cli.answers import MODEL_COMMAND
from trivium_client.cli.output import fail
from trivium_client.cli.stack_output import StackOutput
from trivium_client.stack.readiness import Readiness
from trivium_client.stack.running import RunningStack, StackError, StackOptions, running_stack
from trivium_client.stack.services import SERVICES, Layout, layout_from_settings, layout_on_free_ports
from trivium_client.stack.settings_file import with_settings
from trivium_client.stack.supervisor import RestartPolicy

_DEFAULT_GATEWAY = "127.0.0.1:50050"
# timeout(1), for one, signals the process and then its whole group: that is one wish, not two.
_SAME_SIGNAL_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 2.0


class ServiceName(StrEnum):
    """A service, as a choice on the command line."""

    qdrant = "qdrant"
    embed = "embed"
    rerank = "rerank"
    generate = "generate"
    gateway = "gateway"


def up(
    data_dir: Annotated[
        Path, typer.Option(envvar="TRIVIUM_DATA_DIR", metavar="FOLDER", help="Where documents and indexes are kept.")
    ] = Path(".data"),
    only: Annotated[
        list[ServiceName] | None,
        typer.Option(metavar="SERVICE", help="Start only this service; may be given several times."),
    ] = None,
    without: Annotated[
        list[ServiceName] | None,
        typer.Option(metavar="SERVICE", help="Do not start this service; may be given several times."),
    ] = None,
    http_port: Annotated[int | None, typer.Option(metavar="PORT", help="HTTP port.", show_default="8080")] = None,
    grpc_port: Annotated[int | None, typer.Option(metavar="PORT", help="gRPC port.", show_default="50050")] = None,
    port_offset: Annotated[int, typer.Option(metavar="N", help="Add this to every port, for a second stack.")] = 0,
    free_ports: Annotated[bool, typer.Option("--free-ports", help="Take ports that nobody else has.")] = False,
    addresses_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the addresses to this file, as JSON.")
    ] = None,
    generate_python: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="The Python that runs generate, for one with vLLM: .venv-vllm/bin/python."),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart/--no-restart", help="Start again what dies or hangs.")] = True,
) -> None:
    """Run the whole stack on this machine, in the foreground, until Ctrl-C.

    Starts qdrant, embed, rerank, generate and the gateway, shows their logs, and says when questions can be asked. A
    process that dies is started again; meanwhile the others answer without it. Nothing listens beyond this machine.
    Settings of the services, such as TRIVIUM_EMBED_MODEL, are taken from the environment, and those that it does not
    have from settings.env in the data folder, where `trivium model use` writes them.

    **Examples**

        trivium up

        trivium up --port-offset 1000 --data-dir /tmp/second

        TRIVIUM_GATEWAY_QDRANT_URL=http://127.0.0.1:6333 trivium up --without qdrant
    """
    services = [name for name in SERVICES if name in (only or SERVICES) and name not in (without or ())]
    if not services:
        raise typer.BadParameter("--only and --without leave no service to start")
    os.environ.update(with_settings(os.environ, data_dir))
    environment = dict(os.environ)
    for port, variable in ((http_port, "TRIVIUM_GATEWAY_HTTP_LISTEN"), (grpc_port, "TRIVIUM_GATEWAY_GRPC_LISTEN")):
        if port is not None:
            environment[variable] = f"127.0.0.1:{port}"
    try:
        layout = (
            layout_on_free_ports(services) if free_ports else layout_from_settings(services, environment, port_offset)
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    options = StackOptions(
        layout,
        data_dir.resolve(),
        generate_python=generate_python,
        restart=RestartPolicy() if restart else None,
    )
    try:
        status = asyncio.run(_run(options, addresses_file))
    except StackError as error:
        for problem in error.problems:
            fail(problem)
        raise typer.Exit(1) from None
    raise typer.Exit(status)


async def _run(options: StackOptions, addresses_file: Path | None) -> int:
    """Runs a stack until a signal, or until nothing of it is left; returns the exit status."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    patience_ends = 0.0
    output = StackOutput(sys.stdout)
    output.on_hang_up = stop.set
    stacks: list[RunningStack] = []

    def on_signal() -> None:
        nonlocal patience_ends
        if not stop.is_set():
            output.say("stopping; once more to kill")
            patience_ends = loop.time() + _SAME_SIGNAL_SECONDS
            stop.set()
        elif loop.time() > patience_ends:
            output.say("killing all processes")
            for stack in stacks:
                stack.supervisor.kill()

    handled = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup ignores it
        handled.append(signal.SIGHUP)
    for number in handled:
        loop.add_signal_handler(number, on_signal)
    async with running_stack(options, output) as stack:
        stacks.append(stack)
        if addresses_file is not None:
            write_addresses(addresses_file, options.layout)
        output.say(f"data folder: {options.data_dir}")
        watch = asyncio.create_task(_watch(stack, options.layout, output))
        stopped = asyncio.create_task(stop.wait())
        gone = asyncio.create_task(stack.supervisor.wait())
        await asyncio.wait((stopped, gone), return_when=asyncio.FIRST_COMPLETED)
        everything_died = gone.done()
        watch.cancel()
        stopped.cancel()
    output.say("no process is left" if everything_died else "stopped")
    return 1 if everything_died else 0


async def _watch(stack: RunningStack, layout: Layout, output: StackOutput) -> None:
    """Tells of each change of the stack's readiness, whatever becomes of a look at it."""
    told = False

    def on_change(now: Readiness, seconds: float) -> None:
        nonlocal told
        output.on_readiness(now, seconds)
        if now.ready and not told:
            told = True
            for line in welcome(layout):
                output.say(line)

    while stack.gateway is not None:
        try:
            await stack.watch(on_change)
        except Exception as error:  # of a task that nobody waits for: silence would look like "not ready"
            output.say(f"cannot tell how the stack is ({error!r}); looking again")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def welcome(layout: Layout) -> list[str]:
    """Says where the stack serves, and what to do next."""
    gateway = layout.addresses["gateway"]
    address = str(gateway["grpc"].reachable)
    flag = "" if address == _DEFAULT_GATEWAY else f" --gateway {address}"
    extractive = os.environ.get("TRIVIUM_GENERATE_BACKEND", "extractive") == "extractive"
    return [
        f"HTTP  http{'s' if os.environ.get('TRIVIUM_TLS_CERT') else ''}://{gateway['http'].reachable}",
        f"gRPC  {address}",
        *([f"answers are sentences of your documents; {MODEL_COMMAND} has a language model write them"] * extractive),
        f'next: trivium ingest{flag} FOLDER, then trivium ask{flag} "..."; Ctrl-C stops everything',
    ]


def write_addresses(path: Path, layout: Layout) -> None:
    """Writes where each service listens, whole or not at all: `{"gateway": {"grpc": "127.0.0.1:50050", ...}, ...}`."""
    addresses = {name: {use: str(address) for use, address in uses.items()} for name, uses in layout.addresses.items()}
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(addresses, indent=2) + "\n")
    partial.replace(path)
