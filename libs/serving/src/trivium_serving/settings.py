"""One frozen dataclass per service, each field of which is flag, environment variable and documentation at once.

    @dataclass(frozen=True, slots=True)
    class EmbedSettings:
        listen: str = setting("127.0.0.1:50051", "Address to serve gRPC on, HOST:PORT.")
        max_texts: int = setting(2048, "Most texts in one call.", minimum=1)

`load_settings(EmbedSettings, prefix="TRIVIUM_EMBED_", ...)` reads `--max-texts` over `TRIVIUM_EMBED_MAX_TEXTS` over the
default.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import os
import sys
import types
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from trivium_serving.addresses import AddressKind, address_problem
from trivium_serving.redaction import keep_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_Settings = TypeVar("_Settings")


def setting(
    default: Any,
    help: str,  # noqa: A002  # the word that argparse and every command line use
    *,
    env: str = "",
    choices: Sequence[str] = (),
    minimum: float | None = None,
    maximum: float | None = None,
    secret: bool = False,
    address: AddressKind | None = None,
) -> Any:
    """A field of a settings dataclass.

    Args:
        default: Its value if nobody sets it.
        help: What it does, with unit.
        env: Its environment variable, if that is not the prefix and the field's name.
        choices: The values it can have.
        minimum: The smallest number it can be.
        maximum: The largest number it can be.
        secret: Its value is never shown, and no flag sets it: flags are visible to every user of the machine.
        address: Which kind of address it is. Each setting that is one says so: none may hold a user or a password.
    """
    metadata = {
        "help": help, "env": env, "choices": tuple(choices), "minimum": minimum, "maximum": maximum, "secret": secret,
        "address": address,
    }  # fmt: skip
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def load_settings(
    cls: type[_Settings],
    *,
    prefix: str,
    program: str,
    description: str,
    argv: Sequence[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> _Settings:
    """Reads the settings of a service from flags, environment and defaults, in this order of precedence.

    A value that breaks its rule, or an unknown flag, ends the process with status 2 and one line that says which. A
    variable with the prefix that names no setting is warned about: it is most likely misspelled.

    Args:
        cls: A dataclass whose fields are made by `setting`.
        prefix: Of its environment variables, for example `TRIVIUM_EMBED_`.
        program: The command's name.
        description: What the service does, for `--help`.
        argv: Flags; None for the process's own.
        environ: Variables; None for the process's own.
    """
    environ = os.environ if environ is None else environ
    fields = [_Field(field, typing.get_type_hints(cls)[field.name], prefix) for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
    parser = argparse.ArgumentParser(
        prog=program,
        description=f"{description} Each flag can also be set by the environment variable named beside it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for field in fields:
        field.add_to(parser)
    flags = vars(parser.parse_args(argv))

    def refuse(source: str, problem: str) -> NoReturn:
        print(f"{program}: {source}: {problem} (see {program} --help)", file=sys.stderr)
        raise SystemExit(2)

    values: dict[str, Any] = {}
    for field in fields:
        flag, variable = flags.get(field.name), environ.get(field.env)
        source, raw = (field.flag, flag) if flag is not None else (field.env, variable)
        if raw is None:
            continue
        if field.is_secret:
            keep_secret(raw)
        try:
            values[field.name] = field.parse(raw)
        except ValueError as error:
            refuse(source, str(error))
    _warn_about_unknown(program, prefix, environ, [field.env for field in fields])
    return cls(**values)


def _warn_about_unknown(program: str, prefix: str, environ: Mapping[str, str], known: Sequence[str]) -> None:
    for variable in sorted(environ):
        if variable.startswith(prefix) and variable not in known:
            close = difflib.get_close_matches(variable, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            print(f"{program}: warning: {variable} is set, but there is no such setting{hint}", file=sys.stderr)


class _Field:
    """One setting: how it is named, read and checked."""

    def __init__(self, field: dataclasses.Field[Any], annotation: Any, prefix: str) -> None:
        self.name = field.name
        self.flag = "--" + field.name.replace("_", "-")
        self.env: str = field.metadata["env"] or prefix + field.name.upper()
        self.is_secret: bool = field.metadata["secret"]
        self._default = field.default
        self._metadata = field.metadata
        options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
        self._optional = types.NoneType in options
        self._type = next(option for option in options if option is not types.NoneType)

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Declares the flag."""
        text = f"{self._metadata['help']} [{self.env}"
        if self._metadata["secret"]:
            parser.epilog = (parser.epilog or "environment only:\n") + f"  {self.env}  {self._metadata['help']}\n"
            return
        shown = "" if self._default is None else str(self._default)
        text += f", default {shown}]" if shown else "]"
        metavar = (
            "{" + ",".join(self._metadata["choices"]) + "}"
            if self._metadata["choices"]
            else self._type.__name__.upper()
        )
        parser.add_argument(self.flag, dest=self.name, metavar=metavar, help=text.replace("%", "%%"))

    def parse(self, raw: str) -> Any:
        """The value that a text stands for.

        Raises:
            ValueError: It stands for none, or for one that is not allowed.
        """
        if self._optional and raw == "":
            return None
        kind = self._metadata["address"]
        if kind is not None and raw and (problem := address_problem(kind, raw)):
            raise ValueError(problem)
        value = self._convert(raw)
        choices, minimum, maximum = (self._metadata[key] for key in ("choices", "minimum", "maximum"))
        if choices and value not in choices:
            raise ValueError(f"{raw!r} is none of {', '.join(choices)}")
        if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
            bounds = [
                f"at least {minimum}" if minimum is not None else "",
                f"at most {maximum}" if maximum is not None else "",
            ]
            raise ValueError(f"{raw} is out of range; it must be {' and '.join(filter(None, bounds))}")
        return value

    def _convert(self, raw: str) -> Any:
        if self._type is bool:
            if raw.lower() not in ("true", "false", "1", "0"):
                raise ValueError(f"{raw!r} is neither true nor false")
            return raw.lower() in ("true", "1")
        if self._type in (int, float):
            try:
                return self._type(raw)
            except ValueError:
                raise ValueError(f"{raw!r} is not {'a whole' if self._type is int else 'a'} number") from None
        return Path(raw) if self._type is Path else raw
