"""What all commands have in common: options that each of them takes."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from trivium_client.cli.output import be_quiet, without_colours

_PANEL = "Output"

OUTPUT_OPTIONS: dict[str, Any] = {
    "quiet": Annotated[
        bool,
        typer.Option(
            "--quiet",
            help="Print results and errors only: no progress, timings or warnings.",
            rich_help_panel=_PANEL,
        ),
    ],
    "no_color": Annotated[
        bool,
        typer.Option(
            "--no-color", help="Print without colours, as with NO_COLOR in the environment.", rich_help_panel=_PANEL
        ),
    ],
}
"""By the names of their parameters."""


class _Plain:
    """Says things as people write them: flags without the type `<bool>`, arguments without braces or `<list[Path]>`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            rest: list[str] = super().parse_args(ctx, args)  # type: ignore[misc]
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise
        return rest

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False) and param.metavar is None:
                param.metavar = ""
            elif isinstance(param, TyperArgument) and param.nargs != 1:
                param.display_type_rich = lambda **_: None  # type: ignore[method-assign]
        return params


class _Command(_Plain, TyperCommand):
    pass


class _Group(_Plain, TyperGroup):
    pass


class App(typer.Typer):
    """A group of commands, each of which takes the options for output beside its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=_Group, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        register = super().command(name, cls=_Command, **options)

        def decorate(function: Any) -> Any:
            register(with_output_options(function))
            return function

        return decorate

    def callback(self, **options: Any) -> Callable[[Any], Any]:
        register = super().callback(**options)

        def decorate(function: Any) -> Any:
            register(with_output_options(function))
            return function

        return decorate


def with_output_options(function: Callable[..., None]) -> Callable[..., None]:
    """The same command with OUTPUT_OPTIONS, which take effect before it runs."""

    @functools.wraps(function)
    def command(*arguments: Any, quiet: bool, no_color: bool, **options: Any) -> None:
        if quiet:
            be_quiet()
        if no_color:
            without_colours()
        function(*arguments, **options)

    own = inspect.signature(function)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in OUTPUT_OPTIONS.items()
    ]
    command.__signature__ = own.replace(parameters=[*own.parameters.values(), *added])  # type: ignore[attr-defined]
    command.__annotations__ = function.__annotations__ | OUTPUT_OPTIONS
    return command
