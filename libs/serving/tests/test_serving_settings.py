"""Settings: precedence, checks, and what a person sees when one is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from trivium_serving.settings import load_settings, setting


@dataclass(frozen=True, slots=True)
class ExampleSettings:
    listen: str = setting("127.0.0.1:1", "Address to serve on.")
    max_texts: int = setting(10, "Most texts.", minimum=1, maximum=100)
    seconds: float | None = setting(None, "Seconds to wait; empty for ever.", minimum=0)
    backend: str = setting("local", "What computes.", choices=("local", "remote"))
    verbose: bool = setting(False, "Whether to say more.")
    data_dir: Path = setting(Path(".data"), "Where data live.", env="TRIVIUM_DATA_DIR")
    api_key: str = setting("", "Key of the API.", secret=True)


def load(*argv: str, **environ: str) -> ExampleSettings:
    return load_settings(
        ExampleSettings, prefix="TRIVIUM_X_", program="x", description="An example.", argv=argv, environ=environ
    )


def test_settings_unset_are_the_defaults() -> None:
    assert load() == ExampleSettings()


def test_settings_flag_wins_over_environment() -> None:
    loaded = load("--max-texts", "7", TRIVIUM_X_MAX_TEXTS="8", TRIVIUM_X_BACKEND="remote", TRIVIUM_DATA_DIR="/d")

    assert (loaded.max_texts, loaded.backend, loaded.data_dir) == (7, "remote", Path("/d"))


def test_settings_texts_become_values_of_the_type() -> None:
    loaded = load("--seconds", "1.5", TRIVIUM_X_VERBOSE="true", TRIVIUM_X_API_KEY="k")

    assert (loaded.seconds, loaded.verbose, loaded.api_key) == (1.5, True, "k")
    assert load(TRIVIUM_X_SECONDS="").seconds is None


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"TRIVIUM_X_MAX_TEXTS": "0"}, "at least 1 and at most 100"),
        ({"TRIVIUM_X_MAX_TEXTS": "many"}, "not a whole number"),
        ({"TRIVIUM_X_SECONDS": "-1"}, "at least 0"),
        ({"TRIVIUM_X_BACKEND": "cloud"}, "none of local, remote"),
        ({"TRIVIUM_X_VERBOSE": "maybe"}, "neither true nor false"),
    ],
)
def test_settings_bad_value_ends_with_one_clear_line(
    environ: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        load(**environ)

    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert complaint in message
    assert next(iter(environ)) in message
    assert message.count("\n") == 1


def test_settings_misspelled_variable_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    load(TRIVIUM_X_MAX_TEXT="3")

    assert "did you mean TRIVIUM_X_MAX_TEXTS?" in capsys.readouterr().err


def test_settings_help_shows_every_setting_and_no_secret_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load("--help", TRIVIUM_X_API_KEY="hidden")

    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert "--max-texts" in text
    assert "TRIVIUM_X_API_KEY" in text
    assert "--api-key" not in text
    assert "hidden" not in text
