"""How a process begins, and what it says when it cannot."""

from dataclasses import dataclass

import pytest
from trivium_serving.settings import setting
from trivium_serving.starting import prepare_process, refuse_to_start


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service of these tests lets one set."""

    port: int = setting(1, "A port.")


def test_process_reads_the_settings_of_its_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_SOME_THING_PORT", "7")

    assert prepare_process(Settings, service="some_thing", description="Nothing.", argv=[]) == Settings(7)


@pytest.mark.parametrize(
    ("variable", "value"), [("TRIVIUM_LOG_LEVEL", "loud"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:word@collector")]
)
def test_process_whose_logs_or_traces_cannot_be_ends_with_status_two_and_one_line(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        prepare_process(Settings, service="some_thing", description="Nothing.", argv=[])

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"trivium-some-thing: {variable}")
    assert said.count("\n") == 1


def test_refuse_to_start_ends_the_process_with_status_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        refuse_to_start("some_thing", ValueError("That cannot be."))

    assert ended.value.code == 2
    assert capsys.readouterr().err == "trivium-some-thing: That cannot be.\n"
