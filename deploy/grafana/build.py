#!/usr/bin/env python3
"""Writes the dashboards: `deploy/grafana/build.py` after a change of `contents`. A test compares the files with it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import alerts
from contents import DASHBOARDS
from contents.runbook import PANELS
from panels import Row, Text, of_job

if TYPE_CHECKING:
    from panels import Dashboard, Panel

FOLDER = Path(__file__).parent / "dashboards"
_DATASOURCE = {"type": "prometheus", "uid": "prometheus"}
_COLUMNS = 24
_STARTS = f"process_start_time_seconds{{{of_job('(gateway|embed|rerank|generate|qdrant)')}}} * 1000"
_ANNOTATIONS: list[dict[str, Any]] = [
    {
        "name": "Alerts",
        "expr": 'ALERTS{alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{service}} {{instance}}",
        "tagKeys": "severity",
        "iconColor": "red",
    },
    {
        "name": "Starts: deploys and crashes",
        "expr": _STARTS,
        "titleFormat": "{{job}} started",
        "textFormat": "{{instance}}",
        "useValueForTime": "on",
        "iconColor": "blue",
    },
]


def panel_json(panel: Panel, job: str, number: int, x: int, y: int) -> dict[str, Any]:
    """A panel as Grafana has it.

    Args:
        panel: The panel.
        job: The service whose processes a reader may choose from.
        number: Its id in the dashboard.
        x: Column of its left edge, of 24.
        y: Row of its upper edge.
    """
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.most is not None:
        defaults |= {"min": 0, "max": panel.most}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": value} for value, color in panel.thresholds]
    defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.kind == "timeseries":
        style = "line" if panel.thresholds else "off"
        defaults["custom"] = {"fillOpacity": 8, "showPoints": "never", "thresholdsStyle": {"mode": style}}
    options = {
        "timeseries": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "stat": {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"},
        "heatmap": {"calculate": False, "yAxis": {"unit": panel.unit}, "color": {"scheme": "Blues", "mode": "scheme"}},
    }[panel.kind]
    form = "heatmap" if panel.kind == "heatmap" else "time_series"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _DATASOURCE,
        "gridPos": {"h": 4 if panel.kind == "stat" else 8, "w": panel.width, "x": x, "y": y},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "links": links_json(panel),
        "targets": [
            {
                "refId": chr(65 + at),
                "datasource": _DATASOURCE,
                "expr": of_instances(expr, job),
                "legendFormat": legend,
                "format": form,
            }
            for at, (expr, legend) in enumerate(panel.queries)
        ],
    }


def links_json(panel: Panel) -> list[dict[str, Any]]:
    """Where a panel leads: to the dashboards that tell more, and to what the runbook says of the alerts about it."""
    addresses = {name: f"/d/trivium-{name}?${{__url_time_range}}" for name in panel.links}
    for alert in alerts.of_queries([expression for expression, _ in panel.queries]):
        addresses[f"Runbook: {alert}"] = f"/d/trivium-runbook?viewPanel=panel-{PANELS[alert]}"
    return [{"title": title, "url": url, "targetBlank": False} for title, url in addresses.items()]


def text_json(text: Text, number: int, x: int, y: int) -> dict[str, Any]:
    """A text as Grafana has it."""
    return {
        "id": number,
        "type": "text",
        "title": text.title,
        "gridPos": {"h": text.height, "w": text.width, "x": x, "y": y},
        "options": {"mode": "markdown", "content": text.markdown},
    }


def of_instances(expression: str, job: str) -> str:
    """An expression for the chosen processes of a service alone. What rules have recorded is of all of them."""
    if not job:
        return expression

    def narrowed(match: re.Match[str]) -> str:
        matchers = ", ".join(filter(None, [match[2], 'instance=~"$instance"']))
        return f"{match[1]}{{{matchers}}}"

    return re.sub(rf"\b((?:trivium_{job}|process)_\w+)(?:\{{([^}}]*)\}})?", narrowed, expression)


def variables_json(job: str) -> list[dict[str, Any]]:
    """What a reader may choose: processes of a service, all at first."""
    if not job:
        return []
    query = f"label_values(up{{{of_job(job)}}}, instance)"
    return [
        {
            "name": "instance",
            "type": "query",
            "datasource": _DATASOURCE,
            "query": {"query": query, "refId": "instance"},
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        }
    ]


def row_json(row: Row, number: int, y: int) -> dict[str, Any]:
    """A row as Grafana has it; the panels that follow belong to it."""
    return {
        "id": number,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": {"h": 1, "w": _COLUMNS, "x": 0, "y": y},
        "panels": [],
    }


def dashboard_json(dashboard: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana has it; its panels flow from left to right."""
    panels: list[dict[str, Any]] = []
    x = y = height = 0
    for number, panel in enumerate(dashboard.panels, start=1):
        if isinstance(panel, Row):
            panels.append(row_json(panel, number, y + height))
            x, y, height = 0, y + height + 1, 0
            continue
        if x + panel.width > _COLUMNS:
            x, y, height = 0, y + height, 0
        if isinstance(panel, Text):
            panels.append(text_json(panel, number, x, y))
        else:
            panels.append(panel_json(panel, dashboard.job, number, x, y))
        x, height = x + panel.width, max(height, panels[-1]["gridPos"]["h"])
    return {
        "uid": f"trivium-{dashboard.name}",
        "title": f"Trivium: {dashboard.title}",
        "description": dashboard.description,
        "tags": ["trivium"],
        "editable": False,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables_json(dashboard.job)},
        "annotations": {"list": [{"datasource": _DATASOURCE, "enable": True, **one} for one in _ANNOTATIONS]},
        "links": [
            {"type": "dashboards", "title": "Trivium", "tags": ["trivium"], "asDropdown": True, "keepTime": True}
        ],
        "panels": panels,
    }


def render() -> dict[str, str]:
    """The dashboards' files: their names and contents."""
    return {f"{one.name}.json": json.dumps(dashboard_json(one), indent=1) + "\n" for one in DASHBOARDS}


if __name__ == "__main__":
    for name, content in render().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
