"""Network namespaces: nothing leads out of them, and every port is free."""

from __future__ import annotations

import functools
import shutil
import subprocess

_NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--", "sh", "-c")
_WITH_LOOPBACK = 'ip link set lo up && exec "$0" "$@"'


def alone(*command: str) -> list[str]:
    """The command in a namespace of its own, with a loopback interface only."""
    return [*_NAMESPACE, _WITH_LOOPBACK, *command]


@functools.cache
def namespaces_work() -> bool:
    """Whether one can be made here."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run(alone("true"), capture_output=True, check=False).returncode == 0
