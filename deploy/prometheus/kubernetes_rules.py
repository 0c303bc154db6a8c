#!/usr/bin/env python3
"""Writes the rules as the Prometheus operator reads them; run it after a change of `rules`.

kubernetes_rules.py           into the component `alerts`, which a test compares with the rules
kubernetes_rules.py RUNBOOK   print them, with links to the runbook where it can be read, for an overlay of yours
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
FILE = FOLDER.parent / "k8s/components/alerts/prometheus-rules.yaml"
_RUNBOOK = re.compile(r"'\{\{ \$externalURL \}\}/consoles/runbook\.html(#\w+)'")
"""Where compose's Prometheus has the runbook. An operator's has no such page."""
_HEAD = """\
# Written by deploy/prometheus/kubernetes_rules.py from deploy/prometheus/rules: change those.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: trivium
spec:
  groups:
"""


def render(runbook: str = "docs/runbook.md") -> str:
    """The groups of all files, as they stand there, one after the other in a PrometheusRule.

    Args:
        runbook: Where the runbook is.
    """
    lines = [_HEAD.rstrip("\n")]
    for path in sorted((FOLDER / "rules").glob("*.yml")):
        _, _, groups = path.read_text(encoding="utf-8").partition("\ngroups:\n")
        lines += [f"  {line}" if line else "" for line in groups.rstrip("\n").split("\n")]
    return _RUNBOOK.sub(lambda match: runbook + match[1], "\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__)
    elif len(sys.argv) > 1:
        print(render(sys.argv[1]), end="")
    else:
        FILE.write_text(render(), encoding="utf-8")
