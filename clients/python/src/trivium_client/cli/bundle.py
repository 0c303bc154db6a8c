"""`trivium bundle`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from trivium_client.bundle import install, write
from trivium_client.bundle.install import BundleError, size
from trivium_client.cli.command import App
from trivium_client.cli.options import JsonOption, refuse_options_before_command
from trivium_client.cli.output import fail, print_json, stderr, stdout

bundle_app = App(no_args_is_help=False)

ArchiveArgument = Annotated[
    Path, typer.Argument(metavar="ARCHIVE", help="The archive, or the folder unpacked from it.", show_default=False)
]
Sha256Option = Annotated[
    str | None, typer.Option("--sha256", metavar="HEX", help="What the archive's SHA-256 must be, as its maker said.")
]


@bundle_app.callback(invoke_without_command=True)
def bundle(
    context: typer.Context,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="The archive.", show_default="trivium-VERSION-PLATFORM.tar"
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option(metavar="NAME", help="What to install: a file in requirements/, such as client or gateway.")
    ] = "stack",
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", metavar="NAME", help="A further model: a folder or a hub name; may be repeated."),
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="Add the container images of docker-compose.yml.")] = False,
    source: Annotated[Path, typer.Option(metavar="FOLDER", help="Trivium's repository.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Write everything that an installation needs into one archive, for machines without a network.

    The archive has the wheels of every locked dependency and of Trivium, models, container images if asked for, the
    files to deploy it, the documentation, a manifest, and a SHA-256 for every file. It fits machines with the same
    system, processor and version of Python as this one. The default embedding model is always in it.

    There, `tar xf ARCHIVE` and `./install.sh` in the folder that appears are all it takes; where a `trivium` is
    installed already, `trivium bundle install ARCHIVE` does the same.

    **Examples**

        trivium bundle

        trivium bundle --model BAAI/bge-reranker-base --images --output /media/usb/trivium.tar

        trivium bundle install /media/usb/trivium.tar --into ~/trivium
    """
    if context.invoked_subcommand is not None:
        refuse_options_before_command(context)
        return
    with _shown() as progress:
        written = write.write(write.Wanted(source, profile, tuple(model or ()), images), output, progress)
    if as_json:
        print_json(
            {"archive": str(written.path), "sha256": written.sha256, "bytes_by_part": dict(written.bytes_by_part)}
        )
        return
    for part, count in written.bytes_by_part.items():
        stderr().print(f"{part:<8} {size(count):>9}", style="dim")
    stderr().print(f"wrote {written.path}, {size(written.path.stat().st_size)}, SHA-256:")
    stdout().print(written.sha256)


@bundle_app.command("install")
def install_bundle(
    archive: ArchiveArgument,
    into: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder to make.", show_default="trivium-VERSION")
    ] = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Load container images, if any.")] = True,
    sha256: Sha256Option = None,
    as_json: JsonOption = False,
) -> None:
    """Install from an archive, with no network. Everything is checked before anything is changed.

    Makes a folder with a virtual environment and the files to deploy Trivium, puts models where their names are looked
    up, and gives container images to the engine, if there is one. If it fails, the folder is gone again.

    **Examples**

        trivium bundle install trivium-0.1.0-linux-x86_64-cpython311.tar --into ~/trivium
    """
    with _shown() as progress:
        installed = install.install(archive, into, progress, images=images, sha256=sha256)
    if as_json:
        print_json(installed)
        return
    for line in installed.lines():
        stdout().print(line, soft_wrap=True)


@bundle_app.command("verify")
def verify_bundle(archive: ArchiveArgument, sha256: Sha256Option = None, as_json: JsonOption = False) -> None:
    """Check that every file of an archive is as it was written. Nothing is changed. With `--json`, print its manifest.

    The sums in the archive show damage. Only `--sha256`, with a value from a place that you trust, shows that nobody
    has made another archive.

    **Examples**

        trivium bundle verify trivium.tar --sha256 "$(cat trivium.sha256)"
    """
    with _shown() as progress:
        manifest = install.verify(archive, progress, sha256)
    if as_json:
        print_json(manifest)
        return
    stdout().print(f"{manifest['name']}: every file is as it was written")


@contextmanager
def _shown() -> Iterator[install.Progress]:
    """A progress bar, and errors as people expect them."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=stderr(), transient=True, disable=not stderr().is_terminal)
    task = bar.add_task("", total=None)

    def progress(what: str, done: int, total: int) -> None:
        bar.update(task, description=what, completed=done, total=total or None)

    try:
        with bar:
            yield progress
    except BundleError as error:
        fail(str(error))
        raise typer.Exit(1) from None
