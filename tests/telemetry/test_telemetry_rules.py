"""Every alert can be acted on, is tested, and is made of metrics that exist."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml
from e2e.stack import wait_until
from ports import free_port
from telemetry.expressions import ROOT, documented_elsewhere, metric_names, rules
from telemetry.prometheus import tool

if TYPE_CHECKING:
    from pathlib import Path

    from telemetry.conftest import WatchedStack

FOLDER = ROOT / "deploy/prometheus"
RULE_TESTS = sorted((FOLDER / "tests").glob("*.yml"))
ALERTS = [rule for rule in rules() if "alert" in rule]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_has_severity_summary_and_a_section_in_the_runbook(alert: dict[str, dict[str, str]]) -> None:
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    anchors = {title.lower() for title in re.findall(r"^### (\w+)$", runbook, re.MULTILINE)}

    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"]["summary"]
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert page == "{{ $externalURL }}/consoles/runbook.html"
    assert anchor in anchors


def test_runbook_of_prometheus_is_what_the_script_writes(tmp_path: Path) -> None:
    script, page, source = FOLDER / "runbook_page.py", FOLDER / "consoles/runbook.html", ROOT / "docs/runbook.md"
    copy = tmp_path / script.relative_to(ROOT)
    for path in (script, source):
        (tmp_path / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path.relative_to(ROOT)).write_bytes(path.read_bytes())
    subprocess.run([sys.executable, copy], check=True)

    assert (tmp_path / page.relative_to(ROOT)).read_text() == page.read_text()


def test_link_of_an_alert_opens_its_section_in_the_prometheus_of_compose(tmp_path: Path) -> None:
    command = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prometheus"]["command"]
    port = free_port()
    flags = [flag.replace("/etc/prometheus", str(FOLDER)) for flag in command if flag.startswith("--web.")]
    flags = [
        flag.replace("${PROMETHEUS_HOST:-localhost}:${PROMETHEUS_PORT:-9090}", f"127.0.0.1:{port}") for flag in flags
    ]
    (tmp_path / "prometheus.yml").write_text(
        yaml.safe_dump({"global": {"evaluation_interval": "1s"}, "rule_files": ["rules.yml"]})
    )
    annotations = next(one["annotations"] for one in ALERTS if one["alert"] == "ServiceDown")
    rule = {"alert": "ServiceDown", "expr": "vector(1)", "annotations": annotations}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "now", "rules": [rule]}]}))
    process = subprocess.Popen(
        [tool("prometheus"), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
         f"--web.listen-address=127.0.0.1:{port}", *flags],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    links: list[str] = []

    def fires() -> bool:
        with contextlib.suppress(httpx.TransportError):
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/alerts")
            if answer.is_success:  # while it starts it has no alerts to tell
                links[:] = [one["annotations"]["runbook_url"] for one in answer.json()["data"]["alerts"]]
        return bool(links)

    try:
        wait_until(fires, "alert that fires", 120)
        page = httpx.get(links[0])
    finally:
        process.kill()
        process.wait()
    assert page.status_code == 200
    assert f'id="{links[0].partition("#")[2]}"' in page.text
    titles = re.findall(r'<h3 id="(\w+)">', page.text)
    assert titles == [
        title.lower() for title in re.findall(r"^### (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    ]
    within = set(re.findall(r'href="([^"]+)"', page.text))
    ids = set(re.findall(r'id="([^"]+)"', page.text))
    assert within <= {f"#{one}" for one in ids}, "all that it links to is in it"


def test_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    titles = re.findall(r"^### (\w+)$", (ROOT / "docs/runbook.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(titles) == sorted(alert["alert"] for alert in ALERTS)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not(alert: dict[str, str]) -> None:
    cases = [
        case["exp_alerts"]
        for path in RULE_TESTS
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == alert["alert"]
    ]

    assert [case for case in cases if case]
    assert [case for case in cases if not case]


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_rules_pass_promtool(path: object) -> None:
    ran = subprocess.run([tool("promtool"), "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-tls.yml"])
def test_prometheus_configuration_is_valid(name: str) -> None:
    ran = subprocess.run(
        [
            tool("promtool"),
            "check",
            "config",
            "--syntax-only",
            str(FOLDER / name),
        ],  # its files are those of a container
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_rules_are_made_of_metrics_that_exist(watched: WatchedStack) -> None:
    """Those of vLLM are checked beside the real engine, in services/generate/tests/vllm."""
    prometheus = watched.prometheus
    if prometheus is None:
        pytest.skip("prometheus is not installed")
    names = {name for rule in rules() for name in metric_names(rule["expr"])}
    # With a model behind an API only, which the stack has for generate; and with TLS only.
    api = {f"trivium_{service}_api_attempts_total" for service in ("embed", "rerank")}
    absent = {*api, "trivium:certificate_end:seconds"}
    wait_until(lambda: all(map(prometheus.query, _ours(names) - absent)), "series for every rule", 120)
    assert not [name for name in absent if prometheus.query(name)]
    assert not [rule for rule in prometheus.broken_rules() if ": unknown" not in rule]


def _ours(names: set[str]) -> set[str]:
    return {name for name in names if not name.startswith("vllm:") and not documented_elsewhere(name)}
