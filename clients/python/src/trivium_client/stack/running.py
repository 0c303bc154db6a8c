"""A stack from its start to its end."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from trivium_client.stack.answering import Questioner
from trivium_client.stack.child import Command
from trivium_client.stack.ports import Address
from trivium_client.stack.preflight import package_problems, port_problems
from trivium_client.stack.readiness import Readiness, probe
from trivium_client.stack.services import SERVICES, STOP_ORDER, Layout
from trivium_client.stack.supervisor import Observer, RestartPolicy, Supervisor

_PROBE_SECONDS = 0.25
_WATCH_SECONDS = 2.0


class StackError(Exception):
    """A stack cannot be started, or did not come up.

    Attributes:
        problems: What is wrong, one sentence each, with what to do about it.
    """

    def __init__(self, problems: Collection[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How to run a stack.

    Attributes:
        layout: Which services, and where.
        data_dir: Where documents and indexes are kept, and models unless model_dir is given.
        model_dir: Where converted models are kept, which can be made again; None for data_dir.
        generate_python: The Python that runs generate; None for this one.
        restart: How to start again what died; None to leave it.
    """

    layout: Layout
    data_dir: Path
    model_dir: Path | None = None
    generate_python: Path | None = None
    restart: RestartPolicy | None = None

    def commands(self) -> list[Command]:
        """What to run, in the order of starting."""
        environment = self.layout.environment(os.environ)
        interpreters = self.interpreters()
        folders = dict.fromkeys(SERVICES, self.model_dir or self.data_dir) | {"qdrant": self.data_dir}
        return [
            Command(
                name,
                (interpreters[name], "-m", service.module),
                environment | {"TRIVIUM_DATA_DIR": str(folders[name])},
                service.niceness,
                service.works_in_silence,
            )
            for name, service in SERVICES.items()
            if name in self.layout.addresses
        ]

    def interpreters(self) -> dict[str, str]:
        """The Python that runs each service."""
        interpreters = dict.fromkeys(SERVICES, sys.executable)
        if self.generate_python is not None:
            # Not resolved: a virtual environment is known by the path of its link to the interpreter.
            interpreters["generate"] = str(self.generate_python.absolute())
        return interpreters


class RunningStack:
    """A stack whose processes have been started."""

    def __init__(self, options: StackOptions, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._addresses = options.layout.addresses

    @property
    def gateway(self) -> Address | None:
        """The gateway's HTTP address; None if the gateway is not part of this stack."""
        return self._addresses["gateway"]["http"].reachable if "gateway" in self._addresses else None

    async def watch(self, on_change: Callable[[Readiness, float], None]) -> None:
        """Reports each change of the stack's readiness, and the seconds since the watch began, for ever."""
        if self.gateway is None:
            return
        began = time.monotonic()
        last: Readiness | None = None
        tls = bool(os.environ.get("TRIVIUM_TLS_CERT"))
        while True:
            now = await asyncio.to_thread(probe, self.gateway, tls=tls)
            if now != last:
                on_change(now, time.monotonic() - began)
                last = now
            await asyncio.sleep(_WATCH_SECONDS if now.ready and not now.missing else _PROBE_SECONDS)


@asynccontextmanager
async def running_stack(options: StackOptions, observer: Observer) -> AsyncIterator[RunningStack]:
    """Starts a stack, and stops it at the end of the block. To be used from the main thread.

    Raises:
        StackError: If something is in the way; then nothing was started.
    """
    names = options.layout.addresses.keys()
    problems = [*package_problems(names, options.interpreters()), *port_problems(options.layout)]
    if problems:
        raise StackError(problems)
    try:
        options.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # documents lie there, and keys
    except OSError as error:
        raise StackError([f"cannot make the data folder {options.data_dir}: {error.strerror}"]) from None
    questioners = {name: Questioner(ports["grpc"]) for name, ports in options.layout.addresses.items()}
    supervisor = Supervisor(
        options.commands(), observer, restart=options.restart, stop_order=STOP_ORDER, answers=questioners
    )
    try:
        await supervisor.start()
        yield RunningStack(options, supervisor)
    finally:
        await supervisor.stop()
        for questioner in questioners.values():
            await questioner.close()
