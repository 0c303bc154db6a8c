"""`trivium model`."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trivium_client.cli.command import App
from trivium_client.cli.output import fail, is_interactive, stderr, stdout, warn
from trivium_client.doctor.models import chosen_models
from trivium_client.language_model.providers import (
    PROVIDERS,
    SETTINGS,
    Choice,
    Provider,
    ProviderError,
    seen_from_container,
    served_models,
)
from trivium_client.language_model.trial import try_model
from trivium_client.stack.settings_file import FILE_NAME, read_settings, with_settings, write_settings

model_app = App(no_args_is_help=False)

_SHOWN_MODELS = 12

DataDirOption = Annotated[
    Path,
    typer.Option(envvar="TRIVIUM_DATA_DIR", metavar="FOLDER", help="The data folder of the stack; settings are in it."),
]
EnvFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write there instead: .env, for `docker compose`.", show_default=False),
]


class ProviderName(StrEnum):
    """Where a language model is, as a choice on the command line."""

    ollama = "ollama"
    llama_cpp = "llama.cpp"
    vllm = "vllm"
    openai = "openai"
    anthropic = "anthropic"
    extractive = "extractive"


@model_app.callback(invoke_without_command=True)
def model(context: typer.Context, data_dir: DataDirOption = Path(".data")) -> None:
    """Choose the language model that writes answers. Without a command: show which one `trivium up` starts with.

    **Examples**

        trivium model

        trivium model use ollama qwen3:4b
    """
    if context.invoked_subcommand is None:
        environment = with_settings(os.environ, data_dir)
        (chosen,) = (one for one in chosen_models(environment) if one.service == "generate")
        if chosen.backend == "extractive":
            stdout().print("none: answers are the best sentences of the documents")
        else:
            where = f" at {chosen.api_url}" if chosen.api_url else ""
            stdout().print(f"{chosen.name} ({chosen.backend}){where}", soft_wrap=True)


@model_app.command("use")
def use(
    provider: Annotated[
        ProviderName,
        typer.Argument(
            metavar="PROVIDER",
            help="Where it is: ollama, llama.cpp, vllm, openai, anthropic; or extractive for none.",
            show_default=False,
        ),
    ],
    name: Annotated[
        str, typer.Argument(metavar="MODEL", help="Its name there.", show_default="the only one that a server has")
    ] = "",
    url: Annotated[
        str, typer.Option(metavar="URL", help="The address of its API.", show_default="the provider's usual one")
    ] = "",
    context_tokens: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Longest prompt and answer together.", show_default="what the provider says"
        ),
    ] = 0,
    data_dir: DataDirOption = Path(".data"),
    env_file: EnvFileOption = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Ask it something before it is chosen.")] = True,
    timeout: Annotated[float, typer.Option(min=1, metavar="SECONDS", help="How long that may take.")] = 180.0,
) -> None:
    """Have a language model write the answers, from the next `trivium up` on.

    It is asked a question with a passage first; only if it answers are the settings written, to settings.env in the
    data folder, or to the file that `docker compose` reads. Keys are taken from TRIVIUM_GENERATE_API_KEY,
    OPENAI_API_KEY or ANTHROPIC_API_KEY, or asked for, and are kept in that file, which only you may read. With an API
    that is not on your machine, questions and passages leave it. `extractive` goes back to answers without a model.

    **Examples**

        trivium model use ollama qwen3:4b

        trivium model use llama.cpp

        trivium model use vllm Qwen/Qwen3-4B-Instruct-2507 --url http://gpu-box:8000/v1

        trivium model use anthropic claude-sonnet-5-5

        trivium model use ollama qwen3:4b --env-file .env
    """
    settings: dict[str, str | None] = dict.fromkeys(SETTINGS)
    if provider is ProviderName.extractive:
        settings["TRIVIUM_GENERATE_BACKEND"] = "extractive"
    else:
        try:
            choice = _choice(PROVIDERS[provider.value], name, url, context_tokens)
            settings = choice.settings()
            if check:
                _check(choice, settings, timeout)
        except ProviderError as error:
            fail(f"{error}\nNothing was changed.")
            raise typer.Exit(1) from None
    path = env_file or data_dir / FILE_NAME
    if env_file is not None and (address := settings["TRIVIUM_GENERATE_API_URL"]):
        settings["TRIVIUM_GENERATE_API_URL"] = seen_from_container(address)
    write_settings(path, settings)
    stdout().print(f"Written to {path}. {_next(env_file)}", soft_wrap=True)
    _tell_of_environment(read_settings(path), env_file)


def _choice(provider: Provider, name: str, url: str, context_tokens: int) -> Choice:
    url = url or provider.url
    if provider.is_local or url:
        there = served_models(provider, url)
        if not name and len(there) == 1:
            name = there[0]
        if not name or (name not in there and f"{name}:latest" not in there and provider.name == "ollama"):
            some = ", ".join(there[:_SHOWN_MODELS]) or "none"
            what = f"{provider.name} has no model {name}" if name else "name a model"
            raise ProviderError(f"{what}; at {url} there is: {some}")
        return Choice(provider, name, url, os.environ.get("TRIVIUM_GENERATE_API_KEY", ""), context_tokens)
    if not name:
        raise ProviderError(f"name a model; `trivium models --kind generate` lists some of {provider.name}'s")
    key = os.environ.get("TRIVIUM_GENERATE_API_KEY") or os.environ.get(provider.key_variable, "")
    if not key and is_interactive():
        key = typer.prompt(f"Key for {provider.name}", hide_input=True, err=True).strip()
    if not key:
        raise ProviderError(f"no key: set {provider.key_variable}")
    return Choice(provider, name, url, key, context_tokens)


def _check(choice: Choice, settings: dict[str, str | None], timeout_seconds: float) -> None:
    with stderr().status(f"asking {choice.model}; a local model is loaded first", spinner_style="cyan"):
        trial = try_model(settings, timeout_seconds)
    console = stdout()
    console.print(f"{choice.model} answers after {trial.seconds:.1f} s: {trial.text}", soft_wrap=True, markup=False)
    if not trial.is_right:
        warn("the passage says 1,240 degrees: this model overlooks what it is given; try a larger one")


def _next(env_file: Path | None) -> str:
    if env_file is not None:
        return "It holds from the next `docker compose up -d generate` on."
    return "It holds from the next start of `trivium up` or `make up` on: end a running one with Ctrl-C."


def _tell_of_environment(written: dict[str, str], env_file: Path | None) -> None:
    """Variables of the environment count more than the file: one that says otherwise would make it do nothing."""
    other = [name for name in SETTINGS if name in os.environ and os.environ[name] != written.get(name, "")]
    other = [name for name in other if not (name.endswith("API_KEY") or (env_file and name.endswith("API_URL")))]
    if other:
        warn(f"{', '.join(other)} in the environment says otherwise, and counts more: unset it before the start")
