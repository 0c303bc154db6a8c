"""The dashboards are as they are written, and every panel of them shows something."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from e2e.stack import wait_until
from telemetry.expressions import (
    DASHBOARDS,
    ROOT,
    documented_elsewhere,
    metric_names,
    panel_expressions,
    panels,
    rules,
)
from telemetry.served_by_qdrant import QDRANT, base_name

if TYPE_CHECKING:
    from telemetry.conftest import WatchedStack

GRAFANA = ROOT / "deploy/grafana"
RUN_HERE = [path for path in DASHBOARDS if path.stem not in ("vllm", "gpu", "runbook")]


def test_dashboards_are_what_the_script_writes(tmp_path: Path) -> None:
    grafana = tmp_path / "deploy/grafana"
    shutil.copytree(GRAFANA, grafana, ignore=shutil.ignore_patterns("*.json", "__pycache__"))
    shutil.copytree(ROOT / "deploy/prometheus/rules", tmp_path / "deploy/prometheus/rules")
    (tmp_path / "docs").mkdir()
    shutil.copy(ROOT / "docs/runbook.md", tmp_path / "docs")
    subprocess.run([sys.executable, grafana / "build.py"], check=True)

    written = {path.name: path.read_text() for path in (grafana / "dashboards").iterdir()}
    assert written == {path.name: path.read_text() for path in DASHBOARDS}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_have_titles_units_descriptions_and_the_datasource(path: Path) -> None:
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yml").read_text())["datasources"][0]

    for panel in panels(path):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == source["uid"]
        assert all(target["expr"] for target in panel["targets"])


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboard_shows_alerts_and_starts_and_links_to_dashboards_that_there_are(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    alerts, starts = dashboard["annotations"]["list"]
    assert alerts["expr"].startswith("ALERTS{")
    assert (starts["expr"].split("{")[0], starts["useValueForTime"]) == ("process_start_time_seconds", "on")
    linked = {link["url"].split("?")[0] for panel in panels(path) for link in panel["links"]}
    assert linked <= {f"/d/{json.loads(one.read_text())['uid']}" for one in DASHBOARDS}
    assert linked or path.stem != "overview", "from a stage that is slow there is no way on"


def test_every_alert_is_reached_from_a_panel_that_shows_what_it_is_about() -> None:
    links = [link for path in DASHBOARDS for panel in panels(path) for link in panel["links"]]
    reached = {one["title"].removeprefix("Runbook: "): one["url"] for one in links if "viewPanel" in one["url"]}
    sections = json.loads((GRAFANA / "dashboards/runbook.json").read_text())["panels"]

    assert reached.keys() == {rule["alert"] for rule in rules() if "alert" in rule}
    assert reached == {
        one["title"]: f"/d/trivium-runbook?viewPanel=panel-{one['id']}" for one in sections if one["type"] == "text"
    }


def test_runbook_among_the_dashboards_leads_from_section_to_section_and_nowhere_else() -> None:
    sections = json.loads((GRAFANA / "dashboards/runbook.json").read_text())["panels"]
    numbers = {one["title"]: one["id"] for one in sections}
    texts = [one["options"]["content"] for one in sections if one["type"] == "text"]

    assert all("**Do**" in text for text in texts)
    links = [link for text in texts for link in re.findall(r"\[([^\]]*)\]\(([^)]*)\)", text)]
    assert ("QdrantDown", f"?viewPanel=panel-{numbers['QdrantDown']}") in links
    assert {url for _, url in links} <= {f"?viewPanel=panel-{number}" for number in numbers.values()}


@pytest.mark.parametrize("service", ["gateway", "embed", "rerank", "generate"])
def test_dashboard_of_a_service_shows_the_processes_that_are_chosen_alone(service: str) -> None:
    path = GRAFANA / "dashboards" / f"{service}.json"
    (variable,) = json.loads(path.read_text())["templating"]["list"]
    assert (variable["name"], variable["includeAll"]) == ("instance", True)
    for panel in panels(path):
        for target in panel["targets"]:
            own = re.findall(rf"\b(?:trivium_{service}|process)_\w+(\{{[^}}]*\}})?", target["expr"])
            assert all('instance=~"$instance"' in matchers for matchers in own), target["expr"]


def test_dashboards_are_where_compose_mounts_them() -> None:
    grafana = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/trivium.yml").read_text())["providers"][0]
    mounts = dict(volume.split(":")[:2] for volume in grafana["volumes"])

    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert (GRAFANA / "dashboards" / home.name).exists()


@pytest.mark.parametrize("path", RUN_HERE, ids=lambda path: path.stem)
def test_every_panel_shows_data_of_the_stack(watched: WatchedStack, path: Path) -> None:
    prometheus = watched.prometheus
    if prometheus is None:
        pytest.skip("prometheus is not installed")
    expressions = {
        where: expression
        for where, expression in panel_expressions(path).items()
        if not all(documented_elsewhere(name) for name in metric_names(expression))
    }
    assert expressions

    def empty() -> list[str]:
        return [where for where, expression in expressions.items() if not prometheus.query(expression)]

    wait_until(lambda: not empty(), f"data in {empty()}", 20)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_panels_of_other_programs_use_documented_metrics(path: Path) -> None:
    names = {name for expression in panel_expressions(path).values() for name in metric_names(expression)}

    ours = ("trivium", "vllm:", "process_")
    foreign = {name for name in names if not name.startswith(ours) and base_name(name) not in QDRANT}
    assert not {name for name in foreign if not documented_elsewhere(name)}
